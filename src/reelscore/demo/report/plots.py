"""Training histories and embeddings enter, SVG texts for the page leave.

Text and axes are drawn in ``currentColor``, so that a figure takes the colours of the page around it,
light or dark. Matplotlib (the ``plots`` extra) is loaded by the functions here and nowhere else.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from reelscore.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK = "#010203"
"""Stands for the page's own text colour until the SVG text is written."""
RUN_LINES = (("#e0913f", 2.6), ("#2f7fc4", 1.1))
"""Colour and width of the two runs: where the curves agree, both are seen."""
_SCALE = ("#3f6fe0", "#a070b8", "#f08a2c")
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.size": 11,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "grid.color": _INK,
    "grid.alpha": 0.15,
    "legend.frameon": False,
}


@dataclass(frozen=True, slots=True)
class Curve:
    """One training run, epoch by epoch.

    Attributes
    ----------
    loss : sequence of float
        The InfoNCE part of the training loss, which both losses share, from epoch 1.
    recall : sequence of float
        Recall@10 on the validation pairs, a fraction, from epoch 0: before the first step.
    """

    loss: Sequence[float]
    recall: Sequence[float]


def require_matplotlib() -> None:
    """Raise `ConfigError` with the command that installs matplotlib where it is absent."""
    if find_spec("matplotlib") is None:
        raise ConfigError(
            "the demo draws its curves with matplotlib, which is not installed; "
            "install it: python -m pip install 'reelscore[plots]'"
        )


def loss_svg(runs: Mapping[str, Sequence[Curve]]) -> str:
    """Draw the training loss by epoch: one colour a run, a line for each training seed."""
    with _drawing("loss"):
        figure, axis = _panel()
        _lines(axis, {run: [c.loss for c in curves] for run, curves in runs.items()}, first_epoch=1)
        axis.set_ylabel("InfoNCE part of the loss")
        figure.legend(loc="outside lower center", ncols=3)
        return _svg(figure, "Training loss by epoch for both losses")


def recall_svg(runs: Mapping[str, Sequence[Curve]], *, chance: float) -> str:
    """Draw the validation recall@10 by epoch, in percent, with the level that guessing would reach."""
    with _drawing("recall"):
        figure, axis = _panel()
        percent = {run: [[100 * r for r in c.recall] for c in curves] for run, curves in runs.items()}
        _lines(axis, percent, first_epoch=0)
        axis.axhline(100 * chance, color=_INK, linestyle=":", linewidth=1.2, label="chance")
        axis.set_ylim(bottom=0)
        axis.set_ylabel("validation recall@10 (%)")
        figure.legend(loc="outside lower center", ncols=3)
        return _svg(figure, "Validation recall at 10 by epoch for both losses, against chance")


def map_svg(
    video: npt.NDArray[Any],
    music: npt.NDArray[Any],
    *,
    video_values: npt.NDArray[np.float64],
    music_values: npt.NDArray[np.float64],
    name: str,
    ends: tuple[str, str],
) -> str:
    """Draw videos and tracks in the plane of their two main directions, coloured by a hidden value.

    Parameters
    ----------
    video, music : ndarray, shapes (Q, D) and (N, D)
        Embeddings.
    video_values, music_values : ndarray, shapes (Q,) and (N,)
        What is behind the colour, from -1 to 1.
    name : str
        Of the value.
    ends : tuple of str
        Words for its -1 and its 1.
    """
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("mood", _SCALE)
    placed = principal_plane(np.concatenate([video, music]))
    with _drawing(f"map-{name}"):
        figure, axis = _panel(height_in=4.4)
        drawn: Any = None
        for where, values, marker, size, label in (
            (placed[: len(video)], video_values, "^", 38, "video"),
            (placed[len(video) :], music_values, "o", 30, "track"),
        ):
            drawn = axis.scatter(
                where[:, 0],
                where[:, 1],
                c=values,
                cmap=colours,
                vmin=-1,
                vmax=1,
                marker=marker,
                s=size,
                linewidths=0,
                alpha=0.9,
                label=label,
            )
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_aspect("equal", adjustable="datalim")
        bar = figure.colorbar(drawn, ax=axis, shrink=0.6, ticks=(-1, 1))
        bar.ax.set_yticklabels(ends)
        bar.ax.tick_params(length=0)
        bar.outline.set_visible(False)
        legend: Any = figure.legend(loc="outside lower center", ncols=2, handletextpad=0.2)
        for handle in legend.legend_handles:
            handle.set_array(None)
            handle.set_facecolor(_INK)
            handle.set_alpha(1)
        return _svg(figure, f"Held-out videos and tracks by their embeddings, coloured by {name}")


def principal_plane(rows: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the rows' coordinates along their two directions of largest variance, shape (N, 2).

    The sign of a direction is chosen so that its largest weight is positive: same rows, same picture.
    """
    centred = np.asarray(rows, dtype=np.float64)
    centred = centred - centred.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    plane = directions[:2]
    plane = plane * np.sign(plane[np.arange(len(plane)), np.abs(plane).argmax(axis=1)])[:, None]
    result: npt.NDArray[np.float64] = centred @ plane.T
    return result


@contextmanager
def _drawing(name: str) -> Iterator[None]:
    """Set matplotlib's style for one figure; the salt makes its ids the same in every run and its own."""
    import matplotlib as mpl

    with mpl.rc_context(cast(Any, _STYLE | {"svg.hashsalt": f"reelscore-{name}"})):
        yield


def _panel(*, height_in: float = 3.6) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, height_in), layout="constrained")
    return figure, figure.subplots()


def _lines(axis: Axes, runs: Mapping[str, Sequence[Sequence[float]]], *, first_epoch: int) -> None:
    from matplotlib.ticker import MaxNLocator

    for (run, trainings), (colour, width) in zip(runs.items(), RUN_LINES, strict=True):
        for number, values in enumerate(trainings):
            epochs = np.arange(len(values)) + first_epoch
            axis.plot(epochs, values, color=colour, linewidth=width, label=run if number == 0 else None)
    axis.set_xlabel("epoch")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.grid(True)


def _svg(figure: Figure, description: str) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for length in ("width", "height"):
        svg = re.sub(rf'(<svg [^>]*?){length}="[^"]*" ?', r"\1", svg, count=1)
    # The names of a figure's parts (axes_1 ...) come again in every figure, and nothing refers to them.
    svg = re.sub(r'<g id="[^"]+"', "<g", svg)
    svg = re.sub(r"font: (\d+(?:\.\d+)?px)[^;\"]*", r"font: \1 system-ui, sans-serif", svg)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{description}" ', 1)
