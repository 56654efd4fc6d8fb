"""Write a library with LanceDB, in atomic commits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa

from reelscore.errors import ArtifactError, InputError, ReelscoreError
from reelscore.objects import S3Folder
from reelscore.types import Track

from . import memory_index, schema
from .entry import TrackEntry
from .exact_search import EXACT_UP_TO
from .integrity import check_files, write_checksums
from .lance import Table, create_tables
from .location import Location, location_of
from .lock import acquire_writer_lock
from .meta import LibraryMeta, Pointer
from .snapshot import Snapshot
from .snapshot_writer import is_current, write_snapshot
from .writer import WAIT_S, Writer

_COMPACT_FROM = 32  # fragments; each commit adds one or two
_REBUILD_BATCH = 256
_SNAPSHOT_WAIT_S = 60.0  # for another process of this machine, which reads the same rows


class Store(Writer):
    """A library that can be read and written; create it with `Store.open` or `Store.create`.

    As a context manager, a store calls `finish` at the end of the block.
    """

    @classmethod
    def create(cls, library: Path | str | S3Folder | Location, meta: LibraryMeta) -> Self:
        """Create an empty library and open it for writing.

        Raises
        ------
        ArtifactError
            When there is a library already, the folder holds other files, or another process writes.
        ConfigError
            When the object store does not honour conditional writes.
        """
        location = location_of(library)
        library = location.library
        if isinstance(library, Path):
            try:
                library.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ArtifactError(
                    f"cannot create the folder {library}: {error.strerror}. Choose another folder"
                ) from error
        lock = location.lock(wait_s=WAIT_S)
        exists = f"{library} is a library already. Open it, or choose another folder"
        try:
            if location.exists():
                raise ArtifactError(exists)
            if foreign := location.foreign_entries():
                raise ArtifactError(
                    f"{library} holds other files ({foreign[0]}). Choose an empty or a new folder"
                )
            created = meta.created or datetime.now(UTC).isoformat(timespec="seconds")
            pointer = Pointer(replace(meta, created=created), location.new_generation(0))
            schemas = schema.table_schemas(meta, is_shared=location.is_shared)
            create_tables(location, pointer.generation, schemas)
            table = Table(location, pointer.generation)
            if not location.write(pointer):
                location.delete_tables(pointer.generation)
                raise ArtifactError(exists)
        except BaseException:
            if lock is not None:
                lock.release()
            raise
        return cls(location, pointer, table, lock=lock, is_writing=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()

    def load(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Fill an empty library from Arrow batches in one commit, for a large catalogue.

        Each batch needs all columns of `schema.table_schema`, and keys must be unique over all batches. On an object
        store, no other process may write meanwhile.
        """
        self.begin()
        if len(self):
            raise InputError(
                f"load fills an empty library, but {self.path} holds {len(self)} tracks. Use upsert"
            )
        self._table.append(pa.RecordBatchReader.from_batches(self._table.schema, batches))
        self._forget()

    def replace(
        self,
        meta: LibraryMeta,
        entries: Iterable[TrackEntry],
        *,
        embed: Callable[[Sequence[Track]], Iterable[TrackEntry]] | None = None,
    ) -> None:
        """Replace meta and all tracks atomically; after an error the old library is unchanged.

        Parameters
        ----------
        meta : LibraryMeta
        entries : iterable of TrackEntry
            Of all the tracks at the version that `begin` moved to.
        embed : callable, optional
            Returns the entries of tracks that other writers have added or changed meanwhile.

        Raises
        ------
        ArtifactError
            When others have changed the library meanwhile and there is no `embed`, or another rebuild ended first.
        """
        self.begin()
        created = meta.created or datetime.now(UTC).isoformat(timespec="seconds")
        generation = self._location.new_generation(self._pointer.generation)
        pointer = Pointer(replace(meta, created=created), generation)
        seen = self._revisions() if self._location.is_shared else {}
        try:
            schemas = schema.table_schemas(meta, self.imported(), is_shared=self._location.is_shared)
            create_tables(self._location, generation, schemas)
            table = Table(self._location, generation)
            rebuilt = Store(self._location, pointer, table, lock=self._lock, is_writing=True)
            rebuilt._is_live = False
            rebuilt._add_in_batches(entries)
            if self._location.is_shared:
                self._catch_up(rebuilt, seen, embed)
            if not self._location.write(pointer):
                raise ArtifactError(
                    f"another rebuild of the library {self.path} ended first, and its result stays. Run this again"
                )
        except BaseException:
            try:
                with suppress(ReelscoreError):  # the first error is the one to report
                    if self._location.read() != pointer:
                        self._location.delete_tables(generation)
            finally:
                self._release()
            raise
        if self._location.is_shared:
            # What was committed just before the pointer was replaced. Later commits are repeated by their writers.
            try:
                self._catch_up(rebuilt, seen, embed)
            except ArtifactError as error:
                self.notes.append(
                    f"tracks that other writers added to {self.path} during the rebuild are missing: {error}. Add them "
                    "again"
                )
        self._pointer, self._table = pointer, Table(self._location, generation)
        self._forget()
        if not self._location.is_shared:
            self._location.sweep(generation)
        self.finish()

    def _add_in_batches(self, entries: Iterable[TrackEntry]) -> None:
        remaining = iter(entries)
        while batch := list(islice(remaining, _REBUILD_BATCH)):
            self.upsert(batch)

    def _catch_up(
        self,
        rebuilt: Store,
        seen: dict[str, int],
        embed: Callable[[Sequence[Track]], Iterable[TrackEntry]] | None,
    ) -> None:
        """Repeat in a rebuilt library what others have changed since `seen`, the revisions by key."""
        while True:
            self._table.refresh()
            self._forget()
            now = self._revisions()
            late = {key for key, revision in now.items() if seen.get(key) != revision}
            if not late and seen.keys() == now.keys():
                return
            if embed is None:
                raise ArtifactError(
                    f"other writers changed the library {self.path} while it was rebuilt, so it stays as it is. Run "
                    "this again"
                )
            rebuilt.remove(sorted(seen.keys() - now.keys()))
            rebuilt._add_in_batches(embed([track for track in self.tracks() if track.key in late]))
            seen.clear()
            seen.update(now)

    def optimize(self) -> None:
        """Merge fragments and, above `EXACT_UP_TO` tracks without faiss, index the embeddings in the table."""
        self.begin()
        is_large = len(self) > EXACT_UP_TO
        for table in (self._table, *([self._details()] if self.meta.has_facts else [])):
            try:
                if is_large:
                    table.merge_small_fragments()
                table.compact()
            except ArtifactError as error:
                if not self._location.is_shared:
                    raise
                # Every commit is safe; the next writer tries again.
                self.notes.append(f"old versions of the library {self.path} stay for now: {error}")
        if self._location.is_shared:
            self._location.sweep(self._pointer.generation)
        self._build_index(again=self._table.num_fragments() >= _COMPACT_FROM)
        self._forget()

    def finish(self) -> None:
        """End writing: merge many fragments, write the snapshot or build the index, release the lock.

        In a folder, this checks the data files first, so that no damage is copied from them: all of them where all rows
        are copied, else those whose size or modification time has changed.
        """
        if not self._is_writing:
            return
        try:
            compacts = self._table.num_fragments() >= _COMPACT_FROM
            compares = compacts or self._keeps_snapshot()
            if compares:
                self.check_files(changed_only=not compacts and self._updated() is not None)
            (self.optimize if compacts else self._build_index)()
            self._snapshot()
            if isinstance(self.path, Path):
                write_checksums(self.path, self._pointer.generation, compared=compares)
        finally:
            self._release()

    def check_files(self, *, changed_only: bool = False) -> None:
        """Raise `ArtifactError` if a data file differs from what was written, in a folder; see `check_files`."""
        if isinstance(self.path, Path):
            check_files(self.path, self._pointer.generation, changed_only=changed_only)

    def leave_snapshot(self) -> None:
        """Write what searches read, as `finish` does, unless another process writes or the folder is read-only."""
        if self._location.is_shared:
            with suppress(ArtifactError):  # of the store, which the next read reports
                self._snapshot()
            return
        with suppress(ArtifactError, OSError):
            self.begin(wait_s=0.0)
        with suppress(OSError):
            self.finish()

    def _revisions(self) -> dict[str, int]:
        """Return the revision of every track, by key."""
        table = self.keys_and_revisions()
        return dict(zip(table["key"].to_pylist(), table["revision"].to_pylist(), strict=True))

    def _keeps_snapshot(self) -> bool:
        return len(self) <= EXACT_UP_TO or memory_index.is_available()

    def _build_index(self, *, again: bool = False) -> None:
        """Index the embeddings of a library that keeps no snapshot, so that a search need not read all of them.

        Each merge adds a part to the index, and LanceDB merges no fragments of different parts. So it is built `again`.
        """
        if not self._keeps_snapshot() and (again or not self._table.has_index()):
            try:
                self._table.build_index()
            except ArtifactError as error:
                self.notes.append(f"the library {self.path} is searched without an index for now: {error}")
            self._forget()

    def _snapshot(self) -> None:
        if not self._keeps_snapshot():
            return  # the table's own index answers
        lock = None
        with suppress(OSError):  # readers need no snapshot, so a full disk is no error
            if self._location.is_shared:
                self._location.local.mkdir(parents=True, exist_ok=True)
                try:
                    lock = acquire_writer_lock(self._location.local, wait_s=_SNAPSHOT_WAIT_S)
                except ArtifactError:
                    return
            try:
                if lock is not None and Snapshot.open(self._location, version=self.version) is not None:
                    return  # another process of this machine has written it
                if self._update is not None and not is_current(self._update.last):
                    self._forget()  # by another process of this machine
                update = self._updated()
                rows = self.all_rows() if update is None else update.rows
                write_snapshot(
                    self._location, self._pointer, self.version, rows, self.imported(), self.contents, update
                )
            finally:
                if lock is not None:
                    lock.release()
