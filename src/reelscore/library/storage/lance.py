"""LanceDB tables of one library generation, with their errors as `ArtifactError`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from reelscore.errors import InputError
from reelscore.objects import S3Folder
from reelscore.types import FloatArray

from .generations import TABLE_NAME
from .lance_errors import commit, lance_errors
from .local_lancedb import BTree, IvfSq, lancedb
from .location import Location
from .meta import damaged

T = TypeVar("T")

_READABLE_FOR = timedelta(hours=1)  # a reader keeps the version that it opened at least this long

_VECTOR_INDEX = "embedding_idx"
_KEY_INDEX = "key_idx"
_ROWS_A_PARTITION = 1000
_PROBES = 25
_EXACT_ROWS = 20_000  # rows that pass a filter and are all scored, without the index
_OVERSAMPLING = 2  # rows fetched per requested row; the caller scores them again in full precision
_ROWS_A_BATCH = 8192  # of a scan of all rows, which takes three times as long in LanceDB's batches of 1024
_SMALL_ROWS = 20_000  # of all small fragments together; from then on, the whole table is written again


def create_tables(location: Location, generation: int, schemas: Mapping[str, pa.Schema]) -> None:
    """Create empty tables of a generation, in place of what a killed writer may have left."""
    location.delete_tables(generation)
    with lance_errors(location.library):
        database = _connect(location, generation, create=True)
        for name, schema in schemas.items():
            database.create_table(name, schema=schema)


def _connect(location: Location, generation: int, *, create: bool = False) -> Any:
    folder = location.tables(generation)
    if isinstance(folder, S3Folder):
        return lancedb.connect(str(folder), storage_options=folder.lance_options())
    if create:
        folder.mkdir(parents=True)
    return lancedb.connect(folder)


class Table:
    """A table of one generation, at the version that was newest when it was opened.

    Each method that writes makes one commit. Where several writers share the library, it tries again on the newest
    version after a conflict.

    Parameters
    ----------
    location : Location
    generation : int
    name : str
    version : int, optional
        A version to read in place of the newest one.
    """

    def __init__(
        self, location: Location, generation: int, name: str = TABLE_NAME, *, version: int | None = None
    ) -> None:
        self._library = location.library
        self._is_shared = location.is_shared
        folder = location.tables(generation)
        with lance_errors(self._library):
            if isinstance(folder, Path):
                if not (folder / f"{name}.lance").is_dir():
                    raise damaged(self._library, f"{folder.name}/{name}.lance is missing")
                for file in folder.rglob("*"):  # LanceDB would wait for the writer of a pipe
                    if file.exists() and not (file.is_file() or file.is_dir()):
                        raise damaged(self._library, f"{file.name} is no regular file")
            self._table = _connect(location, generation).open_table(name)
            if version is not None:
                self._table.checkout(version)

    @property
    def version(self) -> int:
        """Version that this handle reads."""
        with lance_errors(self._library):
            return int(self._table.version)

    @property
    def schema(self) -> pa.Schema:
        """Columns of the table."""
        with lance_errors(self._library):
            return self._table.schema

    def add_columns(self, fields: Sequence[pa.Field]) -> None:
        """Add columns, null in every row; those that there are already stay."""

        def add() -> None:
            missing = [field for field in fields if field.name not in self._table.schema.names]
            if missing:
                self._table.add_columns(missing)

        self._commit(add)

    def drop_columns(self, names: Sequence[str]) -> None:
        """Delete columns; absent ones are no error."""

        def drop() -> None:
            present = [name for name in names if name in self._table.schema.names]
            if present:
                self._table.drop_columns(present)

        self._commit(drop)

    def refresh(self) -> None:
        """Move to the newest version."""
        with lance_errors(self._library):
            self._table.checkout_latest()

    def count(self, where: str | None = None) -> int:
        """Return the number of tracks, or of those that meet an SQL condition."""
        with lance_errors(self._library):
            return int(self._table.count_rows(where))

    def scan(self, columns: Sequence[str] | None = None, *, where: str | None = None) -> pa.Table:
        """Return rows, in no promised order."""
        with lance_errors(self._library):
            query = self._table.search().select(list(columns)) if columns else self._table.search()
            if where is not None:
                return query.where(where).to_arrow()
            return query.to_batches(_ROWS_A_BATCH).read_all()

    def column(self, name: str) -> pa.Table:
        """Return a column with the identifiers of the rows in ``_rowid``, in no promised order."""
        with lance_errors(self._library):
            return self._table.search().select([name]).with_row_id(True).to_batches(_ROWS_A_BATCH).read_all()

    def keys_where(self, where: str) -> set[str]:
        """Return the keys of the rows that meet an SQL condition; raise `InputError` if it is not valid."""
        with lance_errors(self._library):
            try:
                found = self._table.search().where(where).select(["key"]).to_arrow()
            except ValueError as error:
                message = " ".join(str(error).split())[:200]
                raise InputError(
                    f"the condition {where!r} is not valid: {message}. Use SQL over the columns of the library"
                ) from error
        return set(found["key"].to_pylist())

    def scan_in_parts(
        self, columns: Sequence[str] | None = None, *, num_rows: int = 256
    ) -> Iterator[pa.Table]:
        """Yield columns of all rows, by default every column, in parts of bounded size."""
        with lance_errors(self._library):
            query = self._table.search()
            for batch in (query.select(list(columns)) if columns else query).to_batches(num_rows):
                yield pa.Table.from_batches([batch])

    def merge(self, rows: pa.Table, *, replaced: str | None = None, unless: str | None = None) -> int:
        """Insert or replace `rows` by key, in one commit, and return their number.

        Parameters
        ----------
        rows : pyarrow.Table
        replaced : str, optional
            SQL condition of rows with other keys to delete in the same commit.
        unless : str, optional
            SQL condition of stored rows to keep as they are, with columns as ``target.name``. Rows of the same keys are
            ignored and not counted.
        """

        def merge() -> int:
            builder = self._matched(unless).when_not_matched_insert_all()
            if replaced:
                builder = builder.when_not_matched_by_source_delete(replaced)
            done = builder.execute(rows)
            return int(done.num_updated_rows + done.num_inserted_rows)

        return self._commit(merge)

    def set_columns(self, rows: pa.Table, *, unless: str | None = None) -> int:
        """Replace the columns of `rows` where the key is equal, in one commit; other rows and columns stay.

        Returns the number of rows replaced; for `unless` see `merge`.
        """
        return self._commit(lambda: int(self._matched(unless).execute(rows).num_updated_rows))

    def _matched(self, unless: str | None) -> Any:
        """Return a merge that replaces rows of equal keys, but none that meets a condition."""
        where = None if unless is None else f"NOT ({unless})"
        # LanceDB 0.40 panics if it uses an index where only some columns are replaced, and with a condition.
        return self._table.merge_insert("key").use_index(False).when_matched_update_all(where=where)

    def append(self, batches: pa.RecordBatchReader) -> None:
        """Add rows whose keys are known to be new, in one commit."""
        with lance_errors(self._library):
            self._table.add(batches)

    def update(self, where: str, values: dict[str, Any]) -> int:
        """Set columns and return the number of changed rows."""
        return self._commit(lambda: int(self._table.update(where=where, values=values).rows_updated))

    def delete(self, where: str) -> int:
        """Delete rows and return their number."""
        with lance_errors(self._library):
            before = self._table.count_rows(where)
        if before:
            self._commit(lambda: self._table.delete(where))
        return int(before)

    def _commit(self, write: Callable[[], T]) -> T:
        return commit(write, self._library, refresh=self.refresh if self._is_shared else None)

    def num_fragments(self) -> int:
        """Return the number of fragments; each commit adds some."""
        with lance_errors(self._library):
            stats: Any = self._table.stats()  # typed as an object, in fact a dict
            return int(stats["fragment_stats"]["num_fragments"])

    def merge_small_fragments(self) -> None:
        """Move the rows of small fragments to a new one, which the index of keys does not have yet.

        `compact` alone would write a table of up to a million rows again for a few new ones. But LanceDB never merges
        a fragment that is indexed with one that is not, so it then leaves the large ones as they are.
        """
        ids = self.scan(["_rowid"])["_rowid"].to_numpy()
        numbers, sizes = np.unique(ids >> 32, return_counts=True)  # of the fragments
        is_small = sizes < _SMALL_ROWS
        if is_small.sum() < 2 or sizes[is_small].sum() > _SMALL_ROWS:
            return
        self._index_keys()
        small = numbers[is_small].tolist()
        rows = self.scan(where=" OR ".join(f"_rowid >= {n << 32} AND _rowid < {n + 1 << 32}" for n in small))
        # Another writer may change a row meanwhile, and with it one of these columns.
        names = [
            field.name for field in rows.schema if not (field.nullable or pa.types.is_nested(field.type))
        ]
        self.set_columns(rows, unless=" OR ".join(f"target.{name} <> source.{name}" for name in names))

    def compact(self) -> None:
        """Merge fragments, update the indexes and drop versions older than an hour.

        Call it only with the writer's lock, where there is one: it then also deletes what killed writers left. Where
        there is none, the files of other writers that have not committed yet look the same, and stay for seven days.
        """
        verified = self._is_shared
        self._commit(
            lambda: self._table.optimize(cleanup_older_than=_READABLE_FOR, delete_unverified=not verified)
        )

    def _index_keys(self) -> None:
        """Index the keys for look-ups, unless they are indexed."""
        if not self._has_index(_KEY_INDEX):
            self._commit(
                lambda: self._table.create_index("key", config=BTree(), name=_KEY_INDEX, replace=True)
            )

    def build_index(self) -> None:
        """Index the embeddings for search and the keys for look-ups."""

        # IVF with one byte a dimension: on clustered vectors with noise inside the clusters `IvfPq` missed 4 of 10
        # nearest neighbours at the same latency and `IvfRq` some, `IvfSq` none. It takes D bytes a track in memory.
        def build() -> None:
            partitions = max(1, self._table.count_rows() // _ROWS_A_PARTITION)
            config = IvfSq(
                distance_type="cosine", num_partitions=partitions, sample_rate=64, max_iterations=20
            )
            self._table.create_index("embedding", config=config, name=_VECTOR_INDEX, replace=True)

        self._commit(build)
        self._index_keys()

    def has_index(self) -> bool:
        """Return whether the embeddings are indexed."""
        return self._has_index(_VECTOR_INDEX)

    def _has_index(self, name: str) -> bool:
        with lance_errors(self._library):
            return any(index.name == name for index in self._table.list_indices())

    def near(
        self, query: FloatArray, k: int, columns: Sequence[str], *, where: str | None = None
    ) -> pa.Table:
        """Return more than the `k` nearest rows by the index, for the caller to score and cut."""
        with lance_errors(self._library):
            search: Any = self._table.search(query, vector_column_name="embedding")
            search = search.distance_type("cosine").nprobes(_PROBES).limit(_OVERSAMPLING * k)
            search = search.select([*columns, "_distance"])
            if where is not None:
                search = search.where(where, prefilter=True)
                if self._table.count_rows(where) <= _EXACT_ROWS:
                    # The partitions that are probed may hold few of the rows that pass.
                    search = search.bypass_vector_index()
            return search.to_arrow()
