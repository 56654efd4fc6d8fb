"""Import columns about tracks from a table, such as licence, and delete them."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reelscore.data.tables import TableRow, read_table
from reelscore.errors import ArtifactError, InputError, NotFoundError
from reelscore.files import existing_file
from reelscore.types import Track

from .cells import Column, column_of, stored_names
from .file_tags import parse_isrc
from .storage.facts import Kind, TrackFacts, Value

if TYPE_CHECKING:
    from .storage.store import Store

MATCHED_BY = ("path", "isrc", "title")
"""Columns that identify a track, in this order; ``title`` together with ``artist``."""

_MOST_LINES = 5


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """Outcome of an import.

    Attributes
    ----------
    columns : tuple of str
        Imported columns.
    tracks : int
        Tracks with a row.
    matched : int
        Rows with a track.
    unmatched, ambiguous : tuple of str
        Lines without a track, and those that several tracks match.
    notes : tuple of str
        How the file was read.
    """

    columns: tuple[str, ...]
    tracks: int
    matched: int
    unmatched: tuple[str, ...] = ()
    ambiguous: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    cells: Mapping[str, Any]


def import_columns(store: Store, path: Path | str) -> ImportSummary:
    """Store the columns of a table with the tracks that its rows match.

    A row matches by ``path`` (absolute, or relative to the table's folder), else by ``isrc``, else by ``title`` and
    ``artist``. All other columns are stored. A column's cells are numbers, yes and no, lists (parts separated by
    semicolons) or text. An empty cell removes what was imported before.

    Raises
    ------
    NotFoundError, InputError
        When the table cannot be read, a cell or a column name is invalid, two rows contradict each other, or no row
        matches. Nothing is stored then.
    ArtifactError
        When the library has an older format, which stores no facts.
    """
    path = existing_file(path)
    if not store.meta.has_facts:
        raise ArtifactError(
            f"the library {store.path} has an older format without columns to import. Upgrade it: reelscore rebuild "
            f"--library {store.path}"
        )
    table = read_table(path, required=MATCHED_BY)
    rows = list(_checked(path, table.rows))
    columns = _columns(path, table.columns, rows, store.imported())
    store.begin()
    facts = store.facts(store.keys())
    index = _TrackIndex(store.tracks(), facts, path.parent)
    chosen: dict[str, tuple[int, dict[str, Value]]] = {}
    unmatched: list[str] = []
    ambiguous: list[str] = []
    matched = 0
    for row in rows:
        keys, what = index.find(row.cells)
        if not keys:
            unmatched.append(f"line {row.line}: no track with {what}")
            continue
        # An ISRC names a recording, of which there may be copies.
        if len(keys) > 1 and not what.startswith("ISRC"):
            ambiguous.append(f"line {row.line}: {len(keys)} tracks have the {what}")
            continue
        matched += 1
        values = {n: v for column in columns for n, v in column.values.get(row.line, {}).items()}
        for key in keys:
            line, before = chosen.setdefault(key, (row.line, values))
            if before != values:
                raise InputError(
                    f"{path}, lines {line} and {row.line} are about the same track and differ, so nothing was "
                    "imported. Delete one of them"
                )
    _check_result(path, columns, matched, unmatched, ambiguous)
    store.import_columns({c.name: c.kind for c in columns if not c.is_known})
    names = {name for column in columns for name in column.stored}
    store.change_facts({key: partial(_updated, names=names, values=v) for key, (_, v) in chosen.items()})
    return ImportSummary(
        tuple(column.name for column in columns),
        len(chosen),
        matched,
        tuple(unmatched),
        tuple(ambiguous),
        table.notes,
    )


def remove_columns(store: Store, names: Sequence[str]) -> int:
    """Delete imported columns, and return the number of tracks that had a value.

    What tags and analysis say about the tracks counts again. Nothing is deleted unless every name is imported.

    Raises
    ------
    NotFoundError
        When nothing was imported under a name.
    """
    chosen = {name: stored_names(name) for name in names}
    store.begin()
    imported = store.imported()
    facts = store.facts(store.keys())
    by_key = {key: one.by_source().get("csv", {}) for key, one in facts.items()}
    present = {name for values in by_key.values() for name in values} | set(imported)
    for name, stored in chosen.items():
        if not present & set(stored):
            known = ", ".join(sorted(present)) or "none"
            raise NotFoundError(
                f"the library {store.path} has no imported column {name!r}. The imported columns are: {known}"
            )
    removed = {name for stored in chosen.values() for name in stored}
    changed = {key for key, values in by_key.items() if removed & set(values)}
    store.change_facts({key: partial(_updated, names=removed, values={}) for key in sorted(changed)})
    store.drop_columns([name for name in imported if name in removed])
    return len(changed)


def _columns(
    path: Path, headers: Collection[str], rows: Sequence[_Row], imported: Mapping[str, Kind]
) -> list[Column]:
    """Return the columns that are not both new and empty; raise `InputError` for two of the same name."""
    columns: dict[str, Column] = {}
    for header in sorted(set(headers) - {"path", "title", "artist"}):
        cells = [(row.line, row.cells[header]) for row in rows if header in row.cells]
        column = column_of(path, header, cells, imported)
        if column.name in columns:
            raise InputError(
                f"{path} has two columns that are both named {column.name!r} in a library. Rename one. Nothing was "
                "imported"
            )
        columns[column.name] = column
    if not {"path", "title"} & set(headers):
        del columns["isrc"]  # it only identifies the tracks
    return [column for column in columns.values() if column.values or column.is_known]


def _checked(path: Path, rows: Sequence[TableRow]) -> Iterator[_Row]:
    """Yield the rows; raise `InputError` if one cannot be read."""
    for row in rows:
        if isinstance(row.cells, str):
            raise InputError(f"{path}, line {row.line}: {row.cells}. Nothing was imported")
        yield _Row(row.line, row.cells)


class _TrackIndex:
    """Keys of tracks by path, ISRC, and title with artist."""

    def __init__(self, tracks: Sequence[Track], facts: Mapping[str, TrackFacts], folder: Path) -> None:
        self._folder = folder
        self._by_path: dict[str, set[str]] = {}
        self._by_isrc: dict[str, set[str]] = {}
        self._by_title: dict[tuple[str, str], set[str]] = {}
        for track in tracks:
            self._by_path.setdefault(_composed(track.path), set()).add(track.key)
            self._by_title.setdefault((_folded(track.title), _folded(track.artist)), set()).add(track.key)
            if isrc := facts[track.key].values.get("isrc"):
                self._by_isrc.setdefault(str(isrc), set()).add(track.key)

    def find(self, cells: Mapping[str, Any]) -> tuple[set[str], str]:
        """Return the keys that a row matches, and by what, for messages."""
        texts = {name: str(cells.get(name) or "").strip() for name in ("path", "isrc", "title", "artist")}
        tried = []
        if texts["path"]:
            joined = self._folder / Path(texts["path"]).expanduser()
            for one in (os.path.abspath(joined), os.path.realpath(joined)):  # noqa: PTH100
                if keys := self._by_path.get(_composed(one)):
                    return keys, f"path {texts['path']!r}"
            tried.append(f"path {texts['path']!r}")
        if texts["isrc"]:
            if keys := self._by_isrc.get(parse_isrc(texts["isrc"]) or ""):
                return keys, f"ISRC {texts['isrc']}"
            tried.append(f"ISRC {texts['isrc']}")
        if texts["title"]:
            by = f" by {texts['artist']!r}" if texts["artist"] else ""
            tried.append(f"title {texts['title']!r}{by}")
            if keys := self._by_title.get((_folded(texts["title"]), _folded(texts["artist"]))):
                return keys, tried[-1]
        return set(), " or ".join(tried) or "an empty path, ISRC and title"


def _updated(facts: TrackFacts, names: set[str], values: Mapping[str, Value]) -> TrackFacts:
    """Return facts with the imported columns `names` replaced by `values`."""
    kept = {name: value for name, value in facts.by_source().get("csv", {}).items() if name not in names}
    return facts.with_source("csv", kept | dict(values))


def _check_result(
    path: Path, columns: Sequence[Column], matched: int, unmatched: Sequence[str], ambiguous: Sequence[str]
) -> None:
    if not columns:
        raise InputError(
            f"{path} has no column to import next to {', '.join((*MATCHED_BY, 'artist'))}, or all its cells are "
            "empty. Add one, such as licence"
        )
    if not matched:
        lines = "; ".join([*unmatched, *ambiguous][:_MOST_LINES])
        raise InputError(
            f"{path}: no row matches a track, so nothing was imported ({lines}). A row needs the path, the ISRC, or "
            "the title and artist of a track as 'reelscore list --paths' and 'reelscore show' print them"
        )


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _folded(text: str) -> str:
    return " ".join(_composed(text).casefold().split())
