"""Write a library with LanceDB, in atomic commits."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
from filelock import FileLock

from reelscore.errors import ArtifactError, InputError, NotFoundError
from reelscore.types import Track

from . import memory_index, schema
from .batch import keep_imported, last_of_each
from .entry import TrackEntry
from .exact_search import EXACT_UP_TO
from .facts import Kind, TrackFacts, sql_name
from .filters import one_of, quoted
from .generations import DETAILS_NAME, TABLE_NAME, tables_folder
from .lance import Table, create_tables
from .lock import acquire_writer_lock
from .meta import LibraryFile, LibraryMeta, Pointer, foreign_entries, write_pointer
from .reader import View
from .snapshot_writer import write_snapshot

_WAIT_S = 5.0
_COMPACT_FROM = 32  # fragments; each commit adds one or two
_REBUILD_BATCH = 256


class Store(View):
    """A library that can be read and written; create it with `Store.open` or `Store.create`.

    The first write acquires the writer's lock, moves to the newest version and keeps the lock until `finish`. A second
    writer waits five seconds for the lock, then raises `ArtifactError`. Each `upsert`, `relocate` and `remove` is one
    atomic commit. As a context manager, a store calls `finish` at the end of the block.
    """

    def __init__(
        self, file: LibraryFile, pointer: Pointer, table: Table, lock: FileLock | None = None
    ) -> None:
        super().__init__(file, pointer, table)
        self._lock = lock

    @classmethod
    def create(cls, library: Path | str | LibraryFile, meta: LibraryMeta) -> Self:
        """Create an empty library and open it for writing.

        Raises
        ------
        ArtifactError
            When there is a library already, the folder holds other files, or another process writes.
        """
        file = library if isinstance(library, LibraryFile) else LibraryFile(Path(library))
        library = file.library
        try:
            library.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ArtifactError(
                f"cannot create the folder {library}: {error.strerror}. Choose another folder"
            ) from error
        lock = acquire_writer_lock(library, wait_s=_WAIT_S)
        try:
            if LibraryMeta.exists(library):
                raise ArtifactError(f"{library} is a library already. Open it, or choose another folder")
            if foreign := foreign_entries(library):
                raise ArtifactError(
                    f"{library} holds other files ({foreign[0]}). Choose an empty or a new folder"
                )
            created = meta.created or datetime.now(UTC).isoformat(timespec="seconds")
            pointer = Pointer(replace(meta, created=created), 1)
            create_tables(library, 1, _schemas(meta))
            table = Table(library, 1)
            write_pointer(library, pointer)
        except BaseException:
            lock.release()
            raise
        return cls(file, pointer, table, lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()

    def begin(self, *, wait_s: float = _WAIT_S) -> None:
        """Acquire the writer's lock and move to the newest version. Every write calls it.

        Raises
        ------
        ArtifactError
            When another process writes for longer than `wait_s`.
        """
        if self._lock is None:
            lock = acquire_writer_lock(self.path, wait_s=wait_s)
            try:
                self.refresh()
            except BaseException:
                lock.release()
                raise
            self._lock = lock
            self._sweep()

    def upsert(self, entries: Iterable[TrackEntry]) -> None:
        """Insert entries or replace those of the same key, in one commit.

        The same commit removes a track of another key at the path of a new one, since its file has changed. The last
        of several entries with the same key or path counts. Values from CSV files stay with the key, else with the
        path.
        """
        batch = last_of_each(entries)
        if not batch:
            return
        for entry in batch:
            if len(entry.embedding) != self.meta.dim:
                raise InputError(
                    f"{entry.track.path} has D={len(entry.embedding)}, the library D={self.meta.dim}"
                )
        self.begin()
        new_keys = {entry.track.key for entry in batch}
        before = self._before(batch)
        replaced = sorted({track.key for track, _ in before} - new_keys)
        batch = keep_imported(batch, before)
        details = {entry.track.key: entry.details for entry in batch if entry.details is not None}
        if self.meta.has_facts and (details or replaced):
            # First, since details of an unknown key are never read.
            table = Table(self.path, self._pointer.generation, DETAILS_NAME)
            table.merge(schema.details_to_table(details), replaced_keys=replaced)
        rows = schema.entries_to_table(batch, self._table.schema, revision=self._table.version + 1)
        self._table.merge(rows, replaced_keys=replaced)
        self._forget()

    def set_facts(self, facts: Mapping[str, TrackFacts]) -> None:
        """Replace the facts about tracks by key, in one commit."""
        if not facts:
            return
        self.begin()
        columns = schema.facts_to_columns(list(facts.values()), self.imported())
        revision = self._table.version + 1
        rows = {"key": list(facts), "revision": [revision] * len(facts), **columns}
        fields = [self._table.schema.field(name) for name in rows]
        self._table.set_columns(pa.table(rows, schema=pa.schema(fields)))
        self._forget()

    def import_columns(self, kinds: Mapping[str, Kind]) -> None:
        """Add columns for values from CSV files, unknown for every track."""
        self.begin()
        if kinds:
            self._table.add_columns(schema.fact_fields(kinds))
        self._forget()

    def drop_columns(self, names: Sequence[str]) -> None:
        """Delete imported columns, whose values no track has any more."""
        self.begin()
        if names:
            self._table.drop_columns([sql_name(name) for name in names])
        self._forget()

    def relocate(self, key: str, path: str, size_bytes: int, mtime_ns: int) -> None:
        """Set the path of a track whose file has moved; raise `NotFoundError` without such a track."""
        self.begin()
        found = self._table.scan(schema.TRACK_COLUMNS, where=one_of("key", [key]))
        if len(found) == 0:
            raise NotFoundError(f"no track with key {key!r} in {self.path}")
        track = replace(schema.tracks_of(found)[0], path=path)
        values = {
            "path": path,
            "size_bytes": size_bytes,
            "mtime_ns": mtime_ns,
            schema.TRACK_JSON: schema.track_json(track),
        }
        self._table.update(f"key = {quoted(key)}", values)
        self._forget()

    def remove(self, keys: Sequence[str]) -> int:
        """Remove tracks by key in one commit and return the number removed."""
        if not keys:
            return 0
        self.begin()
        removed = self._table.delete(one_of("key", list(keys)))
        if self.meta.has_facts:
            details = Table(self.path, self._pointer.generation, DETAILS_NAME)
            details.delete(one_of("key", list(keys)))
        self._forget()
        return removed

    def load(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Fill an empty library from Arrow batches in one commit, for a large catalogue.

        Each batch needs all columns of `schema.table_schema`, and keys must be unique over all batches.
        """
        self.begin()
        if len(self):
            raise InputError(
                f"load fills an empty library, but {self.path} holds {len(self)} tracks. Use upsert"
            )
        self._table.append(pa.RecordBatchReader.from_batches(self._table.schema, batches))
        self._forget()

    def replace(self, meta: LibraryMeta, entries: Iterable[TrackEntry]) -> None:
        """Replace meta and all tracks atomically; after an error the old library is unchanged."""
        self.begin()
        created = meta.created or datetime.now(UTC).isoformat(timespec="seconds")
        pointer = Pointer(replace(meta, created=created), self._pointer.generation + 1)
        try:
            create_tables(self.path, pointer.generation, _schemas(meta, self.imported()))
            table = Table(self.path, pointer.generation)
            rebuilt = Store(self._file, pointer, table, self._lock)
            remaining = iter(entries)
            while batch := list(islice(remaining, _REBUILD_BATCH)):
                rebuilt.upsert(batch)
            write_pointer(self.path, pointer)
        except BaseException:
            if self._file.read() != pointer:
                shutil.rmtree(tables_folder(self.path, pointer.generation), ignore_errors=True)
            self._release()
            raise
        self._pointer, self._table = pointer, table
        self._forget()
        self._sweep()
        self.finish()

    def optimize(self) -> None:
        """Merge fragments and, above `EXACT_UP_TO` tracks, build or update the index."""
        self.begin()
        self._table.compact()
        if self.meta.has_facts:
            Table(self.path, self._pointer.generation, DETAILS_NAME).compact()
        if len(self) > EXACT_UP_TO and not self._table.has_index():
            self._table.build_index()
        self._forget()

    def finish(self) -> None:
        """End writing: merge many fragments, write the snapshot, release the lock."""
        if self._lock is None:
            return
        try:
            if self._table.num_fragments() >= _COMPACT_FROM:
                self.optimize()
            self._snapshot()
        finally:
            self._release()

    def leave_snapshot(self) -> None:
        """Write the snapshot unless another process writes or the folder is read-only."""
        with suppress(ArtifactError, OSError):
            self.begin(wait_s=0.0)
            self.finish()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _snapshot(self) -> None:
        with suppress(OSError):  # readers need no snapshot, so a full disk is no error
            if len(self) > EXACT_UP_TO and not memory_index.is_available():
                return  # the table's own index answers
            write_snapshot(
                self.path,
                self._pointer,
                self._table.version,
                self.all_rows(),
                self.imported(),
                self.moments,
                self.facts,
            )

    def _before(self, batch: Sequence[TrackEntry]) -> list[tuple[Track, TrackFacts]]:
        """Return the tracks, with their facts, that have the key or path of an entry."""
        where = (
            f"{one_of('path', [entry.track.path for entry in batch])} "
            f"OR {one_of('key', [entry.track.key for entry in batch])}"
        )
        columns = [*schema.TRACK_COLUMNS, *(schema.FACT_COLUMNS[1:] if self.meta.has_facts else ())]
        table = self._table.scan(columns, where=where)
        facts = schema.facts_of(table)
        return [(track, facts[track.key]) for track in schema.tracks_of(table)]

    def _sweep(self) -> None:
        """Delete the tables of other generations: old ones, and those of a killed rebuild."""
        live = tables_folder(self.path, self._pointer.generation)
        for folder in live.parent.iterdir():
            if folder != live:
                shutil.rmtree(folder, ignore_errors=True)


def _schemas(meta: LibraryMeta, imported: Mapping[str, Kind] | None = None) -> dict[str, pa.Schema]:
    tracks = schema.table_schema(
        meta.dim, with_tags=meta.has_tags, with_facts=meta.has_facts, imported=imported
    )
    return {TABLE_NAME: tracks, **({DETAILS_NAME: schema.details_schema()} if meta.has_facts else {})}
