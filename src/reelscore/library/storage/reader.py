"""Read one version of a library with LanceDB."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from json import JSONDecodeError
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reelscore.errors import ArtifactError, NotFoundError
from reelscore.objects import S3Folder
from reelscore.types import FloatArray, Track

from . import schema
from .entry import Moments, NotUnitError, TrackEntry, check_moments
from .exact_search import Rows, checked_query, cosines
from .facts import BUILT_IN, TRACK_KINDS, Kind, TrackDetails, TrackFacts, sql_name
from .filters import one_of, quoted
from .generations import DETAILS_NAME
from .lance import Table
from .location import Location, location_of
from .meta import LibraryMeta, Pointer, damaged
from .names import conditions_of

_MANY_KEYS = 2000  # above, reading all rows is faster than finding these
_ROWS_A_PART = 1024


class View:
    """The version of a library that was newest when it was opened. Implements `Searcher`."""

    def __init__(self, location: Location, pointer: Pointer, table: Table) -> None:
        self.path = location.library
        self._location = location
        self._pointer = pointer
        self._table = table
        self._rows: Rows | None = None
        self._indexed: bool | None = None
        self._items: dict[str, list[str]] = {}

    @classmethod
    def open(cls, library: Path | str | S3Folder | Location) -> Self:
        """Open a library at its newest version.

        Raises
        ------
        NotFoundError
            When there is none.
        ArtifactError
            When it is damaged or of a newer format.
        """
        location = location_of(library)
        pointer = location.read()
        try:
            table = Table(location, pointer.generation)
        except ArtifactError:
            again = location.read()
            if again == pointer:
                raise
            # A rebuild ended in between.
            pointer, table = again, Table(location, again.generation)
        return cls(location, pointer, table)

    @classmethod
    def open_version(cls, location: Location, pointer: Pointer, version: int) -> Self:
        """Open a library at an older version; raise `ArtifactError` if it was deleted."""
        return cls(location, pointer, Table(location, pointer.generation, version=version))

    @property
    def meta(self) -> LibraryMeta:
        """What the library was built with."""
        return self._pointer.meta

    @property
    def version(self) -> int:
        """Version of the table of tracks."""
        return self._table.version

    def __len__(self) -> int:
        return self._table.count()

    def refresh(self) -> None:
        """Move to the newest version, also across a rebuild."""
        pointer = self._location.read()
        if pointer == self._pointer:
            self._table.refresh()
        else:
            self._pointer, self._table = pointer, Table(self._location, pointer.generation)
        self._forget()

    def paths(self) -> dict[str, str]:
        """Return the path of every track, by key."""
        table = self._table.scan(["key", "path"])
        return dict(zip(table["key"].to_pylist(), table["path"].to_pylist(), strict=True))

    def file_states(self, paths: Sequence[str]) -> dict[str, tuple[int, int, str]]:
        """Return ``{path: (size_bytes, mtime_ns, key)}`` of tracks, by which unchanged files are recognised."""
        table = self._scan_of("path", paths, ["path", "size_bytes", "mtime_ns", "key"])
        stored, *columns = (column.to_pylist() for column in table.columns)
        found = dict(zip(stored, zip(*columns, strict=True), strict=True))
        return {path: found[path] for path in paths if path in found}

    def keys(self) -> list[str]:
        """Return all keys, ascending."""
        return sorted(self._table.scan(["key"])["key"].to_pylist())

    def tracks(self, where: str | None = None, *, limit: int | None = None, offset: int = 0) -> list[Track]:
        """Return tracks ordered by path, then key."""
        table = self._table.scan(schema.TRACK_COLUMNS, where=where)
        table = table.sort_by([("path", "ascending"), ("key", "ascending")]).slice(offset, limit)
        return schema.tracks_of(table)

    def entries(self) -> Iterator[TrackEntry]:
        """Yield every entry, in no promised order and bounded memory."""
        for part in self._table.scan_in_parts():
            yield from schema.table_to_entries(part)

    def entries_of(self, keys: Sequence[str]) -> dict[str, TrackEntry]:
        """Return the entry, with its details, of each of `keys` in the library."""
        if not keys:
            return {}
        details = self.details(keys)
        found = schema.table_to_entries(self._table.scan(where=one_of("key", list(keys))))
        return {entry.track.key: replace(entry, details=details.get(entry.track.key)) for entry in found}

    def get(self, name: str) -> TrackEntry:
        """Return the entry with this path, key or title, or with this prefix of its key or title.

        An exact match takes precedence over a prefix. A path may be relative, begin with ``~`` or lead over links;
        accents may be composed or not. Case does not matter in titles.

        Raises
        ------
        NotFoundError
            When no track or more than one matches; the message lists the candidates.
        """
        # No track has a name with surrogates, the bytes that are not UTF-8; LanceDB cannot compare them.
        if name and not any("\ud800" <= character <= "\udfff" for character in name):
            for where in conditions_of(name):
                found = self._table.scan(["key", "title", "path"], where=where).sort_by("path").to_pylist()
                if len(found) == 1:
                    row = self._table.scan(where=f"key = {quoted(found[0]['key'])}")
                    return next(schema.table_to_entries(row))
                if found:
                    several = ", ".join(f"{row['title']!r} ({row['path']})" for row in found[:5])
                    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
                    raise NotFoundError(f"{name!r} matches {several}{more}. Give the path or key of one")
        raise NotFoundError(
            f"no track {name!r} in {self.path}. List its tracks: reelscore list --library {self.path}"
        )

    def search(self, query: FloatArray, k: int, *, where: str | None = None) -> list[tuple[Track, float]]:
        """Return the `k` nearest tracks with their cosine, best first, ties by key; see `Searcher.search`.

        Without an index the result is exact. With one, the set of tracks is approximate, their scores are exact.
        """
        if self._indexed is None:
            self._indexed = self._table.has_index()
        with self._damage():
            if not self._indexed:
                rows = self.all_rows()
                allowed = None if where is None else rows.rows_of(self.keys_where(where))
                return rows.search(query, k, allowed=allowed)
            query = checked_query(query, k, dim=self.meta.dim)
            found = self._table.near(query, k, [schema.TRACK_JSON, "embedding"], where=where)
            scores = cosines(schema.embeddings_of(found), query).tolist()
            tracks = schema.tracks_of_json(found)
        ranked = sorted(zip(tracks, scores, strict=True), key=lambda pair: (-pair[1], pair[0].key))
        return ranked[:k]

    def cosines(self, query: FloatArray) -> npt.NDArray[np.float64]:
        """Return the cosine of every track with a query (D,), in the order of `all_rows`; see `Rows.cosines`."""
        with self._damage():
            return self.all_rows().cosines(query)

    def tag_cosines(self, query: FloatArray) -> npt.NDArray[np.float64]:
        """Return the cosine of all tag scores with a query (V,); see `Rows.tag_cosines`."""
        with self._damage():
            return self.all_rows().tag_cosines(query)

    def count_without_tags(self) -> int:
        """Return the number of tracks without tag scores in a library that keeps them."""
        return self._table.count(f"{schema.TAG_SCORES} IS NULL") if self.meta.has_tags else 0

    def embeddings(self, keys: Sequence[str]) -> dict[str, FloatArray]:
        """Return the embedding (D,) of each of `keys` in the library."""
        if not keys:
            return {}
        table = self._table.scan(["key", "embedding"], where=one_of("key", list(keys)))
        return dict(zip(table["key"].to_pylist(), schema.embeddings_of(table), strict=True))

    def moments(self, keys: Sequence[str]) -> dict[str, Moments]:
        """Return (embeddings (T, D), starts_s (T,), ends_s (T,)) for each of `keys` in the library."""
        if not keys:
            return {}
        table = self._table.scan(schema.MOMENT_COLUMNS, where=one_of("key", list(keys)))
        found = schema.moments_of(table, dim=self.meta.dim)
        with self._damage():
            check_moments(found)
        return found

    def facts(self, keys: Sequence[str]) -> dict[str, TrackFacts]:
        """Return the facts about each of `keys` in the library."""
        columns = schema.FACT_COLUMNS if self.meta.has_facts else ("key",)
        with self._damage():
            found = schema.facts_of(self._scan_of("key", keys, columns))
        return {key: found[key] for key in keys if key in found}

    def _scan_of(self, name: str, values: Sequence[str], columns: Sequence[str]) -> pa.Table:
        """Return columns of at least the rows with one of some values."""
        where = one_of(name, list(values)) if len(values) <= _MANY_KEYS else None
        return self._table.scan(columns, where=where if values else "false")

    def column(self, name: str) -> tuple[npt.NDArray[np.uint64], pa.ChunkedArray]:
        """Return the identifiers of the rows, and a column in the same order; raise KeyError if there is none."""
        if name not in self._table.schema.names:
            raise KeyError(name)
        table = self._table.column(name)
        return table["_rowid"].to_numpy(), table[name]

    def columns(self) -> dict[str, Kind]:
        """Return every column that a condition may use."""
        return {**TRACK_KINDS, **(BUILT_IN if self.meta.has_facts else {}), **self.imported()}

    def imported(self) -> dict[str, Kind]:
        """Return the imported columns."""
        return schema.imported_columns(self._table.schema)

    def keys_where(self, sql: str) -> set[str]:
        """Return the keys of the tracks that meet an SQL condition; raise `InputError` if it is not valid.

        It may use the names of `facts.sql_name`.
        """
        return self._table.keys_where(sql)

    def count_where(self, sql: str) -> int:
        """Return the number of tracks that meet an SQL condition over the names of `facts.sql_name`."""
        return self._table.count(sql)

    def items(self, column: str) -> Collection[str]:
        """Return the different items of a list column; read once per version."""
        if column not in self._items:
            name = sql_name(column)
            self._items[column] = schema.items_of(self._table.scan([name])[name])
        return self._items[column]

    def details(self, keys: Sequence[str]) -> dict[str, TrackDetails]:
        """Return the details of each of `keys` that has some."""
        if not keys or not self.meta.has_facts:
            return {}
        table = Table(self._location, self._pointer.generation, DETAILS_NAME)
        return schema.details_of(table.scan(where=one_of("key", list(keys))))

    def all_rows(self) -> Rows:
        """Return all tracks; read once per version."""
        if self._rows is None:
            self._rows = self.rows_where([None])
        return self._rows

    def rows_where(self, conditions: Sequence[str | None]) -> Rows:
        """Return the tracks that meet one of several SQL conditions; None is met by all."""
        columns = [*schema.ROW_COLUMNS, *([schema.TAG_SCORES] if self.meta.has_tags else [])]
        return schema.table_to_rows(pa.concat_tables(self._table.scan(columns, where=w) for w in conditions))

    def keys_and_revisions(self) -> pa.Table:
        """Return key and revision of every track, in no promised order."""
        return self._table.scan(["key", "revision"])

    def contents(self, keys: Sequence[str]) -> Iterator[tuple[dict[str, Moments], dict[str, TrackFacts]]]:
        """Yield the moments and facts of tracks, in parts of bounded size and no promised order."""
        if len(keys) <= _MANY_KEYS:
            yield self.moments(keys), self.facts(keys)
            return
        wanted = set(keys)
        facts = schema.FACT_COLUMNS[1:] if self.meta.has_facts else ()
        for part in self._table.scan_in_parts([*schema.MOMENT_COLUMNS, *facts], num_rows=_ROWS_A_PART):
            chosen = part.filter(pa.array([key in wanted for key in part["key"].to_pylist()]))
            moments = schema.moments_of(chosen, dim=self.meta.dim)
            with self._damage():
                check_moments(moments)
                yield moments, schema.facts_of(chosen)

    @contextmanager
    def _damage(self) -> Iterator[None]:
        try:
            yield
        except (NotUnitError, JSONDecodeError, TypeError) as error:
            raise damaged(self.path, str(error)) from error

    def _forget(self) -> None:
        self._rows = self._indexed = None
        self._items = {}
