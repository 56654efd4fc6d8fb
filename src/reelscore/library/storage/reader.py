"""One version of a library, for reading: names, filters and queries enter, tracks and moments leave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from json import JSONDecodeError
from pathlib import Path
from typing import Self

from reelscore.errors import ArtifactError, NotFoundError
from reelscore.library.storage.entry import Moments, check_moments
from reelscore.types import FloatArray, Track

from . import schema
from .entry import NotUnitError, TrackEntry
from .exact_search import Rows, checked_query, cosines
from .filters import TrackFilter, one_of, quoted
from .lance import TrackTable
from .meta import LibraryMeta, Pointer, damaged, read_pointer


class View:
    """The version of a library that was newest when it was opened, whatever others write meanwhile."""

    def __init__(self, path: Path, pointer: Pointer, table: TrackTable) -> None:
        self.path = path
        self._pointer = pointer
        self._table = table
        self._rows: Rows | None = None
        self._indexed: bool | None = None

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Open the library at `path` at its newest version.

        Raises
        ------
        NotFoundError
            When there is none.
        ArtifactError
            When it is damaged or of a newer format.
        """
        library = Path(path)
        pointer = read_pointer(library)
        try:
            table = TrackTable(library, pointer.generation)
        except ArtifactError:
            again = read_pointer(library)
            if again == pointer:
                raise
            pointer, table = again, TrackTable(library, again.generation)  # a rebuild ended just now
        return cls(library, pointer, table)

    @property
    def meta(self) -> LibraryMeta:
        """What the library was built with."""
        return self._pointer.meta

    def __len__(self) -> int:
        return self._table.count()

    def refresh(self) -> None:
        """Move to the newest version, across a rebuild too."""
        pointer = read_pointer(self.path)
        if pointer == self._pointer:
            self._table.refresh()
        else:
            self._pointer, self._table = pointer, TrackTable(self.path, pointer.generation)
        self._forget()

    def known(self) -> dict[str, tuple[int, int, str]]:
        """Return ``{path: (size_bytes, mtime_ns, key)}``: which files need no second look."""
        table = self._table.scan(["path", "size_bytes", "mtime_ns", "key"])
        paths, sizes, times, keys = (column.to_pylist() for column in table.columns)
        return dict(zip(paths, zip(sizes, times, keys, strict=True), strict=True))

    def keys(self) -> list[str]:
        """Return all keys, ascending."""
        return sorted(self._table.scan(["key"])["key"].to_pylist())

    def tracks(
        self, where: TrackFilter | None = None, *, limit: int | None = None, offset: int = 0
    ) -> list[Track]:
        """Return tracks ordered by path, then key."""
        table = self._table.scan(schema.TRACK_COLUMNS, where=_sql(where))
        table = table.sort_by([("path", "ascending"), ("key", "ascending")]).slice(offset, limit)
        return schema.tracks_of(table)

    def entries(self) -> Iterator[TrackEntry]:
        """Yield every entry, in no promised order and bounded memory."""
        for part in self._table.scan_in_parts():
            yield from schema.table_to_entries(part)

    def get(self, name: str) -> TrackEntry:
        """Return the one entry with this path, key or title, or whose key or title begins so.

        An exact hit wins over a beginning. Case does not matter in titles.

        Raises
        ------
        NotFoundError
            When no track or more than one is meant; the message lists the candidates.
        """
        text, lower = quoted(name), quoted(name.lower())
        for where in (
            f"path = {text} OR key = {text}",
            f"lower(title) = {lower}",
            f"starts_with(key, {text}) OR starts_with(lower(title), {lower})",
        ):
            found = (
                self._table.scan(["key", "title", "path"], where=where).sort_by("path").to_pylist()
                if name
                else []
            )
            if len(found) == 1:
                return self._entry(found[0]["key"])
            if found:
                several = ", ".join(f"{row['title']!r} ({row['path']})" for row in found[:5])
                more = f" and {len(found) - 5} more" if len(found) > 5 else ""
                raise NotFoundError(f"{name!r} may be {several}{more}; name one by its path or key")
        raise NotFoundError(f"no track {name!r} in {self.path}; see reelscore list --library {self.path}")

    def search(
        self, query: FloatArray, k: int, *, where: TrackFilter | None = None
    ) -> list[tuple[Track, float]]:
        """Return the `k` nearest tracks with their cosine, best first, ties by key.

        Exact and equal to the snapshot's answer without an index; with one (`optimize`), approximate in
        which tracks are found, exact in their scores.

        Parameters
        ----------
        query : ndarray of float32, shape (D,)
            Norm 1.
        k : int
            At least 1; fewer come back from a smaller library.
        where : TrackFilter, optional
        """
        if self._indexed is None:
            self._indexed = self._table.has_index()
        try:
            if not self._indexed:
                return self._all_rows().search(query, k, where=where)
            query = checked_query(query, k, dim=self.meta.dim)
            found = self._table.near(query, k, where=_sql(where))
            scores = cosines(schema.embeddings_of(found), query).tolist()
            tracks = schema.carded_tracks_of(found)
        except (NotUnitError, JSONDecodeError, TypeError) as error:
            raise damaged(self.path, str(error)) from error
        ranked = sorted(zip(tracks, scores, strict=True), key=lambda pair: (-pair[1], pair[0].key))
        return ranked[:k]

    def embeddings(self, keys: Sequence[str]) -> dict[str, FloatArray]:
        """Return the embedding (D,) of each of `keys` that is there."""
        if not keys:
            return {}
        table = self._table.scan(["key", "embedding"], where=one_of("key", list(keys)))
        return dict(zip(table["key"].to_pylist(), schema.embeddings_of(table), strict=True))

    def moments(self, keys: Sequence[str]) -> dict[str, Moments]:
        """Return (embeddings (T, D), starts_s (T,), ends_s (T,)) for each of `keys` that is there."""
        if not keys:
            return {}
        table = self._table.scan(schema.MOMENT_COLUMNS, where=one_of("key", list(keys)))
        found = schema.moments_of(table, dim=self.meta.dim)
        try:
            check_moments(found)
        except NotUnitError as error:
            raise damaged(self.path, str(error)) from error
        return found

    def _all_rows(self) -> Rows:
        if self._rows is None:
            self._rows = schema.table_to_rows(self._table.scan(schema.ROW_COLUMNS))
        return self._rows

    def _entry(self, key: str) -> TrackEntry:
        return next(schema.table_to_entries(self._table.scan(where=f"key = {quoted(key)}")))

    def _forget(self) -> None:
        self._rows = self._indexed = None


def _sql(where: TrackFilter | None) -> str | None:
    return None if where is None else where.sql()
