"""A chart of numbers enters, an SVG text leaves: the same chart gives the same bytes.

Matplotlib (the ``plots`` extra) is loaded by the functions here and nowhere else.
"""

from __future__ import annotations

import io
import textwrap
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from reelscore.errors import ConfigError
from research.result import Chart, Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = ("#2f7fc4", "#d9722e", "#4a4a4a", "#7a57b5", "#2c9a6e", "#c2476b", "#8a7a2f", "#5bb0c9")
_MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
_PANEL_INCHES = 3.2
_LETTERS_AN_INCH = 120  # divided by the size of the letters
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "reelscore",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
}


def require_matplotlib() -> None:
    """Raise `ConfigError` with the command that installs matplotlib where it is absent."""
    if find_spec("matplotlib") is None:
        raise ConfigError(
            "the experiments draw their charts with matplotlib, which is not installed; "
            "install it: python -m pip install 'reelscore[plots]'"
        )


def chart_svg(chart: Chart) -> bytes:
    """Draw the panels of a chart side by side, at most four in a row, with one legend for all."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    columns = min(4, len(chart.panels))
    rows = -(-len(chart.panels) // columns)
    with mpl.rc_context(cast(Any, _STYLE)):
        height = max(2.9, 0.24 * len(chart.rows) + 1.0)
        figure = Figure(figsize=(_PANEL_INCHES * columns + 0.6, height * rows + 0.8), layout="constrained")
        FigureCanvasSVG(figure)
        colours = _colours(chart)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for place, axis in enumerate(axes):
            if place < len(chart.panels):
                _draw(axis, chart, chart.panels[place], colours)
                if chart.rows and place % columns and len(axis.get_yticks()) == len(chart.rows):
                    axis.tick_params(labelleft=False)  # the same as of the panel on the left
            else:
                axis.set_axis_off()
        handles = {
            label: handle
            for axis in axes
            for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
        }
        # A narrow figure would cut off a wide legend.
        ncols = min(5 if columns == 4 else columns, len(handles) or 1)
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=ncols)
        figure.suptitle(_wrapped(chart.title, _LETTERS_AN_INCH * figure.get_figwidth(), size=12))
        out = io.BytesIO()
        figure.savefig(out, format="svg", facecolor="white", metadata={"Date": None, "Creator": None})
    # Matplotlib ends some lines with a blank.
    return b"\n".join(line.rstrip() for line in out.getvalue().splitlines()) + b"\n"


def _wrapped(text: str, letters: float, *, size: int) -> str:
    """Break a line that would be wider than its place, which nothing else keeps it from leaving."""
    return "\n".join(textwrap.wrap(text, int(letters / size)))


def _colours(chart: Chart) -> dict[str, int]:
    labels = dict.fromkeys(line.label for panel in chart.panels for line in panel.lines)
    return {label: place for place, label in enumerate(labels)}


def _draw(axis: Axes, chart: Chart, panel: Panel, colours: dict[str, int]) -> None:
    if chart.rows:
        _draw_dots(axis, chart, panel, colours)
    else:
        _draw_lines(axis, chart, panel, colours)
    axis.set_title(_wrapped(panel.title, _LETTERS_AN_INCH * _PANEL_INCHES, size=10), fontsize=10)
    axis.set_xlabel(chart.x_label)


def _draw_dots(axis: Axes, chart: Chart, panel: Panel, colours: dict[str, int]) -> None:
    shown = sorted({int(row) for line in panel.lines for row in line.y})
    for place, line in enumerate(panel.lines):
        # Side by side inside the row, so that no interval hides another.
        y = [shown.index(int(row)) + 0.3 * (place - (len(panel.lines) - 1) / 2) for row in line.y]
        colour = _COLOURS[colours[line.label] % len(_COLOURS)]
        axis.hlines(y, line.low, line.high, color=colour, linewidth=2, label=line.label)
        axis.plot(line.x, y, "o", color=colour, markersize=3.5)
    axis.axvline(0, color="#999999", linestyle=":")
    axis.set_yticks(range(len(shown)), [chart.rows[row] for row in shown], fontsize=8)
    axis.set_ylim(len(shown) - 0.5, -0.5)


def _draw_lines(axis: Axes, chart: Chart, panel: Panel, colours: dict[str, int]) -> None:
    for line in panel.lines:
        again, number = divmod(colours[line.label], len(_COLOURS))
        style: dict[str, Any] = {"color": _COLOURS[number], "label": line.label, "linewidth": 1.6}
        if again:  # a colour that another line has already
            style["linestyle"] = "--"
        if len(line.x) <= 12:
            style |= {"marker": _MARKS[number], "markersize": 4.5}
        axis.plot(line.x, line.y, **style)
        if line.low:
            axis.fill_between(line.x, line.low, line.high, color=_COLOURS[number], alpha=0.12, linewidth=0)
    for level in panel.levels:
        axis.plot(level.x, level.y, color="#999999", linestyle=":", label=level.label)
    axis.set_ylabel(chart.y_label)
    if chart.x_ticks:
        names = chart.x_names or [f"{tick:g}" for tick in chart.x_ticks]
        axis.set_xticks(chart.x_ticks, names, fontsize=8)
