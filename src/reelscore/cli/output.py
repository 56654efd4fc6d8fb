"""Tables, JSON and notes; results go to standard output, notes to standard error."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Sequence
from typing import Any

import typer

_MIN_WIDTH = 8
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def print_json(value: Any) -> None:
    """Print `value` as indented JSON in UTF-8; raise `ValueError` for NaN, which JSON does not allow."""
    print(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))


def note(message: str) -> None:
    """Print a line to standard error."""
    print(printable(message), file=sys.stderr)


def printable(text: str) -> str:
    r"""Escape control characters and changes of writing direction.

    Examples
    --------
    >>> print(printable("one\ntwo\x1b[2J"))
    one\ntwo\x1b[2J
    """
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[str] = (),
    fixed: Sequence[str] = (),
) -> None:
    """Print a table, one line for each row.

    On a terminal, long cells are truncated with an ellipsis so that each line fits. In a pipe nothing is truncated.

    Parameters
    ----------
    columns : sequence of str
        Headings.
    rows : sequence of sequence of str
    right : sequence of str
        Columns that are aligned to the right and never truncated.
    fixed : sequence of str
        Further columns that are never truncated.
    """
    from rich.cells import cell_len

    lines = [list(columns), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(cell_len(line[i]) for line in lines) for i in range(len(columns))]
    if sys.stdout.isatty():
        _fit(widths, [name not in (*right, *fixed) for name in columns], shutil.get_terminal_size().columns)
    for number, line in enumerate(lines):
        cells = [
            _cell(text, width, right=name in right)
            for text, width, name in zip(line, widths, columns, strict=True)
        ]
        text = "  ".join(cells).rstrip()
        typer.echo(text if number else typer.style(text, bold=True))


def minutes(seconds: float) -> str:
    """Format a duration as m:ss."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _fit(widths: list[int], flexible: list[bool], limit: int) -> None:
    """Reduce the widest flexible column until the line fits, or all are at their minimum."""
    while sum(widths) + 2 * (len(widths) - 1) > limit:
        width, column = max((width, i) for i, width in enumerate(widths) if flexible[i])
        if width <= _MIN_WIDTH:
            return
        widths[column] -= 1


def _cell(text: str, width: int, *, right: bool) -> str:
    from rich.cells import cell_len, set_cell_size

    if cell_len(text) > width:
        return set_cell_size(text, width - 1) + "…"
    padding = " " * (width - cell_len(text))
    return padding + text if right else text + padding
