"""Order of the rows of a table by line and key, which does not depend on the order in which they were written."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .digests import DIGEST, digests, first_equal
from .pairs import IntArray

Scan = Callable[..., Iterator[pa.RecordBatch]]
"""Reads the columns of the given names batch by batch, in the order of storage."""


def row_order(scan: Scan, num_rows: int) -> IntArray:
    """Return the places of the rows in the table, sorted by line and then by key.

    Of rows with one key, the first written counts.
    """
    line, key = np.empty(num_rows, np.int64), np.empty(num_rows, DIGEST)
    start = 0
    for batch in scan("line", "key"):
        rows = slice(start, start := start + len(batch))
        line[rows], key[rows] = batch["line"].to_numpy(), digests(batch["key"])
    first = first_equal(key)
    del key
    is_first = first == np.arange(num_rows, dtype=first.dtype)
    order: IntArray = np.argsort(line, kind="stable").astype(first.dtype)
    line = line[order]
    is_tied = np.zeros(num_rows, bool)
    is_tied[1:] = line[1:] == line[:-1]
    is_tied[:-1] |= is_tied[1:]
    if is_tied.any():
        order[is_tied] = _by_key(scan, order[is_tied], line[is_tied])
    unique: IntArray = order[is_first[order]]
    return unique


def _by_key(scan: Scan, places: IntArray, line: IntArray) -> IntArray:
    """Sort places by line and key; only their keys are in memory."""
    back = np.argsort(places)
    wanted = places[back]
    start, found = 0, []
    for batch in scan("key"):
        low, high = np.searchsorted(wanted, [start, start + len(batch)])
        found.append(batch["key"].take(pa.array(wanted[low:high] - start)))
        start += len(batch)
    # As in a walk of folders, "a/b" comes before "a-b".
    paths = pc.replace_substring(pa.chunked_array(found, pa.string()), "/", "\0")
    ordered = pa.table({"line": line[back], "path": paths})
    keys = [("line", "ascending"), ("path", "ascending")]
    places_in_order: IntArray = wanted[pc.sort_indices(ordered, sort_keys=keys).to_numpy()]
    return places_in_order
