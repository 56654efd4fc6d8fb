"""Arrow schema of a library's table, and conversion to entries and `Rows`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reelscore.errors import ArtifactError
from reelscore.files import parse_json
from reelscore.types import FloatArray, Track

from .entry import Moments, TrackEntry
from .exact_search import TEXT_COLUMNS, Rows, Texts

TRACK_JSON = "card"
"""Column with a JSON copy of the columns of a `Track`. The name on disk is that of the first format."""

TAG_SCORES = "tag_scores"
"""Nullable column of tag scores; absent in a library that keeps none."""

ROW_COLUMNS = (*TEXT_COLUMNS, "duration_s", "revision", "embedding")
"""Columns of `Rows`, besides `TAG_SCORES`."""

TRACK_COLUMNS = (*TEXT_COLUMNS[:4], "duration_s")
"""Columns of a `Track`."""

MOMENT_COLUMNS = ("key", "moments", "moment_starts_s", "moment_ends_s")


def table_schema(dim: int, *, with_tags: bool = False) -> pa.Schema:
    """Return the schema of the one table, for embeddings of length `dim`."""
    fields = [
        *(pa.field(name, pa.string(), nullable=False) for name in TEXT_COLUMNS),
        pa.field("duration_s", pa.float64(), nullable=False),
        pa.field("size_bytes", pa.int64(), nullable=False),
        pa.field("mtime_ns", pa.int64(), nullable=False),
        pa.field("revision", pa.int64(), nullable=False),
        # Approximate search reads single rows here and there, where every column costs a millisecond.
        pa.field(TRACK_JSON, pa.string(), nullable=False),
        pa.field("embedding", pa.list_(pa.float32(), dim), nullable=False),
        # In the same row as the track, so that no commit holds one without the other. float16 takes half the disk, and
        # its error of at most 5e-4 affects only where a match starts.
        pa.field("moments", pa.list_(pa.float16()), nullable=False),
        pa.field("moment_starts_s", pa.list_(pa.float64()), nullable=False),
        pa.field("moment_ends_s", pa.list_(pa.float64()), nullable=False),
    ]
    if with_tags:
        fields.append(pa.field(TAG_SCORES, pa.list_(pa.float32())))
    return pa.schema(fields)


def entries_to_table(
    entries: Sequence[TrackEntry], *, dim: int, revision: int, with_tags: bool = False
) -> pa.Table:
    """Return entries as one Arrow table."""
    tracks = [entry.track for entry in entries]
    lengths = [len(entry.moments) for entry in entries]
    columns: list[Any] = [
        *(pa.array([getattr(t, name) for t in tracks], pa.string()) for name in TEXT_COLUMNS[:4]),
        pa.array([entry.album for entry in entries], pa.string()),
        pa.array([t.duration_s for t in tracks], pa.float64()),
        pa.array([entry.size_bytes for entry in entries], pa.int64()),
        pa.array([entry.mtime_ns for entry in entries], pa.int64()),
        pa.array(np.full(len(entries), revision, dtype=np.int64)),
        pa.array([track_json(track) for track in tracks], pa.string()),
        pa.FixedSizeListArray.from_arrays(pa.array(np.concatenate([e.embedding for e in entries])), dim),
        _lists([entry.moments.astype(np.float16).ravel() for entry in entries], [n * dim for n in lengths]),
        _lists([entry.moment_starts_s for entry in entries], lengths),
        _lists([entry.moment_ends_s for entry in entries], lengths),
    ]
    if with_tags:
        columns.append(pa.array([entry.tag_scores for entry in entries], pa.list_(pa.float32())))
    return pa.Table.from_arrays(columns, schema=table_schema(dim, with_tags=with_tags))


def table_to_entries(table: pa.Table) -> Iterator[TrackEntry]:
    """Yield the entries of a table that holds all columns."""
    embeddings = embeddings_of(table)
    moments = moments_of(table, dim=embeddings.shape[1])
    for i, row in enumerate(table.drop_columns([TRACK_JSON, "embedding", *MOMENT_COLUMNS[1:]]).to_pylist()):
        track = Track(row["key"], row["path"], row["title"], row["artist"], row["duration_s"])
        scores = row.get(TAG_SCORES)
        yield TrackEntry(
            track,
            row["album"],
            row["size_bytes"],
            row["mtime_ns"],
            embeddings[i],
            *moments[track.key],
            None if scores is None else np.array(scores, np.float32),
        )


def table_to_rows(table: pa.Table) -> Rows:
    """Return the tracks of a table with at least `ROW_COLUMNS`, sorted by key."""
    table = table.take(pc.sort_indices(table, sort_keys=[("key", "ascending")])).combine_chunks()
    offsets = np.zeros((len(TEXT_COLUMNS), len(table) + 1), dtype=np.int64)
    texts: list[bytes] = []
    start = 0
    for c, name in enumerate(TEXT_COLUMNS):
        lengths = pc.binary_length(table[name]).to_numpy()
        offsets[c, 0] = start
        offsets[c, 1:] = start + np.cumsum(lengths)
        start = int(offsets[c, -1])
        texts.append("".join(table[name].to_pylist()).encode())
    return Rows(
        Texts(offsets, np.frombuffer(b"".join(texts), dtype=np.uint8)),
        table["duration_s"].to_numpy(),
        table["revision"].to_numpy(),
        embeddings_of(table),
        _tag_scores_of(table) if TAG_SCORES in table.column_names else None,
    )


def tracks_of(table: pa.Table) -> list[Track]:
    """Return the tracks of a table with at least `TRACK_COLUMNS`, in its order."""
    columns = (table[name].to_pylist() for name in TRACK_COLUMNS)
    return [Track(*values) for values in zip(*columns, strict=True)]


def track_json(track: Track) -> str:
    """Return the cell of the column `TRACK_JSON`."""
    return json.dumps(
        [track.key, track.path, track.title, track.artist, track.duration_s], ensure_ascii=False
    )


def tracks_of_json(table: pa.Table) -> list[Track]:
    """Return the tracks of a table with at least the column `TRACK_JSON`, in its order.

    A damaged cell raises `json.JSONDecodeError` or `TypeError`.
    """
    return [Track(*parse_json(cell)) for cell in table[TRACK_JSON].to_pylist()]


def embeddings_of(table: pa.Table) -> FloatArray:
    """Return the column ``embedding``, shape (N, D)."""
    column = table["embedding"]
    values: FloatArray = np.concatenate(
        [np.empty(0, np.float32), *(chunk.flatten().to_numpy() for chunk in column.chunks)]
    )
    return values.reshape(len(table), column.type.list_size)


def moments_of(table: pa.Table, *, dim: int) -> dict[str, Moments]:
    """Return the moments of each key of a table with at least `MOMENT_COLUMNS`."""
    moments: dict[str, Moments] = {}
    for batch in table.select(MOMENT_COLUMNS).to_batches():
        keys = batch.column(0).to_pylist()
        columns = [_cells(batch.column(i)) for i in (1, 2, 3)]
        for key, values, starts_s, ends_s in zip(keys, *columns, strict=True):
            rows = values.reshape(len(starts_s), dim).astype(np.float32)
            moments[key] = (rows, starts_s.copy(), ends_s.copy())
    return moments


def _tag_scores_of(table: pa.Table) -> FloatArray:
    """Return the column of tag scores, shape (N, V), with NaN in the rows that are null."""
    column = table[TAG_SCORES].combine_chunks()
    lengths = pc.list_value_length(column).drop_null().unique().to_pylist()
    if len(lengths) > 1:
        raise ArtifactError(f"tag scores have different lengths: {sorted(lengths)}")
    scores = np.full((len(table), lengths[0] if lengths else 0), np.nan, np.float32)
    if lengths:
        scores[column.is_valid().to_numpy(zero_copy_only=False)] = (
            column.flatten().to_numpy().reshape(-1, lengths[0])
        )
    return scores


def _lists(arrays: Sequence[npt.NDArray[Any]], lengths: Sequence[int]) -> pa.ListArray:
    offsets = np.zeros(len(lengths) + 1, dtype=np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.concatenate(arrays)))


def _cells(column: pa.ListArray) -> list[npt.NDArray[Any]]:
    offsets = column.offsets.to_numpy()
    return np.split(column.flatten().to_numpy(), offsets[1:-1] - offsets[0])
