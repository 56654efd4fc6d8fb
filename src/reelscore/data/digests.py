"""Digests of many texts, to compare texts that do not fit into memory."""

from __future__ import annotations

import hashlib
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .pairs import IntArray

DIGEST = np.dtype([("high", "<u8"), ("low", "<u8")])
"""128 bits: among 10^8 texts, two differ and have the same digest with a probability of 10^-23."""

Digests: TypeAlias = npt.NDArray[Any]
"""Array of dtype `DIGEST`."""


def digests(texts: pa.Array) -> Digests:
    """Return the digest of each text of an Arrow array without nulls."""
    values = pc.cast(texts, pa.binary()).to_pylist()
    joined = b"".join(hashlib.blake2b(value, digest_size=DIGEST.itemsize).digest() for value in values)
    return np.frombuffer(joined, DIGEST)


def index_dtype(num_items: int) -> type[np.signedinteger[Any]]:
    """Return the smallest integer type of 4 or 8 bytes for the indices of that many items."""
    return np.int32 if num_items <= np.iinfo(np.int32).max else np.int64


def first_equal(values: Digests) -> IntArray:
    """Return the index of the first item with the same digest, for each item.

    Examples
    --------
    >>> first_equal(digests(pa.array(["a", "b", "a"]))).tolist()
    [0, 1, 0]
    """
    dtype = index_dtype(len(values))
    order = np.lexsort((values["low"], values["high"])).astype(dtype)  # stable
    is_new = np.ones(len(values), bool)
    for part in ("high", "low"):
        ordered = values[part][order]
        differs = ordered[1:] != ordered[:-1]
        is_new[1:] = differs if part == "high" else is_new[1:] | differs
    places = np.where(is_new, np.arange(len(values), dtype=dtype), 0)
    np.maximum.accumulate(places, out=places)
    first = np.empty(len(values), dtype)
    first[order] = order[places]
    return first
