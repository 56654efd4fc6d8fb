"""Exact search over a library's embeddings and tag scores, in NumPy."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from reelscore.errors import InputError
from reelscore.types import FloatArray, Track

from .entry import UNIT_TOLERANCE, NotUnitError, check_unit
from .vectors import Vectors

TEXT_COLUMNS = ("key", "path", "title", "artist", "album")

EXACT_UP_TO = 100_000
"""Number of tracks up to which every search is exact and without an index, which takes about 10 ms."""

_BLOCK_ROWS = 8192
_SCREEN_MARGIN = 1e-4  # well above the rounding error of a float32 dot product of unit vectors


@dataclass(frozen=True, slots=True)
class Texts:
    """Text columns in one buffer, without a Python object for each cell.

    Attributes
    ----------
    offsets : ndarray of int64, shape (C, N + 1)
        Cell i of column c is ``utf8[offsets[c, i] : offsets[c, i + 1]]``.
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

    The store and the snapshot both search through this class, so that they give the same answers.

    Attributes
    ----------
    texts : Texts
    duration_s : ndarray of float64, shape (N,)
    revision : ndarray of int64, shape (N,)
        Number of the write that made the row; key and revision identify the row's content.
    embeddings : Vectors, shape (N, D)
    tag_scores : Vectors, shape (N, V), optional
        NaN in the rows of tracks without tag scores; None where the library keeps none.
    """

    texts: Texts
    duration_s: npt.NDArray[np.float64]
    revision: npt.NDArray[np.int64]
    embeddings: Vectors
    tag_scores: Vectors | None = None

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
        row = self.num_below(key)
        return row if row < len(self) and self.texts.cell("key", row) == key else None

    def num_below(self, key: str) -> int:
        """Return the number of smaller keys."""
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self.texts.cell("key", middle) < key:
                low = middle + 1
            else:
                high = middle
        return low

    def find(self, keys: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the row of each key, -1 where the library has none."""
        bounds = self.texts.offsets[TEXT_COLUMNS.index("key")]
        size = int(bounds[1] - bounds[0]) if len(self) else 0
        if not (size and (np.diff(bounds) == size).all()):  # content hashes are all of one length
            rows = [self.row_of(key) for key in keys]
            return np.array([-1 if row is None else row for row in rows], dtype=np.int64)
        stored = self.texts.utf8[bounds[0] : bounds[-1]].view(f"S{size}")
        encoded = (key.encode() for key in keys)
        wanted = np.array([key if len(key) == size else b"" for key in encoded], dtype=f"S{size}")
        found = np.searchsorted(stored, wanted).clip(max=len(self) - 1)
        return np.where(stored[found] == wanted, found, -1)

    def rows_of(self, keys: Collection[str]) -> npt.NDArray[np.int64]:
        """Return the rows of `keys` that the library has, ascending."""
        rows = np.unique(self.find(sorted(keys)))
        return rows[rows >= 0]

    def search(
        self, query: FloatArray, k: int, *, allowed: npt.NDArray[np.int64] | None = None
    ) -> list[tuple[Track, float]]:
        """Return the `k` nearest tracks with their cosine, best first, ties by key.

        Rows are screened in float32, and candidates scored again in float64, row by row: equal embeddings get
        equal scores.

        Parameters
        ----------
        query : ndarray of float32, shape (D,)
            Norm 1.
        k : int
            At least 1; the result is shorter where fewer tracks are allowed.
        allowed : ndarray of int64, optional
            Rows to search, ascending; by default all.

        Raises
        ------
        InputError
            When the query or `k` is invalid.
        NotUnitError
            When an embedding does not have norm 1, so the library is damaged.
        """
        query = checked_query(query, k, dim=self.embeddings.shape[1])
        scores = self.embeddings.dot(query, allowed)
        allowed = np.arange(len(self)) if allowed is None else allowed
        if not np.isfinite(scores).all():
            raise NotUnitError("an embedding is not of norm 1")
        if len(allowed) > k:
            threshold = np.partition(scores, len(allowed) - k)[len(allowed) - k] - _SCREEN_MARGIN
            allowed = allowed[scores >= threshold]
        exact = cosines(self.embeddings[allowed], query)
        best = np.lexsort((allowed, -exact))[:k]
        return [(self.track(int(allowed[i])), float(exact[i])) for i in best]

    def cosines(self, query: FloatArray) -> npt.NDArray[np.float64]:
        """Return the cosine of a query (D,) of norm 1 with every embedding, shape (N,)."""
        return _cosines_in_blocks(self.embeddings, checked_query(query, 1, dim=self.embeddings.shape[1]))

    def tag_cosines(self, query: FloatArray) -> npt.NDArray[np.float64]:
        """Return the cosine of a query (V,) of norm 1 with all tag scores, shape (N,); NaN where there are none."""
        assert self.tag_scores is not None
        scores = np.full(len(self), np.nan)
        present = np.flatnonzero(self.has_tag_scores)
        if len(present):
            query = checked_query(query, 1, dim=self.tag_scores.shape[1])
            scores[present] = _cosines_in_blocks(self.tag_scores[present], query)
        return scores

    @property
    def has_tag_scores(self) -> npt.NDArray[np.bool_]:
        """Which tracks have tag scores, shape (N,)."""
        if self.tag_scores is None or self.tag_scores.shape[1] == 0:
            return np.zeros(len(self), dtype=np.bool_)
        present: npt.NDArray[np.bool_] = ~np.isnan(self.tag_scores.column(0))
        return present


def checked_query(query: FloatArray, k: int, *, dim: int) -> FloatArray:
    """Return the query as contiguous float32; raise `InputError` for a bad shape, norm or `k`."""
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


def _cosines_in_blocks(embeddings: Vectors | FloatArray, query: FloatArray) -> npt.NDArray[np.float64]:
    blocks = range(0, len(embeddings), _BLOCK_ROWS)
    return np.concatenate([np.empty(0), *(cosines(embeddings[i : i + _BLOCK_ROWS], query) for i in blocks)])
