"""Ranks and average precisions from scores or embeddings; ties count as errors."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from reelscore.errors import InputError

Scores: TypeAlias = npt.NDArray[np.float32] | npt.NDArray[np.float64]
FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]

BLOCK_SCORES = 4_000_000
"""Maximum number of scores in memory, some 50 MB together with the masks."""


def first_hit_ranks(scores: Scores, hits: BoolArray) -> IntArray:
    """Return the rank of each query's best hit, counted from 1.

    The rank is 1 + the number of wrong candidates that score at least as well. Ties count as errors, so equal scores
    for all candidates gain nothing.

    Parameters
    ----------
    scores : ndarray of float, shape (Q, N)
        Larger is better.
    hits : ndarray of bool, shape (Q, N)
        At least one True in each row.

    Returns
    -------
    ndarray of int64, shape (Q,)

    Raises
    ------
    InputError
        For NaN scores, wrong shapes, or a query without a hit.

    Examples
    --------
    >>> first_hit_ranks(np.array([[0.9, 0.5, 0.5]]), np.array([[False, True, False]]))
    array([3])
    """
    _check(scores, hits)
    best = np.where(hits, scores, -np.inf).max(axis=1, keepdims=True)
    ranks: IntArray = 1 + ((scores >= best) & ~hits).sum(axis=1, dtype=np.int64)
    return ranks


def average_precisions(scores: Scores, hits: BoolArray) -> FloatArray:
    """Return the average precision of each query.

    AP = 1/h * sum_j j / (j + w_j), with the h hits sorted by descending score. w_j is the number of wrong candidates
    that score at least as well as hit j: ties count as errors.

    Parameters
    ----------
    scores : ndarray of float, shape (Q, N)
    hits : ndarray of bool, shape (Q, N)

    Returns
    -------
    ndarray of float64, shape (Q,)
        In (0, 1].

    Raises
    ------
    InputError
        See `first_hit_ranks`.
    """
    _check(scores, hits)
    out = np.empty(len(scores))
    for q, (row, hit) in enumerate(zip(scores, hits, strict=True)):
        right = np.sort(row[hit])[::-1]
        wrong = np.sort(row[~hit])
        ahead = len(wrong) - np.searchsorted(wrong, right, side="left")
        j = np.arange(1, len(right) + 1)
        out[q] = np.mean(j / (j + ahead))
    return out


def rank_embeddings(
    queries: Scores, candidates: Scores, query_group: IntArray, candidate_group: IntArray
) -> tuple[IntArray, FloatArray]:
    """Rank every candidate for every query by inner product, in blocks of bounded memory.

    Parameters
    ----------
    queries : ndarray of float, shape (Q, D)
    candidates : ndarray of float, shape (N, D)
    query_group : ndarray of int64, shape (Q,)
    candidate_group : ndarray of int64, shape (N,)
        A candidate of the query's group is a hit.

    Returns
    -------
    ranks : ndarray of int64, shape (Q,)
        Rank of the first hit.
    precisions : ndarray of float64, shape (Q,)
        Average precision over all hits.

    Raises
    ------
    InputError
        When the shapes do not match, an embedding is not finite or a query has no hit.
    """
    if queries.ndim != 2 or candidates.ndim != 2 or queries.shape[1] != candidates.shape[1]:
        raise InputError(
            f"embeddings must have shapes (Q, D) and (N, D), got {queries.shape} and {candidates.shape}; "
            "compute both with one model"
        )
    # Scores alone would not reveal an infinite coordinate: infinite products rank like any others.
    for name, rows in (("query", queries), ("candidate", candidates)):
        if not np.isfinite(rows).all():
            place = int(np.argwhere(~np.isfinite(rows))[0][0])
            raise InputError(
                f"embeddings must be finite, but that of {name} {place} is not; check its features and the model"
            )
    ranks = np.empty(len(queries), dtype=np.int64)
    precisions = np.empty(len(queries))
    gallery = candidates.T.astype(np.float64)
    size = max(1, BLOCK_SCORES // max(1, len(candidates)))
    for start in range(0, len(queries), size):
        block = slice(start, start + size)
        # A matrix product sums in an order that differs between columns. Rounding to float32 lets equal candidates tie.
        scores = (queries[block].astype(np.float64) @ gallery).astype(np.float32)
        hits = query_group[block, None] == candidate_group[None, :]
        ranks[block] = first_hit_ranks(scores, hits)
        precisions[block] = average_precisions(scores, hits)
    return ranks, precisions


def _check(scores: Scores, hits: BoolArray) -> None:
    if scores.ndim != 2 or 0 in scores.shape or hits.shape != scores.shape:
        raise InputError(
            f"scores and hits must have the same shape (Q, N), got {scores.shape} and {hits.shape}"
        )
    if np.isnan(scores).any():
        q, n = np.argwhere(np.isnan(scores))[0]
        raise InputError(
            f"scores must be numbers, but query {q}, candidate {n} is NaN; check the features and the model for NaN"
        )
    if not hits.any(axis=1).all():
        raise InputError(
            f"query {int(np.argmin(hits.any(axis=1)))} has no hit in the gallery; drop it or add its match"
        )
