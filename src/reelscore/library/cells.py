"""Cells of an imported table as numbers, flags, lists or text."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reelscore.analysis.key import parse_key
from reelscore.errors import InputError

from .file_tags import key_facts, parse_bpm, parse_isrc, terms
from .storage.facts import BUILT_IN, TRACK_KINDS, Kind, Value

_ALIASES = {"license": "licence", "tempo": "bpm", "instrument": "instruments", "vocal": "vocals"}
_COMPUTED = ("tonic", "mode", "bpm_alt", "key_confidence", "recording_id")
_FLAGS = {"yes": True, "true": True, "no": False, "false": False}
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_EXPECTED: Mapping[Kind, str] = {
    "number": "a number",
    "flag": "yes or no",
    "text": "text",
    "list": "a list, its parts separated by semicolons",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column to import.

    Attributes
    ----------
    name : str
    kind : {"number", "text", "flag", "list"}
    is_known : bool
        Whether the library has the column already.
    values : Mapping of int to Mapping
        Values by line and name; a key has three. Empty cells are absent.
    """

    name: str
    kind: Kind
    is_known: bool
    values: Mapping[int, Mapping[str, Value]]

    @property
    def stored(self) -> tuple[str, ...]:
        """Names of the values."""
        return stored_names(self.name)


def stored_names(header: str) -> tuple[str, ...]:
    """Return the names of the values that a column of a table becomes.

    Examples
    --------
    >>> stored_names("Price (EUR)"), stored_names("key")
    (('price_eur',), ('key', 'tonic', 'mode'))
    """
    name = column_name(header)
    name = _ALIASES.get(name, name)
    return ("key", "tonic", "mode") if name == "key" else (name,)


def column_of(
    path: Path, header: str, cells: Sequence[tuple[int, Any]], imported: Mapping[str, Kind]
) -> Column:
    """Return a column of a table, given its (line, cell) pairs and the imported columns of the library.

    Raises
    ------
    InputError
        When the name is taken, or a cell does not have the kind of the column.
    """
    name = column_name(header)
    name = _ALIASES.get(name, name)
    if name in TRACK_KINDS or name in _COMPUTED:
        hint = "; to set the key, use the column 'key'" if name in ("tonic", "mode") else ""
        raise InputError(
            f"{path}: the column {header!r} has the name of a column that reelscore computes{hint}. Rename it, such as "
            f"to 'my_{name}'. Nothing was imported"
        )
    filled = [(line, cell) for line, cell in cells if not _is_empty(cell)]
    known = BUILT_IN.get(name) or imported.get(name)
    kind = known or _kind([cell for _, cell in filled])
    values: dict[int, Mapping[str, Value]] = {}
    for line, cell in filled:
        value = _built_in(name, cell) if name in BUILT_IN else _named(name, _value(cell, kind))
        if value is None:
            raise InputError(
                f"{path}, line {line}: the column {header!r} holds {_expected(name, kind)}, got {str(cell)[:80]!r}. "
                "Correct the cell or rename the column. Nothing was imported"
            )
        values[line] = value
    return Column(name, kind, known is not None, values)


def column_name(header: str) -> str:
    """Return the name of a column for filters: lower case, and underscores in place of other characters.

    Examples
    --------
    >>> [column_name(header) for header in ("Price (EUR)", "AI-made", "2nd use")]
    ['price_eur', 'ai_made', '_2nd_use']
    """
    name = re.sub(r"[^a-z0-9]+", "_", header.lower()).strip("_")
    return f"_{name}" if not name or name[0].isdigit() else name


def _kind(cells: Sequence[Any]) -> Kind:
    """Return the kind that all cells of a new column have."""
    for kind in ("flag", "number"):
        if cells and all(_value(cell, kind) is not None for cell in cells):
            return kind
    return "list" if any(isinstance(cell, (list, tuple)) or ";" in str(cell) for cell in cells) else "text"


def _value(cell: Any, kind: Kind) -> Value | None:
    """Return a cell as a value of a kind, or None if it is none."""
    if kind == "flag":
        return cell if isinstance(cell, bool) else _FLAGS.get(str(cell).strip().lower())
    if kind == "number":
        text = str(cell).strip()
        try:
            number = float(text.replace(",", ".") if _DECIMAL_COMMA.fullmatch(text) else text)
        except ValueError:
            return None
        return number if math.isfinite(number) and not isinstance(cell, bool) else None
    if kind == "list":
        return terms([str(part) for part in cell] if isinstance(cell, (list, tuple)) else [str(cell)]) or None
    return " ".join(str(cell).split())


def _built_in(name: str, cell: Any) -> Mapping[str, Value] | None:
    """Return a cell as the values of a built-in column, or None if it is not plausible."""
    text = str(cell).strip()
    if name == "key":
        key = parse_key(text)
        return None if key is None else key_facts(*key)
    if name == "vocals":
        flag = _value(cell, "flag")
        return None if flag is None else {name: "yes" if flag else "no"}
    if name == "bpm":
        return _named(name, parse_bpm(text))
    if name == "isrc":
        return _named(name, parse_isrc(text))
    return _named(name, _value(cell, BUILT_IN[name]))


def _named(name: str, value: Value | None) -> Mapping[str, Value] | None:
    return None if value is None else {name: value}


def _expected(name: str, kind: Kind) -> str:
    special = {
        "key": "a key, such as 'A minor', 'Am' or '8A'",
        "vocals": "yes or no",
        "bpm": "a tempo from 30 to 300",
        "isrc": "an ISRC, such as USRC17607839",
    }
    return special.get(name, _EXPECTED[kind])


def _is_empty(cell: Any) -> bool:
    return (
        cell is None
        or (isinstance(cell, float) and math.isnan(cell))
        or not str(cell).strip()
        or cell in ([], ())
    )
