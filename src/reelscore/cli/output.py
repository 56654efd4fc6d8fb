"""Tables, JSON and notes; results go to standard output, notes to standard error."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from reelscore.files import write_bytes

_MIN_WIDTH = 8
_MOST_FAILURES = 20
"""Number of failures up to which each is printed."""
_MOST_REASONS = 10
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


def note_failures(failures: Sequence[tuple[str, str]], file: Path) -> None:
    """Print (path, reason) of each failure to standard error.

    Many failures are summed up by reason, and the list is written to `file`, one failure a line.
    """
    if len(failures) <= _MOST_FAILURES:
        for path, reason in failures:
            note(f"  failed  {path}: {reason}")
        return
    groups: dict[str, list[tuple[str, str]]] = {}
    for path, reason in failures:
        # Times, sizes and names differ from file to file.
        kind = re.sub(r"\d+(\.\d+)?", "N", reason.replace(path, "").replace(Path(path).name, ""))
        groups.setdefault(kind, []).append((path, reason))
    for group in sorted(groups.values(), key=len, reverse=True)[:_MOST_REASONS]:
        path, reason = group[0]
        note(f"  failed  {len(group)} files: {reason} (first: {path})")
    if len(groups) > _MOST_REASONS:
        note(f"  and {len(groups) - _MOST_REASONS} other reasons")
    lines = "".join(f"{printable(path)}\t{printable(reason)}\n" for path, reason in failures)
    try:
        write_bytes(file, lines.encode("utf-8", "backslashreplace"))
        note(f"{len(failures)} files failed; the list is in {file}")
    except OSError as error:
        note(f"{len(failures)} files failed; the list cannot be written to {file}: {error.strerror}")


def is_gone(path: str) -> bool:
    """Return whether a track's file does not exist, or cannot be reached."""
    return not os.path.exists(path)  # noqa: PTH110  (an invalid name is no error)


def file_cell(path: str, *, full: bool) -> str:
    """Return the cell of a file in a table; one that does not exist is marked."""
    return ("(gone) " if is_gone(path) else "") + (path if full else Path(path).name)


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
