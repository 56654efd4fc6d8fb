"""The library on disk, LanceDB inside: entries enter in whole commits, ranked tracks and their moments leave."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa

from reelscore.errors import ArtifactError, InputError, NotFoundError

from . import schema
from .entry import TrackEntry
from .exact_search import EXACT_UP_TO
from .filters import one_of, quoted
from .lance import TrackTable
from .lock import WriterLock
from .meta import LibraryMeta, Pointer, foreign_entries, read_pointer, write_pointer
from .reader import View
from .snapshot import tables_folder, write_snapshot

_WAIT_S = 5.0
_COMPACT_FROM = 32  # pieces in a table: each commit adds one or two
_REBUILD_BATCH = 256


class Store(View):
    """A library folder, open: a `View` of one version, and the one door for writing.

    The first write takes the writer's lock, moves to the newest version and keeps the lock until `finish`;
    a second writer waits five seconds for it and then raises `ArtifactError`. Each `upsert`, `relocate`
    and `remove` is one commit: after a kill at any instant it has happened or has not.

    Use `Store.open` or `Store.create`; as a context manager it finishes at the end of the block.
    """

    def __init__(
        self, path: Path, pointer: Pointer, table: TrackTable, lock: WriterLock | None = None
    ) -> None:
        super().__init__(path, pointer, table)
        self._lock = lock

    @classmethod
    def create(cls, path: Path | str, meta: LibraryMeta) -> Self:
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
            if foreign := foreign_entries(library):
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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()

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
        batch = _last_of_each(entries)
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
        found = self._table.scan(schema.TRACK_COLUMNS, where=one_of("key", [key]))
        if len(found) == 0:
            raise NotFoundError(f"no track with key {key!r} in {self.path}")
        card = schema.card(replace(schema.tracks_of(found)[0], path=path))
        values = {"path": path, "size_bytes": size_bytes, "mtime_ns": mtime_ns, "card": card}
        self._table.update(f"key = {quoted(key)}", values)
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
            if read_pointer(self.path) != pointer:
                shutil.rmtree(tables_folder(self.path, pointer.generation), ignore_errors=True)
            self._release()
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
            self._release()

    def leave_snapshot(self) -> None:
        """Leave a snapshot for the next reader unless another process writes or the folder is read-only."""
        with suppress(ArtifactError, OSError):
            self.begin(wait_s=0.0)
            self.finish()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _snapshot(self) -> None:
        with suppress(OSError):  # a full disk: readers do without it
            if len(self) > EXACT_UP_TO:
                return
            write_snapshot(self.path, self._pointer, self._table.version, self._all_rows(), self.moments)

    def _sweep(self) -> None:
        """Delete the tables of other generations: a rebuild's old ones, or what a killed one left."""
        live = tables_folder(self.path, self._pointer.generation)
        for folder in live.parent.iterdir():
            if folder != live:
                shutil.rmtree(folder, ignore_errors=True)


def _last_of_each(entries: Iterable[TrackEntry]) -> list[TrackEntry]:
    """Return what is left when each entry takes the place of earlier ones with its key or path."""
    by_key: dict[str, TrackEntry] = {}
    key_at: dict[str, str] = {}
    for entry in entries:
        track = entry.track
        earlier = by_key.pop(track.key, None)
        if earlier is not None:
            del key_at[earlier.track.path]
        by_key.pop(key_at.get(track.path, ""), None)
        by_key[track.key] = entry
        key_at[track.path] = track.key
    return list(by_key.values())


def _write_pointer(library: Path, pointer: Pointer) -> None:
    try:
        write_pointer(library, pointer)
    except OSError as error:
        raise ArtifactError(
            f"cannot write to {library}: {error.strerror}; free some space or check its permissions, "
            "then run this again"
        ) from error
