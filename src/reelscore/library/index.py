"""Approximate search for large libraries: a table enters, an index on it and near neighbours by it leave."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from lancedb.index import BTree, IvfPq

from ..domain import FloatArray
from .rows import TEXT_COLUMNS

VECTOR_INDEX = "embedding_idx"
KEY_INDEX = "key_idx"

_PROBES = 20
_REFINE_FACTOR = 10
_COLUMNS = [*TEXT_COLUMNS[:4], "duration_s", "embedding", "_distance"]


def build(table: Any) -> None:
    """Index the embeddings for search and the keys for look-ups, replacing what is there."""
    table.create_index("embedding", config=IvfPq(distance_type="cosine"), name=VECTOR_INDEX, replace=True)
    table.create_index("key", config=BTree(), name=KEY_INDEX, replace=True)


def is_built(table: Any) -> bool:
    """Return whether the embeddings are indexed."""
    return any(index.name == VECTOR_INDEX for index in table.list_indices())


def near(table: Any, query: FloatArray, k: int, *, where: str | None = None) -> pa.Table:
    """Return about `k` nearest rows: track columns and embedding."""
    search = (
        table.search(query, vector_column_name="embedding")
        .distance_type("cosine")
        .nprobes(_PROBES)
        .refine_factor(_REFINE_FACTOR)
        .limit(k)
        .select(_COLUMNS)
    )
    if where is not None:
        search = search.where(where, prefilter=True)
    return search.to_arrow()
