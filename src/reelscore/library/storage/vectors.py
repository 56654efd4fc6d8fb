"""Vectors of a library's rows, in blocks that only grow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from reelscore.types import FloatArray

_ROWS_AT_ONCE = 128  # of a gather, so that the gathered vectors stay in the cache of a core


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """Vectors (N, D) of rows, in any order and with gaps, so that a new row moves no other one.

    Attributes
    ----------
    blocks : tuple of ndarray of float32, shape (M_i, D)
        Those of the last snapshot, and those that have been added since.
    places : ndarray of int64, shape (N,)
        Place of each row in the blocks, which are numbered as if they were one.
    """

    blocks: tuple[FloatArray, ...]
    places: npt.NDArray[np.int64]

    @classmethod
    def of(cls, array: FloatArray) -> Vectors:
        """Return the vectors of an array with one row each."""
        return cls((array,), np.arange(len(array)))

    def __len__(self) -> int:
        return len(self.places)

    @property
    def shape(self) -> tuple[int, int]:
        """N and D."""
        return len(self.places), self.blocks[0].shape[1]

    def __getitem__(self, rows: Any) -> FloatArray:
        """Return a copy of the vectors of rows, given as for an array."""
        places = self.places[rows]
        first = self.blocks[0]
        if len(self.blocks) == 1 or (np.max(places, initial=-1) < len(first)):
            only: FloatArray = first[places]
            return only
        found = np.empty((*np.shape(places), first.shape[1]), np.float32)
        start = 0
        for block in self.blocks:
            inside = (places >= start) & (places < start + len(block))
            found[inside] = block[places[inside] - start]
            start += len(block)
        return found

    def column(self, number: int) -> npt.NDArray[np.float32]:
        """Return one component of every vector, shape (N,)."""
        found: npt.NDArray[np.float32] = np.concatenate([block[:, number] for block in self.blocks])
        return found[self.places]

    def dot(self, query: FloatArray, rows: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.float32]:
        """Return the float32 dot product of a query (D,) with the vectors of some rows, by default of all."""
        if rows is None:
            # One product: BLAS waits for its threads at the end of each, which is long on a busy machine.
            return np.concatenate([block @ query for block in self.blocks])[self.places]
        if len(self.blocks) > 1:
            return self[rows] @ query
        scores = np.empty(len(rows), np.float32)
        gathered = np.empty((min(len(rows), _ROWS_AT_ONCE), self.shape[1]), np.float32)
        places = self.places[rows]
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            part = places[start : start + _ROWS_AT_ONCE]
            # Without "clip" NumPy copies once more.
            vectors = np.take(self.blocks[0], part, axis=0, out=gathered[: len(part)], mode="clip")
            np.dot(vectors, query, out=scores[start : start + len(part)])
        return scores


def words_sum(vectors: FloatArray) -> int:
    """Return the sum of the bytes of vectors (M, D) as whole numbers, modulo 2**64, which is faster than a CRC.

    The sum of two arrays is that of the array of both.
    """
    word = np.uint64 if vectors.shape[1] % 2 == 0 else np.uint32
    words = np.ascontiguousarray(vectors).reshape(-1).view(word)
    return int(np.add.reduce(words, dtype=np.uint64))


def map_vectors(file: Path, num: int, dim: int) -> FloatArray:
    """Map the first vectors of a file, shape (num, dim); raise ValueError if it has fewer."""
    if file.stat().st_size < 4 * num * dim:
        raise ValueError(f"{file.name} has {file.stat().st_size} bytes")
    if num * dim == 0:
        return np.empty((num, dim), np.float32)
    # A plain view: slicing np.memmap itself is ten times as slow.
    return np.asarray(np.memmap(file, dtype=np.float32, mode="r", shape=(num, dim)))
