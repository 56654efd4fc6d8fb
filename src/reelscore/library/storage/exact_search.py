"""A whole library in arrays: embeddings and texts enter, exact ranked search leaves.

NumPy alone: LanceDB's store and the memory-mapped snapshot both search through this one class, so that
they cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from reelscore.errors import InputError
from reelscore.types import FloatArray, Track

from .entry import UNIT_TOLERANCE, NotUnitError, check_unit
from .filters import TrackFilter

TEXT_COLUMNS = ("key", "path", "title", "artist", "album")

EXACT_UP_TO = 100_000
"""Rows up to which every search looks at all of them: about 10 ms, no index and nothing missed."""

_BLOCK_ROWS = 8192
_SCREEN_MARGIN = 1e-4  # well above what float32 can lose in a dot product of unit vectors


@dataclass(frozen=True, slots=True)
class Texts:
    """Text columns without a Python object for each cell.

    Attributes
    ----------
    offsets : ndarray of int64, shape (C, N + 1)
        Where cell i of column c lies in `utf8`: ``[offsets[c, i], offsets[c, i + 1])``.
    utf8 : ndarray of uint8
    """

    offsets: npt.NDArray[np.int64]
    utf8: npt.NDArray[np.uint8]

    def cell(self, column: str, row: int) -> str:
        """Return one text."""
        start, end = self.offsets[TEXT_COLUMNS.index(column), row : row + 2]
        return self.utf8[start:end].tobytes().decode("utf-8")

    def column(self, column: str) -> list[str]:
        """Return all the texts of a column."""
        bounds = self.offsets[TEXT_COLUMNS.index(column)].tolist()
        content = self.utf8[bounds[0] : bounds[-1]].tobytes()
        first = bounds[0]
        return [content[a - first : b - first].decode("utf-8") for a, b in pairwise(bounds)]


@dataclass(frozen=True, slots=True)
class Rows:
    """N tracks in ascending order of their keys.

    Attributes
    ----------
    texts : Texts
    duration_s : ndarray of float64, shape (N,)
    revision : ndarray of int64, shape (N,)
        Which write made the row; with the key it names the row's content.
    embeddings : ndarray of float32, shape (N, D)
    """

    texts: Texts
    duration_s: npt.NDArray[np.float64]
    revision: npt.NDArray[np.int64]
    embeddings: FloatArray

    def __len__(self) -> int:
        return len(self.duration_s)

    def text(self, column: str) -> list[str]:
        """Return a text column."""
        return self.texts.column(column)

    def track(self, row: int) -> Track:
        """Return the track in a row."""
        key, path, title, artist = (self.texts.cell(name, row) for name in TEXT_COLUMNS[:4])
        return Track(key, path, title, artist, float(self.duration_s[row]))

    def row_of(self, key: str) -> int | None:
        """Return the row of `key` by bisection, or None."""
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self.texts.cell("key", middle) < key:
                low = middle + 1
            else:
                high = middle
        return low if low < len(self) and self.texts.cell("key", low) == key else None

    def search(
        self, query: FloatArray, k: int, *, where: TrackFilter | None = None
    ) -> list[tuple[Track, float]]:
        """Return the `k` nearest tracks with their cosine, best first, ties by key.

        Blocks are screened in float32 and what may be among the best is scored again in float64, row by
        row, so that equal embeddings have equal scores whatever the shape of the product was.

        Parameters
        ----------
        query : ndarray of float32, shape (D,)
            Norm 1.
        k : int
            At least 1; fewer come back where fewer pass `where`.
        where : TrackFilter, optional

        Raises
        ------
        InputError
            When the query or `k` is not as promised.
        NotUnitError
            When an embedding is not of norm 1: the library is damaged.
        """
        query = checked_query(query, k, dim=self.embeddings.shape[1])
        scores = np.empty(len(self), dtype=np.float32)
        for start in range(0, len(self), _BLOCK_ROWS):
            block = slice(start, start + _BLOCK_ROWS)
            np.dot(self.embeddings[block], query, out=scores[block])
        if not np.isfinite(scores).all():
            raise NotUnitError("an embedding is not of norm 1")
        allowed = np.arange(len(self)) if where is None else np.flatnonzero(where.mask(self))
        if len(allowed) > k:
            screened = scores[allowed]
            threshold = np.partition(screened, len(allowed) - k)[len(allowed) - k] - _SCREEN_MARGIN
            allowed = allowed[screened >= threshold]
        exact = cosines(self.embeddings[allowed], query)
        best = np.lexsort((allowed, -exact))[:k]
        return [(self.track(int(allowed[i])), float(exact[i])) for i in best]


def checked_query(query: FloatArray, k: int, *, dim: int) -> FloatArray:
    """Return the query as contiguous float32, or raise `InputError`."""
    if k < 1:
        raise InputError(f"k must be at least 1, got {k}")
    query = np.ascontiguousarray(query, dtype=np.float32)
    if query.shape != (dim,):
        raise InputError(f"the query must have shape ({dim},) as the library's embeddings, got {query.shape}")
    check_unit(query, what="the query", ndim=1)
    return query


def cosines(embeddings: FloatArray, query: FloatArray) -> npt.NDArray[np.float64]:
    """Return the float64 dot product of each row with the query, shape (N,).

    Raises `NotUnitError` where a row is not of norm 1.
    """
    rows = np.ascontiguousarray(embeddings, dtype=np.float64)
    norms = np.sqrt((rows * rows).sum(axis=1))
    if not (np.abs(norms - 1) <= UNIT_TOLERANCE).all():
        raise NotUnitError("an embedding is not of norm 1")
    products: npt.NDArray[np.float64] = (rows * query.astype(np.float64)).sum(axis=1)
    return products
