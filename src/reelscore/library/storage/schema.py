"""Arrow schema of a library's table, and conversion to entries and `Rows`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
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
from .facts import BUILT_IN, IMPORTED_PREFIX, Kind, TrackDetails, TrackFacts, sql_name
from .vectors import Vectors

TRACK_JSON = "card"
"""Column with a JSON copy of the columns of a `Track`. The name on disk is that of the first format."""

TAG_SCORES = "tag_scores"
"""Nullable column of tag scores; absent in a library that keeps none."""

ROW_COLUMNS = (*TEXT_COLUMNS, "duration_s", "revision", "embedding")
"""Columns of `Rows`, besides `TAG_SCORES`."""

TRACK_COLUMNS = (*TEXT_COLUMNS[:4], "duration_s")
"""Columns of a `Track`."""

FACT_COLUMNS = ("key", "facts", "rhythm")
"""Columns of `TrackFacts`; that of each value repeats what is in ``facts``, for SQL conditions."""

_TYPES: Mapping[Kind, pa.DataType] = {
    "number": pa.float64(),
    "text": pa.string(),
    "flag": pa.bool_(),
    "list": pa.list_(pa.string()),
}

MOMENT_COLUMNS = ("key", "moments", "moment_starts_s", "moment_ends_s")


def table_schema(
    dim: int,
    *,
    with_tags: bool = False,
    with_facts: bool = False,
    imported: Mapping[str, Kind] | None = None,
    is_shared: bool = False,
) -> pa.Schema:
    """Return the schema of the table of tracks, for embeddings of length `dim`; see `_key_field` for `is_shared`."""
    fields = [
        _key_field(is_shared),
        *(pa.field(name, pa.string(), nullable=False) for name in TEXT_COLUMNS[1:]),
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
    if with_facts:
        fields += [pa.field("facts", pa.string()), pa.field("rhythm", pa.binary())]
        fields += fact_fields({**BUILT_IN, **(imported or {})})
    return pa.schema(fields)


def _key_field(is_shared: bool) -> pa.Field:
    """Return the column of keys.

    In a table of several writers it is marked as the primary key. LanceDB then treats two commits that insert the same
    key at once as a conflict; else both would succeed, and the key would be there twice.
    """
    mark = {"lance-schema:unenforced-primary-key": "true"} if is_shared else None
    return pa.field("key", pa.string(), nullable=False, metadata=mark)


def fact_fields(kinds: Mapping[str, Kind]) -> list[pa.Field]:
    """Return the nullable columns of facts."""
    return [pa.field(sql_name(name), _TYPES[kind]) for name, kind in kinds.items()]


def imported_columns(schema: pa.Schema) -> dict[str, Kind]:
    """Return the imported columns of a table and their kinds."""
    kinds: dict[pa.DataType, Kind] = {type_: kind for kind, type_ in _TYPES.items()}
    return {
        field.name.removeprefix(IMPORTED_PREFIX): kinds[field.type]
        for field in schema
        if field.name.startswith(IMPORTED_PREFIX)
    }


def facts_to_columns(facts: Sequence[TrackFacts], imported: Mapping[str, Kind]) -> dict[str, pa.Array]:
    """Return the columns of facts, by name."""
    columns = {
        "facts": pa.array([one.to_json() for one in facts], pa.string()),
        "rhythm": pa.array([one.rhythm for one in facts], pa.binary()),
    }
    for name, kind in {**BUILT_IN, **imported}.items():
        columns[sql_name(name)] = pa.array([one.values.get(name) for one in facts], _TYPES[kind])
    return columns


def facts_of(table: pa.Table) -> dict[str, TrackFacts]:
    """Return the facts of each key of a table with `FACT_COLUMNS`; of one with keys alone, empty ones."""
    if "facts" not in table.column_names:
        return dict.fromkeys(table["key"].to_pylist(), TrackFacts())
    columns = (table[name].to_pylist() for name in FACT_COLUMNS)
    return {
        key: TrackFacts.from_json(text or "", rhythm=rhythm or b"")
        for key, text, rhythm in zip(*columns, strict=True)
    }


def items_of(column: pa.ChunkedArray) -> list[str]:
    """Return the different items of a list column."""
    found: list[str] = pc.unique(pc.list_flatten(column)).to_pylist()
    return found


def details_schema(*, is_shared: bool = False) -> pa.Schema:
    """Return the schema of the table of details; see `_key_field` for `is_shared`."""
    return pa.schema(
        [
            _key_field(is_shared),
            pa.field("fingerprint", pa.binary(), nullable=False),
            pa.field("peaks", pa.binary(), nullable=False),
            pa.field("sections_s", pa.list_(pa.float64()), nullable=False),
        ]
    )


def details_to_table(details: Mapping[str, TrackDetails]) -> pa.Table:
    """Return the details of each key as one Arrow table."""
    rows = [(key, one.fingerprint, one.peaks, one.sections_s) for key, one in details.items()]
    schema = details_schema()
    return pa.Table.from_arrays(
        [pa.array([row[i] for row in rows], field.type) for i, field in enumerate(schema)], schema=schema
    )


def details_of(table: pa.Table) -> dict[str, TrackDetails]:
    """Return the details of each key of a table of details."""
    columns = (table[name].to_pylist() for name in details_schema().names)
    return {
        key: TrackDetails(fingerprint, peaks, tuple(sections_s))
        for key, fingerprint, peaks, sections_s in zip(*columns, strict=True)
    }


def entries_to_table(entries: Sequence[TrackEntry], schema: pa.Schema, *, revision: int) -> pa.Table:
    """Return entries as one Arrow table with the columns of a library's table."""
    dim = schema.field("embedding").type.list_size
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
    if TAG_SCORES in schema.names:
        columns.append(pa.array([entry.tag_scores for entry in entries], pa.list_(pa.float32())))
    named = dict(zip(schema.names, columns, strict=False))
    if "facts" in schema.names:
        named |= facts_to_columns([entry.facts for entry in entries], imported_columns(schema))
    return pa.Table.from_arrays([named[name] for name in schema.names], schema=schema)


def table_to_entries(table: pa.Table) -> Iterator[TrackEntry]:
    """Yield the entries of a table that holds all columns."""
    embeddings = embeddings_of(table)
    moments = moments_of(table, dim=embeddings.shape[1])
    wanted = (*TRACK_COLUMNS, "album", "size_bytes", "mtime_ns", TAG_SCORES, *FACT_COLUMNS[1:])
    known = [name for name in wanted if name in table.column_names]
    for i, row in enumerate(table.select(known).to_pylist()):
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
            TrackFacts.from_json(row.get("facts") or "", rhythm=row.get("rhythm") or b""),
        )


def table_to_rows(table: pa.Table) -> Rows:
    """Return the tracks of a table with at least `ROW_COLUMNS`, sorted by key."""
    table = table.take(pc.sort_indices(table, sort_keys=[("key", "ascending")])).combine_chunks()
    return Rows(
        texts_of([_one_chunk(table[name]) for name in TEXT_COLUMNS]),
        table["duration_s"].to_numpy(),
        table["revision"].to_numpy(),
        Vectors.of(embeddings_of(table)),
        Vectors.of(_tag_scores_of(table)) if TAG_SCORES in table.column_names else None,
    )


def texts_of(columns: Sequence[pa.Array]) -> Texts:
    """Return the columns `TEXT_COLUMNS` in one buffer."""
    offsets = np.zeros((len(columns), len(columns[0]) + 1), dtype=np.int64)
    contents: list[npt.NDArray[np.uint8]] = []
    start = 0
    for c, column in enumerate(columns):
        column = column.cast(pa.large_string())
        _, bounds, content = column.buffers()
        if len(column):
            own = np.frombuffer(bounds, np.int64)[column.offset : column.offset + len(column) + 1]
            offsets[c] = start + own - own[0]
            if content is not None:
                contents.append(np.frombuffer(content, np.uint8)[own[0] : own[-1]])
        else:
            offsets[c] = start
        start = int(offsets[c, -1])
    return Texts(offsets, np.concatenate([np.empty(0, np.uint8), *contents]))


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    return combined.combine_chunks() if isinstance(combined, pa.ChunkedArray) else combined


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
            rows = values.reshape(len(starts_s), dim).copy()
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
