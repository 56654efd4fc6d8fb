"""The library on disk, LanceDB inside: entries enter in whole commits, ranked tracks and their moments leave."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from types import TracebackType

import pyarrow as pa

from ..domain import FloatArray, Track
from ..errors import ArtifactError, InputError, NotFoundError
from . import schema
from .entry import NotUnitError, TrackEntry
from .filter import TrackFilter, one_of, quoted
from .lock import WriterLock
from .meta import LibraryMeta, Pointer, damaged, read_pointer, write_pointer
from .moments import Moments, check_moments
from .rows import EXACT_UP_TO, Rows, checked_query, cosines
from .snapshot import tables_folder, write_snapshot
from .tables import TrackTable

_WAIT_S = 5.0
_COMPACT_FROM = 32  # pieces in a table: each commit adds one or two
_REBUILD_BATCH = 256


class Store:
    """A library folder, open: a consistent view of one version, and the one door for writing.

    Readers see the version that they opened until they `refresh`, whatever others write meanwhile. The
    first write takes the writer's lock, moves to the newest version and keeps the lock until `finish`;
    a second writer waits five seconds for it and then raises `ArtifactError`. Each `upsert`, `relocate`
    and `remove` is one commit: after a kill at any instant it has happened or has not.

    Use `Store.open` or `Store.create`; as a context manager it finishes at the end of the block.
    """

    def __init__(self, path: Path, pointer: Pointer, table: TrackTable, lock: WriterLock | None) -> None:
        self.path = path
        self._pointer = pointer
        self._table = table
        self._lock = lock
        self._rows: Rows | None = None
        self._indexed: bool | None = None

    @classmethod
    def create(cls, path: Path | str, meta: LibraryMeta) -> Store:
        """Make an empty library and open it for writing.

        Raises
        ------
        ArtifactError
            When there is a library already, something else lies there, or another process writes.
        """
        library = Path(path)
        try:
            library.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ArtifactError(
                f"cannot make the folder {library}: {error.strerror}; name another place"
            ) from error
        lock = WriterLock(library, wait_s=_WAIT_S)
        try:
            if LibraryMeta.exists(library):
                raise ArtifactError(f"{library} is a library already; open it, or name another place")
            foreign = sorted({entry.name for entry in library.iterdir()} - {"lock", "tables", "snapshot"})
            if any(not name.startswith(".library.json.") for name in foreign):
                raise ArtifactError(
                    f"{library} holds other things ({foreign[0]}); name an empty or a new folder"
                )
            created = meta.created or datetime.now(UTC).isoformat(timespec="seconds")
            pointer = Pointer(replace(meta, created=created), 1)
            table = TrackTable(library, 1, schema=schema.table_schema(meta.dim))
            _write_pointer(library, pointer)
        except BaseException:
            lock.release()
            raise
        return cls(library, pointer, table, lock)

    @classmethod
    def open(cls, path: Path | str) -> Store:
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
        return cls(library, pointer, table, None)

    @property
    def meta(self) -> LibraryMeta:
        """What the library was built with."""
        return self._pointer.meta

    def __len__(self) -> int:
        return self._table.count()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()

    # Reading

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
        table = self._table.scan(["key", "path", "title", "artist", "duration_s"], where=_sql(where))
        table = table.sort_by([("path", "ascending"), ("key", "ascending")]).slice(offset, limit)
        return [Track(**row) for row in table.to_pylist()]

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
        except NotUnitError as error:
            raise damaged(self.path, str(error)) from error
        tracks = [Track(**row) for row in found.select(list(Track.__dataclass_fields__)).to_pylist()]
        return sorted(zip(tracks, scores, strict=True), key=lambda pair: (-pair[1], pair[0].key))

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

    # Writing

    def begin(self, *, wait_s: float = _WAIT_S) -> None:
        """Take the writer's lock and move to the newest version; every write does so by itself.

        Raises
        ------
        ArtifactError
            When another process writes for longer than `wait_s`.
        """
        if self._lock is None:
            lock = WriterLock(self.path, wait_s=wait_s)
            try:
                self.refresh()
            except BaseException:
                lock.release()
                raise
            self._lock = lock
            self._sweep()

    def upsert(self, entries: Iterable[TrackEntry]) -> None:
        """Insert entries or replace those of the same key, in one commit.

        A track of another key at the path of a new one leaves in the same commit: its file has changed.
        Of several entries with one key or one path the last counts.
        """
        by_path = {entry.track.path: entry for entry in entries}
        batch = list({entry.track.key: entry for entry in by_path.values()}.values())
        if not batch:
            return
        for entry in batch:
            if len(entry.embedding) != self.meta.dim:
                raise InputError(
                    f"{entry.track.path} has D={len(entry.embedding)}, the library D={self.meta.dim}"
                )
        self.begin()
        new_keys = {entry.track.key for entry in batch}
        at_paths = self._table.scan(["key"], where=one_of("path", [entry.track.path for entry in batch]))
        replaced = sorted(set(at_paths["key"].to_pylist()) - new_keys)
        rows = schema.entries_to_table(batch, dim=self.meta.dim, revision=self._table.version + 1)
        self._table.merge(rows, replaced_keys=replaced)
        self._forget()

    def relocate(self, key: str, path: str, size_bytes: int, mtime_ns: int) -> None:
        """Say where the file of a track lies now; `NotFoundError` where there is no such track."""
        self.begin()
        values = {"path": path, "size_bytes": size_bytes, "mtime_ns": mtime_ns}
        if self._table.update(f"key = {quoted(key)}", values) == 0:
            raise NotFoundError(f"no track with key {key!r} in {self.path}")
        self._forget()

    def remove(self, keys: Sequence[str]) -> int:
        """Remove tracks by key in one commit and return how many were there."""
        if not keys:
            return 0
        self.begin()
        removed = self._table.delete(one_of("key", list(keys)))
        self._forget()
        return removed

    def load(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Fill an empty library from Arrow batches in one commit: the way in for a large catalogue.

        Each batch needs all columns of `schema.table_schema`; keys must be unique over all of them.
        """
        self.begin()
        if len(self):
            raise InputError(f"load fills an empty library, {self.path} holds {len(self)} tracks; use upsert")
        self._table.append(pa.RecordBatchReader.from_batches(schema.table_schema(self.meta.dim), batches))
        self._forget()

    def replace(self, meta: LibraryMeta, entries: Iterable[TrackEntry]) -> None:
        """Replace meta and all tracks at one instant; until then, and after any error, the old library stays."""
        self.begin()
        created = meta.created or datetime.now(UTC).isoformat(timespec="seconds")
        pointer = Pointer(replace(meta, created=created), self._pointer.generation + 1)
        try:
            table = TrackTable(self.path, pointer.generation, schema=schema.table_schema(meta.dim))
            following = Store(self.path, pointer, table, self._lock)
            remaining = iter(entries)
            while batch := list(islice(remaining, _REBUILD_BATCH)):
                following.upsert(batch)
            _write_pointer(self.path, pointer)
        except BaseException:
            shutil.rmtree(tables_folder(self.path, pointer.generation), ignore_errors=True)
            raise
        self._pointer, self._table = pointer, table
        self._forget()
        self._sweep()
        self.finish()

    def optimize(self) -> None:
        """Merge small pieces and, above `EXACT_UP_TO` tracks, build or update the index."""
        self.begin()
        self._table.compact()
        if len(self) > EXACT_UP_TO and not self._table.has_index():
            self._table.build_index()
        self._forget()

    def finish(self) -> None:
        """End writing: tidy where that is due, leave a snapshot, let the next writer in."""
        if self._lock is None:
            return
        try:
            if self._table.num_fragments() >= _COMPACT_FROM:
                self.optimize()
            self._snapshot()
        finally:
            self._lock.release()
            self._lock = None

    def leave_snapshot(self) -> None:
        """Leave a snapshot for the next reader unless another process writes or the folder is read-only."""
        with suppress(ArtifactError, OSError):
            self.begin(wait_s=0.0)
            self.finish()

    def _snapshot(self) -> None:
        with suppress(OSError):  # a full disk: readers do without it
            if len(self) > EXACT_UP_TO:
                return
            write_snapshot(self.path, self._pointer, self._table.version, self._all_rows(), self.moments)

    def _all_rows(self) -> Rows:
        if self._rows is None:
            self._rows = schema.table_to_rows(self._table.scan(schema.ROW_COLUMNS))
        return self._rows

    def _entry(self, key: str) -> TrackEntry:
        return next(schema.table_to_entries(self._table.scan(where=f"key = {quoted(key)}")))

    def _forget(self) -> None:
        self._rows = self._indexed = None

    def _sweep(self) -> None:
        """Delete the tables of other generations: a rebuild's old ones, or what a killed one left."""
        live = tables_folder(self.path, self._pointer.generation)
        for folder in live.parent.iterdir():
            if folder != live:
                shutil.rmtree(folder, ignore_errors=True)


def _sql(where: TrackFilter | None) -> str | None:
    return None if where is None else where.sql()


def _write_pointer(library: Path, pointer: Pointer) -> None:
    try:
        write_pointer(library, pointer)
    except OSError as error:
        raise ArtifactError(
            f"cannot write to {library}: {error.strerror}; free some space or check its permissions and run this again"
        ) from error
