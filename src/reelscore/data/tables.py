"""A CSV, JSONL or Parquet file enters, its rows as mappings with their line numbers leave."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reelscore.errors import InputError


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row's line (or number) from 1, and its cells by column, or what is wrong with the row."""

    line: int
    cells: Mapping[str, Any] | str


def read_table(path: Path, *, required: str) -> Iterator[TableRow]:
    """Read a table whose format its extension tells.

    Column names are compared without case and outer blanks. A JSONL file has a column when any line does.

    Parameters
    ----------
    path : Path
        An existing ``.csv``, ``.jsonl`` or ``.parquet`` file.
    required : str
        The column without which the table is useless.

    Raises
    ------
    InputError
        For another extension, text that is not UTF-8, a table that cannot be parsed, an empty one, or one
        without the required column.
    """
    readers = {".csv": _csv_rows, ".jsonl": _jsonl_rows, ".parquet": _parquet_rows}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(
            f"{path} ends in {path.suffix or 'nothing'}; a manifest ends in {', '.join(readers)}: convert it"
        )
    columns, rows = reader(path)
    if required not in columns and (columns or rows):
        hint = "; columns are parted by commas" if any(mark in "".join(columns) for mark in ";\t") else ""
        raise InputError(
            f"{path} has no column {required!r}; its columns are {', '.join(sorted(columns)) or 'none'}{hint}"
        )
    if not rows:
        raise InputError(f"{path} is empty; a manifest has a {required!r} column and a row for each pair")
    return iter(rows)


def _csv_rows(path: Path) -> tuple[set[str], list[TableRow]]:
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    header: list[str] = []
    rows: list[TableRow] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = [_column(cell) for cell in cells]
                _check_distinct(path, header)
            elif len(cells) > len(header):
                told = (
                    f"{len(cells)} cells where the header names {len(header)}; quote cells that hold commas"
                )
                rows.append(TableRow(reader.line_num, told))
            else:
                # A short row leaves its last columns empty.
                rows.append(TableRow(reader.line_num, dict(zip(header, cells, strict=False))))
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num} is not CSV: {error}; mend that line") from error
    return set(header), rows


def _jsonl_rows(path: Path) -> tuple[set[str], list[TableRow]]:
    columns: set[str] = set()
    rows: list[TableRow] = []
    for line, text in enumerate(_text(path).split("\n"), start=1):
        if not text.strip():
            continue
        try:
            value = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            rows.append(TableRow(line, f"not JSON: {error}; mend or delete the line"))
            continue
        if not isinstance(value, dict):
            rows.append(TableRow(line, f"a JSON object is due, got {type(value).__name__}"))
            continue
        cells = {_column(key): cell for key, cell in value.items()}
        columns |= set(cells)
        rows.append(TableRow(line, cells))
    return columns, rows


def _parquet_rows(path: Path) -> tuple[set[str], list[TableRow]]:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{path} is not a readable Parquet file ({error}); write it again") from error
    header = [_column(name) for name in table.column_names]
    _check_distinct(path, header)
    columns = [column.to_pylist() for column in table.columns]
    cells: Iterable[tuple[Any, ...]] = zip(*columns, strict=True)
    rows = [TableRow(i, dict(zip(header, row, strict=True))) for i, row in enumerate(cells, start=1)]
    return set(header), rows


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} must be UTF-8 text ({error}); save it as UTF-8") from error


def _column(name: str) -> str:
    return name.strip().lower()


def _check_distinct(path: Path, header: list[str]) -> None:
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{path} has two columns named {twice!r}; rename one")
