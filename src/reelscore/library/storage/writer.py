"""Change the tracks of a library with LanceDB, in atomic commits."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa
from filelock import FileLock

from reelscore.errors import ArtifactError, InputError, NotFoundError
from reelscore.types import Track

from . import schema
from .batch import keep_imported, last_of_each
from .entry import TrackEntry
from .exact_search import Rows
from .facts import Kind, TrackFacts, sql_name
from .filters import one_of, quoted
from .generations import DETAILS_NAME
from .lance import Table
from .location import Location
from .meta import Pointer
from .reader import View
from .rows_update import RowsUpdate, update_rows
from .snapshot import read_snapshot

WAIT_S = 5.0
"""How long a writer waits for another one's lock."""

_RANDOM_BITS = 20  # of a revision, where several writers may count the same versions


class Writer(View):
    """A library whose tracks can be changed.

    In a folder, the first write acquires the writer's lock, moves to the newest version and keeps the lock. A second
    writer waits five seconds for the lock, then raises `ArtifactError`. On an object store there is no lock: every
    write starts from the newest version, and what another writer changed meanwhile is read and written again. Each
    `upsert`, `relocate` and `remove` is one atomic commit.

    Attributes
    ----------
    notes : list of str
        What did not succeed and does no harm, such as deleting old versions without the permission.
    """

    def __init__(
        self,
        location: Location,
        pointer: Pointer,
        table: Table,
        *,
        lock: FileLock | None = None,
        is_writing: bool = False,
    ) -> None:
        super().__init__(location, pointer, table)
        self.notes: list[str] = []
        self._update: RowsUpdate | None = None
        self._lock = lock
        self._is_writing = is_writing
        self._is_live = True

    def begin(self, *, wait_s: float = WAIT_S) -> None:
        """Acquire the writer's lock, if there is one, and move to the newest version. Every write calls it.

        Raises
        ------
        ArtifactError
            When another process writes for longer than `wait_s`.
        ConfigError
            When the object store does not honour conditional writes.
        """
        if self._is_writing:
            return
        self._lock = self._location.lock(wait_s=wait_s)
        try:
            self.refresh()
        except BaseException:
            self._release()
            raise
        self._is_writing = True
        if not self._location.is_shared:
            self._location.sweep(self._pointer.generation)

    def all_rows(self) -> Rows:
        """Return all tracks; a writer reads only those that the last snapshot does not have."""
        if self._rows is None and self._is_writing and (update := self._updated()) is not None:
            self._rows = update.rows
        return super().all_rows()

    def _updated(self) -> RowsUpdate | None:
        """Return the rows as an update of the last snapshot, or None without a usable one."""
        if self._update is None:
            last = read_snapshot(self._location, self._pointer)
            if last is not None:
                self._update = update_rows(self, last, is_shared=self._location.is_shared)
        return self._update

    def _forget(self) -> None:
        super()._forget()
        self._update = None

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
        self._write(lambda: self._upsert(batch))

    def _upsert(self, batch: list[TrackEntry]) -> None:
        while batch:
            tracks, facts, revisions = self._before(batch)
            replaced = [track for track in tracks if track.key not in {entry.track.key for entry in batch}]
            kept = keep_imported(batch, [(track, facts[track.key]) for track in tracks])
            self._upsert_details(kept, [track.key for track in replaced])
            version, revision = self._table.version, self._new_revision()
            rows = schema.entries_to_table(kept, self._table.schema, revision=revision)
            if not self._location.is_shared:
                self._table.merge(rows, replaced=_all_of(key=[track.key for track in replaced]))
                return
            # Another writer may have moved such a track to another path since.
            others = _all_of(key=[t.key for t in replaced], path=[t.path for t in replaced])
            written = self._table.merge(rows, replaced=others, unless=_is_other("target.revision", revisions))
            if self._table.version == version + 1:
                return  # no other commit came between
            self._table.refresh()
            self._remove_older_at([entry.track.path for entry in batch])
            batch = [] if written == len(batch) else self._not_written(batch, revision)

    def set_facts(self, facts: Mapping[str, TrackFacts]) -> None:
        """Replace the facts about tracks by key, in one commit."""
        self.change_facts({key: lambda _, one=one: one for key, one in facts.items()})  # type: ignore[misc]

    def change_facts(self, changes: Mapping[str, Callable[[TrackFacts], TrackFacts]]) -> None:
        """Apply a function to the facts about each of some tracks, in one commit.

        A function is called again where another writer has changed the facts meanwhile.
        """
        if changes:
            self._write(lambda: self._change_facts(changes))

    def _change_facts(self, changes: Mapping[str, Callable[[TrackFacts], TrackFacts]]) -> None:
        left = list(changes)
        while left:
            facts, revisions = self._facts_and_revisions(left)
            changed = {key: changes[key](facts[key]) for key in left if key in facts}
            revision = self._new_revision()
            columns = schema.facts_to_columns(list(changed.values()), self.imported())
            rows = {"key": list(changed), "revision": [revision] * len(changed), **columns}
            fields = [self._table.schema.field(name) for name in rows]
            unless = _is_other("target.revision", revisions) if self._location.is_shared else None
            written = self._table.set_columns(pa.table(rows, schema=pa.schema(fields)), unless=unless)
            if written == len(changed) or not self._location.is_shared:
                return
            self._table.refresh()
            _, current = self._facts_and_revisions(list(changed))
            left = [key for key, found in current.items() if found != revision]

    def import_columns(self, kinds: Mapping[str, Kind]) -> None:
        """Add columns for values from CSV files, unknown for every track."""
        self._write(lambda: self._table.add_columns(schema.fact_fields(kinds)) if kinds else None)

    def drop_columns(self, names: Sequence[str]) -> None:
        """Delete imported columns, whose values no track has any more."""
        self._write(lambda: self._table.drop_columns([sql_name(name) for name in names]) if names else None)

    def relocate(self, key: str, path: str, size_bytes: int, mtime_ns: int) -> None:
        """Set the path of a track whose file has moved; raise `NotFoundError` without such a track."""

        def move() -> None:
            found = self._table.scan(schema.TRACK_COLUMNS, where=one_of("key", [key]))
            if len(found) == 0:
                raise NotFoundError(f"no track with key {key!r} in {self.path}")
            track = replace(schema.tracks_of(found)[0], path=path)
            values = {
                "path": path,
                "size_bytes": size_bytes,
                "mtime_ns": mtime_ns,
                schema.TRACK_JSON: schema.track_json(track),
                "revision": self._new_revision(),
            }
            self._table.update(f"key = {quoted(key)}", values)

        self._write(move)

    def remove(self, keys: Sequence[str]) -> int:
        """Remove tracks by key in one commit and return the number removed."""
        removed = 0

        def remove() -> None:
            nonlocal removed
            removed = self._table.delete(one_of("key", list(keys)))
            # Where several write, another one may be adding a track of this key, which needs them.
            if self.meta.has_facts and not self._location.is_shared:
                self._details().delete(one_of("key", list(keys)))

        if keys:
            self._write(remove)
        return removed

    def _release(self) -> None:
        self._is_writing = False
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _write(self, change: Callable[[], object]) -> None:
        """Call a function that commits, on the newest version, and again where a rebuild has ended meanwhile."""
        if self._is_writing and self._location.is_shared:
            self._table.refresh()
        self.begin()
        while True:
            columns = self._table.schema.names
            try:
                change()
            except ArtifactError:
                if not self._location.is_shared:
                    raise
                self._table.refresh()
                if self._table.schema.names == columns:
                    raise
                continue  # another writer has imported or deleted a column
            if not (self._location.is_shared and self._is_live) or self._location.read() == self._pointer:
                break
            built = self.meta
            self.refresh()
            if not built.is_like(self.meta):
                raise ArtifactError(
                    f"the library {self.path} was rebuilt with another model while it was written. Run this again"
                )
        self._forget()

    def _details(self) -> Table:
        return Table(self._location, self._pointer.generation, DETAILS_NAME)

    def _upsert_details(self, batch: Sequence[TrackEntry], replaced: Sequence[str]) -> None:
        """Store the details of entries, before the entries: details of an unknown key are never read."""
        replaced = [] if self._location.is_shared else replaced
        details = {entry.track.key: entry.details for entry in batch if entry.details is not None}
        if self.meta.has_facts and (details or replaced):
            rows = schema.details_to_table(details).cast(self._details_schema())
            self._details().merge(rows, replaced=_all_of(key=replaced))

    def _details_schema(self) -> pa.Schema:
        return schema.details_schema(is_shared=self._location.is_shared)

    def _before(self, batch: Sequence[TrackEntry]) -> tuple[list[Track], dict[str, TrackFacts], set[int]]:
        """Return the tracks that have the key or path of an entry, their facts, and their revisions."""
        where = (
            f"{one_of('path', [entry.track.path for entry in batch])} "
            f"OR {one_of('key', [entry.track.key for entry in batch])}"
        )
        facts = schema.FACT_COLUMNS[1:] if self.meta.has_facts else ()
        table = self._table.scan([*schema.TRACK_COLUMNS, "revision", *facts], where=where)
        return schema.tracks_of(table), schema.facts_of(table), set(table["revision"].to_pylist())

    def _facts_and_revisions(self, keys: Sequence[str]) -> tuple[dict[str, TrackFacts], dict[str, int]]:
        """Return the facts and the revision of each of `keys` in the library."""
        table = self._table.scan([*schema.FACT_COLUMNS, "revision"], where=one_of("key", list(keys)))
        return schema.facts_of(table), dict(
            zip(table["key"].to_pylist(), table["revision"].to_pylist(), strict=True)
        )

    def _revisions(self) -> dict[str, int]:
        """Return the revision of every track, by key."""
        table = self._table.scan(["key", "revision"])
        return dict(zip(table["key"].to_pylist(), table["revision"].to_pylist(), strict=True))

    def _new_revision(self) -> int:
        """Return the revision of the next commit, which is unique for each key."""
        version = self._table.version + 1
        if self._location.is_shared:
            return version << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
        return version

    def _not_written(self, batch: Sequence[TrackEntry], revision: int) -> list[TrackEntry]:
        """Return the entries whose rows another writer had changed, so that a merge kept them."""
        where = one_of("key", [entry.track.key for entry in batch])
        table = self._table.scan(["key", "revision"], where=f"({where}) AND revision != {revision}")
        others = set(table["key"].to_pylist())
        return [entry for entry in batch if entry.track.key in others]

    def _remove_older_at(self, paths: Sequence[str]) -> None:
        """Remove all but the newest track at each path: two writers may have added one at the same time."""
        table = self._table.scan(["key", "path", "revision"], where=one_of("path", list(paths)))
        newest: dict[str, tuple[int, str]] = {}
        rows = [(row["path"], (row["revision"], row["key"])) for row in table.to_pylist()]
        for path, row in rows:
            newest[path] = max(row, newest.get(path, row))
        older = [(path, row) for path, row in rows if row != newest[path]]
        if older:
            keys, revisions = [key for _, (_, key) in older], [revision for _, (revision, _) in older]
            self._table.delete(f"{_all_of(key=keys)} AND revision IN ({', '.join(map(str, revisions))})")


def _all_of(**values: Sequence[str]) -> str | None:
    """Return the SQL condition that each column has one of some values; None without values."""
    if not all(values.values()):
        return None
    return " AND ".join(one_of(column, list(dict.fromkeys(chosen))) for column, chosen in values.items())


def _is_other(column: str, revisions: Mapping[str, int] | set[int]) -> str:
    """Return the SQL condition that a row has none of the revisions that were read."""
    read = sorted(set(revisions.values()) if isinstance(revisions, Mapping) else revisions)
    return f"{column} NOT IN ({', '.join(map(str, read))})" if read else "true"
