"""Scores and which candidates are hits enter, ranks and average precisions leave; ties count against us."""

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
"""Scores held at once while embeddings are ranked: some 50 MB with the masks beside them."""


def first_hit_ranks(scores: Scores, hits: BoolArray) -> IntArray:
    """Return for each query the rank of its best hit, counted from 1.

    The rank is 1 + the candidates that score strictly better + the wrong candidates that score the same, so that
    a model that gives every candidate one score gains nothing by it.

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
        For NaN scores, other shapes, or a query without a hit.

    Examples
    --------
    >>> first_hit_ranks(np.array([[0.9, 0.5, 0.5]]), np.array([[False, True, False]]))
    array([3])
    """
    _check(scores, hits)
    best = np.where(hits, scores, -np.inf).max(axis=1, keepdims=True)
    # No hit is better than the best one, so whatever is at least as good and no hit stands before it.
    ranks: IntArray = 1 + ((scores >= best) & ~hits).sum(axis=1, dtype=np.int64)
    return ranks


def average_precisions(scores: Scores, hits: BoolArray) -> FloatArray:
    """Return for each query the mean over its hits of the precision at the place of each.

    AP = 1/h * sum_j j / (j + w_j), where the h hits are sorted by falling score and w_j counts the wrong candidates
    that score at least as well as the j-th: of those that score the same, wrong ones come first.

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
        As `first_hit_ranks`.
    """
    _check(scores, hits)
    out = np.empty(len(scores))
    for q, (row, hit) in enumerate(zip(scores, hits, strict=True)):
        found = np.sort(row[hit])[::-1]
        wrong = np.sort(row[~hit])
        ahead = len(wrong) - np.searchsorted(wrong, found, side="left")
        j = np.arange(1, len(found) + 1)
        out[q] = np.mean(j / (j + ahead))
    return out


def rank_embeddings(
    queries: Scores, candidates: Scores, query_group: IntArray, candidate_group: IntArray
) -> tuple[IntArray, FloatArray]:
    """Rank every candidate for every query by inner product, in blocks of queries of bounded memory.

    Products are taken in float64 and compared in float32: the order in which a matrix product adds differs between
    columns, and without the rounding equal candidates would not tie.

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
        Of the first hit.
    precisions : ndarray of float64, shape (Q,)
        Average precision over all hits.

    Raises
    ------
    InputError
        When the shapes do not go together, an embedding is not finite or a query has no hit.
    """
    if queries.ndim != 2 or candidates.ndim != 2 or queries.shape[1] != candidates.shape[1]:
        raise InputError(
            f"embeddings must have shapes (Q, D) and (N, D), got {queries.shape} and {candidates.shape}; "
            "take both from one model"
        )
    # An infinite coordinate need not show: its products may all be infinite, and rank like any score.
    for name, rows in (("query", queries), ("candidate", candidates)):
        if not np.isfinite(rows).all():
            place = int(np.argwhere(~np.isfinite(rows))[0][0])
            raise InputError(
                f"embeddings must be finite; that of {name} {place} is not: look at its features or the model"
            )
    ranks = np.empty(len(queries), dtype=np.int64)
    precisions = np.empty(len(queries))
    gallery = candidates.T.astype(np.float64)
    size = max(1, BLOCK_SCORES // max(1, len(candidates)))
    for start in range(0, len(queries), size):
        block = slice(start, start + size)
        scores = (queries[block].astype(np.float64) @ gallery).astype(np.float32)
        hits = query_group[block, None] == candidate_group[None, :]
        ranks[block] = first_hit_ranks(scores, hits)
        precisions[block] = average_precisions(scores, hits)
    return ranks, precisions


def _check(scores: Scores, hits: BoolArray) -> None:
    if scores.ndim != 2 or 0 in scores.shape or hits.shape != scores.shape:
        raise InputError(
            f"scores and hits must both be of one shape (Q, N), got {scores.shape} and {hits.shape}"
        )
    if np.isnan(scores).any():
        q, n = np.argwhere(np.isnan(scores))[0]
        raise InputError(
            f"scores must be numbers; query {q}, candidate {n} is NaN: look for NaN in the features or the model"
        )
    if not hits.any(axis=1).all():
        raise InputError(
            f"query {int(np.argmin(hits.any(axis=1)))} has no hit in the gallery; drop it or add its match"
        )
