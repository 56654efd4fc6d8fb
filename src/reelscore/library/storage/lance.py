"""LanceDB behind a narrow door: Arrow tables and SQL enter and leave, its errors become the house's own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

os.environ.setdefault("LANCE_LOG", "error")  # read at import; its warnings are not for who runs a command

import lancedb
import pyarrow as pa

from reelscore.errors import ArtifactError, ReelscoreError
from reelscore.types import FloatArray

from . import index
from .filters import one_of
from .meta import damaged
from .snapshot import TABLE_NAME, tables_folder

_READABLE_FOR = timedelta(hours=1)  # a reader keeps the version that it opened at least this long


@contextmanager
def house_errors(library: Path) -> Iterator[None]:
    """Turn what LanceDB raises, its panics included, into `ArtifactError`."""
    try:
        yield
    except (ReelscoreError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        if not isinstance(error, (RuntimeError, ValueError, OSError, pa.ArrowException)) and (
            type(error).__name__ != "PanicException"
        ):
            raise
        message = " ".join(str(error).split())
        if "No space left" in message or "os error 28" in message:
            raise ArtifactError(
                f"the disk of the library {library} is full; the library is as it was before this write: "
                "free some space and run this again"
            ) from error
        if "ermission denied" in message or "Read-only file system" in message:
            raise ArtifactError(
                f"the library {library} cannot be written; check the permissions of its folder"
            ) from error
        raise damaged(library, message[:200]) from error


class TrackTable:
    """The table of one generation, at the version that was newest when it was opened.

    Parameters
    ----------
    library : Path
    generation : int
    schema : pyarrow.Schema, optional
        Makes the table anew, over whatever a killed writer left.
    """

    def __init__(self, library: Path, generation: int, *, schema: pa.Schema | None = None) -> None:
        self._library = library
        folder = tables_folder(library, generation)
        with house_errors(library):
            if schema is None:
                if not (folder / f"{TABLE_NAME}.lance").is_dir():
                    raise damaged(library, f"{folder.name}/{TABLE_NAME}.lance is missing")
                self._table = lancedb.connect(folder).open_table(TABLE_NAME)
            else:
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
                self._table = lancedb.connect(folder).create_table(TABLE_NAME, schema=schema)

    @property
    def version(self) -> int:
        """Of what this handle reads."""
        with house_errors(self._library):
            return int(self._table.version)

    def refresh(self) -> None:
        """Move to the newest version."""
        with house_errors(self._library):
            self._table.checkout_latest()  # type: ignore[no-untyped-call]

    def count(self) -> int:
        """Return the number of tracks."""
        with house_errors(self._library):
            return int(self._table.count_rows())

    def scan(self, columns: Sequence[str] | None = None, *, where: str | None = None) -> pa.Table:
        """Return rows, in no promised order."""
        with house_errors(self._library):
            query = self._table.search()
            if where is not None:
                query = query.where(where)
            return (query.select(list(columns)) if columns else query).to_arrow()

    def scan_in_parts(self, *, num_rows: int = 256) -> Iterator[pa.Table]:
        """Yield all columns of all rows in parts of bounded size."""
        with house_errors(self._library):
            for batch in self._table.search().to_batches(num_rows):
                yield pa.Table.from_batches([batch])

    def merge(self, rows: pa.Table, *, replaced_keys: Sequence[str] = ()) -> None:
        """Insert or replace `rows` by key and delete `replaced_keys`, all in one commit."""
        with house_errors(self._library):
            builder = self._table.merge_insert("key").when_matched_update_all().when_not_matched_insert_all()
            if replaced_keys:
                builder = builder.when_not_matched_by_source_delete(one_of("key", replaced_keys))
            builder.execute(rows)

    def append(self, batches: pa.RecordBatchReader) -> None:
        """Add rows whose keys are known to be new, in one commit."""
        with house_errors(self._library):
            self._table.add(batches)

    def update(self, where: str, values: dict[str, Any]) -> int:
        """Set columns; return how many rows changed."""
        with house_errors(self._library):
            return int(self._table.update(where=where, values=values).rows_updated)

    def delete(self, where: str) -> int:
        """Delete rows; return how many."""
        with house_errors(self._library):
            before = self._table.count_rows()
            self._table.delete(where)
            return int(before - self._table.count_rows())

    def num_fragments(self) -> int:
        """Return how many pieces the rows lie in; each commit adds some."""
        with house_errors(self._library):
            stats: Any = self._table.stats()  # typed as an object, in truth a dict
            return int(stats["fragment_stats"]["num_fragments"])

    def compact(self) -> None:
        """Merge small pieces, bring the indexes up to date and drop versions that nobody should still read.

        Only for who holds the writer's lock: what killed writers left goes too.
        """
        with house_errors(self._library):
            self._table.optimize(cleanup_older_than=_READABLE_FOR, delete_unverified=True)

    def build_index(self) -> None:
        """Index embeddings and keys, replacing what is there."""
        with house_errors(self._library):
            index.build(self._table)

    def has_index(self) -> bool:
        """Return whether the embeddings are indexed."""
        with house_errors(self._library):
            return index.is_built(self._table)

    def near(self, query: FloatArray, k: int, *, where: str | None = None) -> pa.Table:
        """Return about the `k` nearest rows by the index: track columns and embedding."""
        with house_errors(self._library):
            return index.near(self._table, query, k, where=where)
