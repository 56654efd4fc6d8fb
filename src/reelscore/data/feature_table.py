"""Lance table of extracted rows with one row per key, and a table of failures.

A URI holds two LanceDB tables. ``features`` has the columns ``key`` and ``line`` and those of its kind; the settings
of its extraction are metadata of its schema, so that creating it is one commit. ``failures`` has the keys that could
not be extracted. Rows are ordered by their line in the manifest, then by key, in whichever order they were written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from reelscore.errors import ArtifactError, NotFoundError
from reelscore.objects import S3Folder

from .lance_folder import check_empty, check_writable, connect, folder_of, table_errors
from .pairs import IntArray
from .row_order import row_order

FORMAT = 1
_ROWS, _FAILURES = "features", "failures"
_META = b"reelscore.features"
_KEY_FIELDS = (pa.field("key", pa.string(), nullable=False), pa.field("line", pa.int64(), nullable=False))
_FAILURE_SCHEMA = pa.schema(
    [
        _KEY_FIELDS[0],
        pa.field("reason", pa.string(), nullable=False),
        pa.field("tries", pa.int64(), nullable=False),
    ]
)
_SCAN_ROWS = 8192  # in one batch
_READABLE_FOR = timedelta(hours=1)  # a reader keeps the version that it opened at least this long
_COMPACT_FROM = 32  # fragments; each commit adds one
_INDEX_FROM = 100_000  # rows; reading their keys takes a tenth of a second


@dataclass(frozen=True, slots=True)
class FailedItem:
    """An item that could not be extracted: its key, the last reason, and how often it was tried."""

    key: str
    reason: str
    tries: int


class FeatureTable:
    """Rows of one extraction at a folder or object-storage URI; open it with `open` or `create`.

    An opened table is one version: rows that are written later are seen by `refresh`.

    Attributes
    ----------
    uri : str
    meta : dict
        Settings of the extraction, with its ``kind``.
    """

    def __init__(self, uri: str, database: Any, table: Any, meta: dict[str, Any]) -> None:
        self.uri = uri
        self.meta = meta
        self._database = database
        self._table = table

    @classmethod
    def open(cls, uri: Path | str, *, kind: str) -> Self:
        """Open the table of a kind.

        Raises
        ------
        NotFoundError
            When there is none.
        ArtifactError
            When it is of another kind or format, or cannot be read.
        """
        found = cls.find(uri)
        if found is None:
            raise NotFoundError(
                f"there is no data set at {uri}. Create one: reelscore extract MANIFEST --out {uri}"
            )
        if found.meta["kind"] != kind:
            raise ArtifactError(f"{uri} holds {found.meta['kind']}, expected {kind}. Give another data set")
        return found

    @classmethod
    def find(cls, uri: Path | str) -> Self | None:
        """Return the table of any kind at a URI, or None without one; raises as `open`."""
        folder = folder_of(uri)
        uri = str(folder)
        # The versions come last when a table is created, so a killed creation left none.
        if isinstance(folder, Path):
            exists = (folder / f"{_ROWS}.lance" / "_versions").is_dir()  # LanceDB takes a second to import
        else:  # with the errors of `S3Folder`, which name what is wrong
            exists = next(folder.objects(f"{_ROWS}.lance/_versions"), None) is not None
        if not exists:
            return None
        with table_errors(uri):
            database = connect(uri)
            table = database.open_table(_ROWS)
            stored = (table.schema.metadata or {}).get(_META)
        if stored is None:
            raise ArtifactError(f"{uri} holds a table of another program. Give another folder or prefix")
        meta = json.loads(stored)
        if meta.get("format") != FORMAT:
            raise ArtifactError(
                f"{uri} has format {meta.get('format')}, this reelscore reads {FORMAT}. Extract again to another URI, "
                "or use the version that wrote it"
            )
        return cls(uri, database, table, meta)

    @classmethod
    def create(cls, uri: Path | str, *, meta: Mapping[str, Any], fields: Sequence[pa.Field]) -> Self:
        """Create an empty table.

        Parameters
        ----------
        uri : path or str
            A new or empty folder or prefix.
        meta : mapping
            Settings, as JSON values, with the ``kind``.
        fields : sequence of pyarrow.Field
            The columns besides key and line.

        Raises
        ------
        ArtifactError
            When the folder holds other files, or cannot be written.
        """
        folder = folder_of(uri)
        uri = str(folder)
        check_empty(folder, ignored=(f"{_ROWS}.lance", f"{_FAILURES}.lance"))  # of a killed creation
        if isinstance(folder, S3Folder):
            folder.check_conditional_writes()
        stored = {"format": FORMAT, **meta}
        schema = pa.schema([*_KEY_FIELDS, *fields], metadata={_META: json.dumps(stored).encode()})
        with table_errors(uri):
            database = connect(uri)
            database.create_table(_FAILURES, schema=_FAILURE_SCHEMA, exist_ok=True)
            table = database.create_table(_ROWS, schema=schema)
        return cls(uri, database, table, stored)

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Raise `ArtifactError` unless the table was extracted with some settings, and its store is safe to write."""
        for name in sorted(settings.keys() | self.meta.keys() - {"format", "kind"}):
            stored, given = self.meta.get(name), settings.get(name)
            if stored != given:
                raise ArtifactError(
                    f"{self.uri} was extracted with {name} {stored!r}, not {given!r}. Give the options of the first "
                    "run, or another --out"
                )
        check_writable(self.uri)

    def __len__(self) -> int:
        return len(self._offsets)

    @property
    def schema(self) -> pa.Schema:
        """Columns, with the key and the line first."""
        return self._table.schema.remove_metadata()

    def refresh(self) -> None:
        """Move to the newest version."""
        with table_errors(self.uri):
            self._table.checkout_latest()
        self.__dict__.pop("_offsets", None)

    def column(self, name: str) -> pa.ChunkedArray:
        """Return a column in the order of rows."""
        return self.columns(name)[name]

    def columns(self, *names: str) -> pa.Table:
        """Return some columns of all rows, in the order of rows."""
        offsets = self._offsets
        with table_errors(self.uri):
            scanned = self._table.search().select(list(names)).to_arrow()
        return scanned.take(pa.array(offsets))

    def batches(self, *names: str) -> Iterator[tuple[IntArray, pa.RecordBatch]]:
        """Iterate over some columns of all rows, as row numbers and their cells, in the order of storage."""
        offsets = self._offsets
        start, number_of = 0, np.full(int(offsets.max(initial=-1)) + 1, -1, offsets.dtype)
        number_of[offsets] = np.arange(len(offsets), dtype=offsets.dtype)
        for batch in self._scan(*names):
            numbers = number_of[start : start + len(batch)]
            start += len(batch)
            if (numbers >= 0).all() and len(numbers) == len(batch):
                yield numbers, batch
            else:  # without the second rows of a key
                kept = np.flatnonzero(numbers >= 0)
                yield numbers[kept], batch.take(pa.array(kept))

    def take(self, rows: Sequence[int] | IntArray, columns: Sequence[str] | None = None) -> pa.Table:
        """Return rows by their numbers in the order, with all columns or some."""
        wanted = np.asarray(rows, np.int64)
        offsets, back = np.unique(self._offsets[wanted], return_inverse=True)
        with table_errors(self.uri):
            query = self._table.take_offsets(offsets.tolist())
            if columns is not None:
                query = query.select(list(columns))
            # LanceDB returns the rows by ascending offset, not in the order of the request.
            return query.to_arrow().take(pa.array(back))

    def append(self, rows: pa.Table) -> None:
        """Insert rows with new keys; rows whose key is stored are dropped."""
        with table_errors(self.uri):
            self._table.merge_insert("key").when_not_matched_insert_all().execute(rows)
        self.__dict__.pop("_offsets", None)

    def set_columns(self, rows: pa.Table) -> None:
        """Replace some columns of the rows whose keys are in `rows`."""
        with table_errors(self.uri):
            self._table.merge_insert("key").when_matched_update_all().execute(rows)
        self.__dict__.pop("_offsets", None)

    def failures(self) -> list[FailedItem]:
        """Return the items that could not be extracted, by key."""
        with table_errors(self.uri):
            found = self._database.open_table(_FAILURES).search().to_arrow()
        return sorted((FailedItem(**row) for row in found.to_pylist()), key=lambda one: one.key)

    def record_failures(self, failures: Sequence[FailedItem]) -> None:
        """Insert or replace failures by key."""
        if not failures:
            return
        columns = {name: [getattr(one, name) for one in failures] for name in _FAILURE_SCHEMA.names}
        with table_errors(self.uri):
            table = self._database.open_table(_FAILURES)
            merge = table.merge_insert("key").when_matched_update_all().when_not_matched_insert_all()
            merge.execute(pa.table(columns, schema=_FAILURE_SCHEMA))

    def clear_failures(self, keys: Sequence[str]) -> None:
        """Delete the failures of some keys."""
        if keys:
            listed = ", ".join("'" + key.replace("'", "''") + "'" for key in keys)
            with table_errors(self.uri):
                self._database.open_table(_FAILURES).delete(f"key IN ({listed})")

    def compact(self) -> None:
        """Merge small fragments, which each commit adds, and drop versions older than an hour.

        A large table also gets an index of its keys, so that a commit need not read them all.
        """
        from reelscore.library.storage.local_lancedb import BTree

        with table_errors(self.uri):
            if self._table.stats()["fragment_stats"]["num_fragments"] < _COMPACT_FROM:
                return
            if self._table.count_rows() >= _INDEX_FROM and not self._table.list_indices():
                self._table.create_index("key", config=BTree(), name="key_idx")
            self._table.optimize(cleanup_older_than=_READABLE_FOR)
        self.__dict__.pop("_offsets", None)

    @cached_property
    def _offsets(self) -> IntArray:
        """The place in the table of each row in order."""
        with table_errors(self.uri):
            size = self._table.count_rows()
        return row_order(self._scan, size)

    def _scan(self, *names: str) -> Iterator[pa.RecordBatch]:
        """Read some columns batch by batch, in the order of storage."""
        with table_errors(self.uri):
            yield from self._table.search().select(list(names)).to_batches(_SCAN_ROWS)
