"""SVG figures of the demo's page, drawn with matplotlib.

Text and axes use ``currentColor``, so that a figure follows the light or dark colours of the page.
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
"""Placeholder, replaced by ``currentColor`` in the SVG."""
RUN_LINES = (("#e0913f", 2.6), ("#2f7fc4", 1.1))
"""Colour and width of the two runs. The widths differ, so that both are visible where the curves agree."""
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
    """Learning curve of one training run.

    Attributes
    ----------
    loss : sequence of float
        InfoNCE part of the training loss, common to both losses, from epoch 1.
    recall : sequence of float
        Recall@10 on the validation pairs, a fraction, from epoch 0 (before training).
    """

    loss: Sequence[float]
    recall: Sequence[float]


def require_matplotlib() -> None:
    """Raise `ConfigError` if matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        raise ConfigError(
            "the demo needs matplotlib, which is not installed; install it with: python -m pip install "
            "'reelscore[plots]'"
        )


def loss_svg(runs: Mapping[str, Sequence[Curve]]) -> str:
    """Draw the training loss by epoch, with one colour for each loss and one line for each seed."""
    with _drawing("loss"):
        figure, axis = _panel()
        _lines(axis, {run: [c.loss for c in curves] for run, curves in runs.items()}, first_epoch=1)
        axis.set_ylabel("InfoNCE part of the loss")
        figure.legend(loc="outside lower center", ncols=3)
        return _svg(figure, "Training loss by epoch for both losses")


def recall_svg(runs: Mapping[str, Sequence[Curve]], *, chance: float) -> str:
    """Draw the validation recall@10 by epoch, in percent, and the level of chance."""
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
    """Draw videos and tracks by their first two principal components, coloured by a hidden value.

    Parameters
    ----------
    video, music : ndarray, shapes (Q, D) and (N, D)
        Embeddings.
    video_values, music_values : ndarray, shapes (Q,) and (N,)
        The hidden value of each item, from -1 to 1.
    name : str
        Name of the hidden value.
    ends : tuple of str
        Labels for -1 and 1.
    """
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("mood", _SCALE)
    positions = principal_components(np.concatenate([video, music]))
    with _drawing(f"map-{name}"):
        figure, axis = _panel(height_in=4.4)
        scatter: Any = None
        for points, values, marker, size, label in (
            (positions[: len(video)], video_values, "^", 38, "video"),
            (positions[len(video) :], music_values, "o", 30, "track"),
        ):
            scatter = axis.scatter(
                points[:, 0],
                points[:, 1],
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
        bar = figure.colorbar(scatter, ax=axis, shrink=0.6, ticks=(-1, 1))
        bar.ax.set_yticklabels(ends)
        bar.ax.tick_params(length=0)
        bar.outline.set_visible(False)
        legend: Any = figure.legend(loc="outside lower center", ncols=2, handletextpad=0.2)
        for handle in legend.legend_handles:
            handle.set_array(None)
            handle.set_facecolor(_INK)
            handle.set_alpha(1)
        return _svg(figure, f"Held-out videos and tracks by their embeddings, coloured by {name}")


def principal_components(rows: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the first two principal components of the rows, shape (N, 2).

    The sign of each direction makes its largest weight positive, so that equal rows give equal figures.
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
    """Set matplotlib's style for one figure; the salt makes its ids reproducible and unique to the figure."""
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
    # matplotlib repeats the ids of a figure's parts (axes_1 ...) in every figure. Nothing refers to them.
    svg = re.sub(r'<g id="[^"]+"', "<g", svg)
    svg = re.sub(r"font: (\d+(?:\.\d+)?px)[^;\"]*", r"font: \1 system-ui, sans-serif", svg)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{description}" ', 1)
