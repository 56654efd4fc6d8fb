"""LanceDB tables of one library generation, with their errors as `ArtifactError`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from reelscore.errors import ArtifactError, InputError, ReelscoreError
from reelscore.types import FloatArray

from .filters import one_of
from .generations import TABLE_NAME, tables_folder
from .local_lancedb import BTree, IvfSq, lancedb
from .meta import damaged

_READABLE_FOR = timedelta(hours=1)  # a reader keeps the version that it opened at least this long

_VECTOR_INDEX = "embedding_idx"
_KEY_INDEX = "key_idx"
_ROWS_A_PARTITION = 1000
_PROBES = 25
_OVERSAMPLING = 2  # rows fetched per requested row; the caller scores them again in full precision


@contextmanager
def lance_errors(library: Path) -> Iterator[None]:
    """Turn what LanceDB raises, its panics included, into `ArtifactError`."""
    try:
        yield
    except (ReelscoreError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        if not isinstance(error, (RuntimeError, ValueError, OSError, pa.ArrowException)) and (
            type(error).__name__ not in ("PanicException", "RustPanic")
        ):
            raise
        message = " ".join(str(error).split())
        if "No space left" in message or "os error 28" in message:
            raise ArtifactError(
                f"the disk of the library {library} is full. The library is as it was before this write. Free some "
                "space, then run this again"
            ) from error
        if "ermission denied" in message or "Read-only file system" in message:
            raise ArtifactError(
                f"the library {library} cannot be written. Check the permissions of its folder"
            ) from error
        raise damaged(library, message[:200]) from error


def create_tables(library: Path, generation: int, schemas: Mapping[str, pa.Schema]) -> None:
    """Create empty tables of a generation, in place of what a killed writer may have left."""
    folder = tables_folder(library, generation)
    with lance_errors(library):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        database = lancedb.connect(folder)
        for name, schema in schemas.items():
            database.create_table(name, schema=schema)


class Table:
    """A table of one generation, at the version that was newest when it was opened.

    Parameters
    ----------
    library : Path
    generation : int
    name : str
    """

    def __init__(self, library: Path, generation: int, name: str = TABLE_NAME) -> None:
        self._library = library
        folder = tables_folder(library, generation)
        with lance_errors(library):
            if not (folder / f"{name}.lance").is_dir():
                raise damaged(library, f"{folder.name}/{name}.lance is missing")
            for file in folder.rglob("*"):  # LanceDB would wait for the writer of a pipe
                if file.exists() and not (file.is_file() or file.is_dir()):
                    raise damaged(library, f"{file.name} is no regular file")
            self._table = lancedb.connect(folder).open_table(name)

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
        """Add columns, null in every row."""
        with lance_errors(self._library):
            self._table.add_columns(list(fields))

    def drop_columns(self, names: Sequence[str]) -> None:
        """Delete columns."""
        with lance_errors(self._library):
            self._table.drop_columns(list(names))

    def refresh(self) -> None:
        """Move to the newest version."""
        with lance_errors(self._library):
            self._table.checkout_latest()  # type: ignore[no-untyped-call]

    def count(self, where: str | None = None) -> int:
        """Return the number of tracks, or of those that meet an SQL condition."""
        with lance_errors(self._library):
            return int(self._table.count_rows(where))

    def scan(self, columns: Sequence[str] | None = None, *, where: str | None = None) -> pa.Table:
        """Return rows, in no promised order."""
        with lance_errors(self._library):
            query = self._table.search()
            if where is not None:
                query = query.where(where)
            return (query.select(list(columns)) if columns else query).to_arrow()

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

    def scan_in_parts(self, *, num_rows: int = 256) -> Iterator[pa.Table]:
        """Yield all columns of all rows in parts of bounded size."""
        with lance_errors(self._library):
            for batch in self._table.search().to_batches(num_rows):
                yield pa.Table.from_batches([batch])

    def merge(self, rows: pa.Table, *, replaced_keys: Sequence[str] = ()) -> None:
        """Insert or replace `rows` by key and delete `replaced_keys`, all in one commit."""
        with lance_errors(self._library):
            builder = self._table.merge_insert("key").when_matched_update_all().when_not_matched_insert_all()
            if replaced_keys:
                builder = builder.when_not_matched_by_source_delete(one_of("key", replaced_keys))
            builder.execute(rows)

    def set_columns(self, rows: pa.Table) -> None:
        """Replace the columns of `rows` where the key is equal, in one commit; other rows and columns stay."""
        with lance_errors(self._library):
            self._table.merge_insert("key").when_matched_update_all().execute(rows)

    def append(self, batches: pa.RecordBatchReader) -> None:
        """Add rows whose keys are known to be new, in one commit."""
        with lance_errors(self._library):
            self._table.add(batches)

    def update(self, where: str, values: dict[str, Any]) -> int:
        """Set columns and return the number of changed rows."""
        with lance_errors(self._library):
            return int(self._table.update(where=where, values=values).rows_updated)

    def delete(self, where: str) -> int:
        """Delete rows and return their number."""
        with lance_errors(self._library):
            before = self._table.count_rows()
            self._table.delete(where)
            return int(before - self._table.count_rows())

    def num_fragments(self) -> int:
        """Return the number of fragments; each commit adds some."""
        with lance_errors(self._library):
            stats: Any = self._table.stats()  # typed as an object, in fact a dict
            return int(stats["fragment_stats"]["num_fragments"])

    def compact(self) -> None:
        """Merge fragments, update the indexes and drop versions older than an hour.

        Call it only with the writer's lock: it also deletes what killed writers left.
        """
        with lance_errors(self._library):
            self._table.optimize(cleanup_older_than=_READABLE_FOR, delete_unverified=True)

    def build_index(self) -> None:
        """Index embeddings for search and keys for look-ups, in place of older indexes."""
        # IVF with one byte a dimension: on clustered vectors with noise inside the clusters `IvfPq` missed 4 of 10
        # nearest neighbours at the same latency and `IvfRq` some, `IvfSq` none. It takes D bytes a track in memory.
        with lance_errors(self._library):
            partitions = max(1, self._table.count_rows() // _ROWS_A_PARTITION)
            config = IvfSq(
                distance_type="cosine", num_partitions=partitions, sample_rate=64, max_iterations=20
            )
            self._table.create_index("embedding", config=config, name=_VECTOR_INDEX, replace=True)
            self._table.create_index("key", config=BTree(), name=_KEY_INDEX, replace=True)

    def has_index(self) -> bool:
        """Return whether the embeddings are indexed."""
        with lance_errors(self._library):
            return any(index.name == _VECTOR_INDEX for index in self._table.list_indices())

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
            return search.to_arrow()
