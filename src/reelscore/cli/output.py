"""All output of the command line: lines, tables, JSON and notes, safe on any terminal."""

from __future__ import annotations

import codecs
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
_MAX_CELL = 256  # holds every file name; tags can be longer
_MAX_EXCERPT = 160
_MAX_MESSAGE = 8000

# C1 codes with DEL, marks of the writing direction, line and paragraph separators, and the surrogates of file names
# that are not UTF-8.
_HIDDEN = "\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_UNSAFE = re.compile(f"[\x00-\x1f{_HIDDEN}]")
_UNSAFE_IN_JSON = re.compile(f"[{_HIDDEN}]")  # JSON itself has newlines, and escapes them in texts


def open_streams() -> None:
    """Make standard output and error accept every character, and every line where they are closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def close_streams() -> None:
    """Write what is buffered; drop it where it cannot be written, so that Python does not complain at its end."""
    # typer may have wrapped the first two.
    for stream in filter(None, (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def print_line(text: str = "") -> None:
    """Print a line to standard output."""
    print(printable(text))


def print_json(value: Any) -> None:
    """Print `value` as indented JSON; raise `ValueError` for NaN, which JSON does not allow."""
    is_unicode = codecs.lookup(_encoding()).name.startswith("utf")
    text = json.dumps(value, ensure_ascii=not is_unicode, indent=2, allow_nan=False)
    print(_UNSAFE_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text))


def note(message: str) -> None:
    """Print a line to standard error."""
    print(printable(excerpt(message, _MAX_MESSAGE)), file=sys.stderr)


def excerpt(text: str, max_chars: int = _MAX_EXCERPT) -> str:
    """Cut a long text and state its length.

    Examples
    --------
    >>> excerpt("abcdef", 4)
    'abcd… (6 characters)'
    """
    return text if len(text) <= max_chars else f"{text[:max_chars]}… ({len(text)} characters)"


def printable(text: str) -> str:
    r"""Escape what could control a terminal, reorder a line or begin a new one.

    Examples
    --------
    >>> print(printable("one\ntwo\x1b[2J"))
    one\ntwo\x1b[2J
    """
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[str] = (),
    fixed: Sequence[str] = (),
) -> None:
    """Print a table, one line for each row.

    On a terminal, long cells are truncated with an ellipsis so that each line fits. In a pipe only cells over 256
    characters are.

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

    flexible = [name not in (*right, *fixed) for name in columns]
    lines = [list(columns), *([_safe(*cell) for cell in zip(row, flexible, strict=True)] for row in rows)]
    widths = [max(cell_len(line[i]) for line in lines) for i in range(len(columns))]
    if sys.stdout.isatty():
        _fit(widths, flexible, shutil.get_terminal_size().columns)
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


def _safe(text: str, cut: bool) -> str:
    """Return a cell as the stream will show it, so that columns line up in any encoding."""
    text = printable(text[: _MAX_CELL - 1] + "…" if cut and len(text) > _MAX_CELL else text)
    return text.encode(_encoding(), "backslashreplace").decode(_encoding())


def _encoding() -> str:
    return getattr(sys.stdout, "encoding", None) or "utf-8"


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
