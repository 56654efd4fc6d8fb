"""Read CSV, JSONL and Parquet tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reelscore.errors import InputError
from reelscore.files import parse_json, read_file


@dataclass(frozen=True, slots=True)
class TableRow:
    """Line (or row number) from 1, and the cells by column, or an error message."""

    line: int
    cells: Mapping[str, Any] | str


def read_table(path: Path, *, required: str) -> Iterator[TableRow]:
    """Read a table in the format of its extension.

    Column names are lower-cased and stripped. A JSONL file has a column if any line has it.

    Parameters
    ----------
    path : Path
        An existing ``.csv``, ``.jsonl`` or ``.parquet`` file.
    required : str
        A column that the table must have.

    Raises
    ------
    InputError
        For an unknown extension, text that is not UTF-8, a table that cannot be parsed, is empty or lacks the required
        column.
    """
    readers = {".csv": _csv_rows, ".jsonl": _jsonl_rows, ".parquet": _parquet_rows}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(
            f"{path} has the extension {path.suffix!r}; a manifest has one of {', '.join(readers)}: convert it"
        )
    columns, rows = reader(path)
    if required not in columns and (columns or rows):
        hint = "; separate columns by commas" if any(mark in "".join(columns) for mark in ";\t") else ""
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
                problem = f"{len(cells)} cells but {len(header)} columns in the header; quote cells that hold commas"
                rows.append(TableRow(reader.line_num, problem))
            else:
                # The last columns of a short row are empty.
                rows.append(TableRow(reader.line_num, dict(zip(header, cells, strict=False))))
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num} is not CSV: {error}; fix that line") from error
    return set(header), rows


def _jsonl_rows(path: Path) -> tuple[set[str], list[TableRow]]:
    columns: set[str] = set()
    rows: list[TableRow] = []
    for line, text in enumerate(_text(path).split("\n"), start=1):
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
    return columns, rows


def _parquet_rows(path: Path) -> tuple[set[str], list[TableRow]]:
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
    return set(header), rows


def _text(path: Path) -> str:
    try:
        return read_file(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} must be UTF-8 text ({error}); save it as UTF-8") from error


def _column(name: str) -> str:
    return name.strip().lower()


def _check_distinct(path: Path, header: list[str]) -> None:
    repeated = next((name for name in header if header.count(name) > 1), None)
    if repeated is not None:
        raise InputError(f"{path} has two columns named {repeated!r}; rename one")
