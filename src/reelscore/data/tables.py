"""Read CSV, JSONL and Parquet tables."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reelscore.errors import InputError
from reelscore.files import parse_json, read_file
from reelscore.text.encoding import decode

MAX_CELL_CHARS = 1_000_000
"""A row with a longer cell is skipped."""

_DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True)
class TableRow:
    """Line (or row number) from 1, and the cells by column, or an error message."""

    line: int
    cells: Mapping[str, Any] | str


@dataclass(frozen=True, slots=True)
class Table:
    """Column names, rows, and notes for the user on how the file was read."""

    columns: set[str]
    rows: list[TableRow]
    notes: tuple[str, ...] = ()


def read_table(path: Path, *, required: str | Sequence[str]) -> Table:
    """Read a table in the format of its extension.

    Column names are lower-cased and stripped. A JSONL file has a column if any line has it.

    Parameters
    ----------
    path : Path
        An existing ``.csv``, ``.tsv``, ``.jsonl`` or ``.parquet`` file.
    required : str or sequence of str
        A column that the table must have, or several, one of which it must have. The delimiter of a CSV file is that
        which gives its header such a column.

    Raises
    ------
    InputError
        For an unknown extension, a table that cannot be parsed, is empty or lacks the required column.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(
            f"{path} has the extension {path.suffix!r}; expected one of {', '.join(READERS)}: convert it"
        )
    names = (required,) if isinstance(required, str) else tuple(required)
    listed = " or ".join(map(repr, names))
    table = reader(path, names)
    if not table.columns & set(names) and (table.columns or table.rows):
        raise InputError(
            f"{path} has no column {listed}; its columns are {', '.join(sorted(table.columns)) or 'none'}"
        )
    if not table.rows:
        raise InputError(f"{path} is empty; expected a header with the column {listed}, and rows below it")
    return table


def _read_csv(path: Path, required: Sequence[str]) -> Table:
    decoded = decode(read_file(path))
    lines = re.findall(r"[^\n]*\n|[^\n]+", decoded.text)
    first_line = 0
    if lines and (named := re.fullmatch(r'"?sep=(.)"?\s*', lines[0], re.IGNORECASE)):
        delimiter, first_line = named[1], 1  # Excel's own mark
    else:
        delimiter = _delimiter(next((line for line in lines if line.strip()), ""), required)
    reader = csv.reader(lines[first_line:], delimiter=delimiter, strict=True)
    header: list[str] = []
    rows: list[TableRow] = []
    num_empty = 0
    limit = csv.field_size_limit(sys.maxsize)  # a long cell fails its row, not the file
    try:
        for cells in reader:
            line = reader.line_num + first_line
            while len(cells) > len(header) and not cells[-1].strip():
                cells.pop()
            if not any(cell.strip() for cell in cells):
                num_empty += bool(header)
            elif not header:
                # Excel writes columns that once had content, without a name.
                header = [_column(cell) for cell in cells]
                _check_distinct(path, header)
            else:
                rows.append(TableRow(line, _cells(header, cells)))
    except csv.Error as error:
        where = reader.line_num + first_line
        raise InputError(f"{path}: line {where} is not CSV: {error}; fix that line") from error
    finally:
        csv.field_size_limit(limit)
    notes = [decoded.note] if decoded.note else []
    if num_empty:
        notes.append(f"empty rows skipped: {num_empty}")
    return Table(set(header) - {""}, rows, tuple(notes))


def _delimiter(header: str, required: Sequence[str]) -> str:
    """Return the delimiter that splits a header into most columns, a required one among them; else a comma."""
    counts = {}
    for delimiter in _DELIMITERS:
        columns = [_column(cell) for cell in next(csv.reader([header], delimiter=delimiter), [])]
        if any(name in columns for name in required):
            counts[delimiter] = len(columns)
    return max(counts, key=lambda delimiter: counts[delimiter], default=",")


def _cells(header: list[str], cells: list[str]) -> dict[str, str] | str:
    """Return the cells by column, or what is wrong with the row; the last columns of a short row are empty."""
    if len(cells) > len(header):
        return f"{len(cells)} cells but {len(header)} columns in the header; quote cells that hold commas"
    for name, cell in zip(header, cells, strict=False):
        if len(cell) > MAX_CELL_CHARS:
            return (
                f"the cell in column {name!r} has {len(cell)} characters, more than {MAX_CELL_CHARS}; shorten it, or "
                "move the text to a .txt file next to the video"
            )
    return {name: cell for name, cell in zip(header, cells, strict=False) if name}


def _read_jsonl(path: Path, _: Sequence[str]) -> Table:
    decoded = decode(read_file(path))
    columns: set[str] = set()
    rows: list[TableRow] = []
    for line, text in enumerate(decoded.text.split("\n"), start=1):
        if not text.strip():
            continue
        try:
            value = parse_json(text)
        except ValueError as error:
            rows.append(TableRow(line, f"not JSON: {error}; fix or delete the line"))
            continue
        if not isinstance(value, dict):
            rows.append(TableRow(line, f"expected a JSON object, got {type(value).__name__}"))
            continue
        cells = {_column(key): cell for key, cell in value.items()}
        columns |= set(cells)
        rows.append(TableRow(line, cells))
    return Table(columns, rows, (decoded.note,) if decoded.note else ())


def _read_parquet(path: Path, _: Sequence[str]) -> Table:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{path} is not a readable Parquet file ({error}); export it again") from error
    header = [_column(name) for name in table.column_names]
    _check_distinct(path, header)
    columns = [column.to_pylist() for column in table.columns]
    cells: Iterable[tuple[Any, ...]] = zip(*columns, strict=True)
    rows = [TableRow(i, dict(zip(header, row, strict=True))) for i, row in enumerate(cells, start=1)]
    return Table(set(header), rows)


def _column(name: str) -> str:
    return name.strip().lower()


def _check_distinct(path: Path, header: list[str]) -> None:
    repeated = next((name for name in header if name and header.count(name) > 1), None)
    if repeated is not None:
        raise InputError(f"{path} has two columns named {repeated!r}; rename one")


READERS = {".csv": _read_csv, ".tsv": _read_csv, ".jsonl": _read_jsonl, ".parquet": _read_parquet}
"""Reader of each extension."""
