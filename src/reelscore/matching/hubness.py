"""Hubness of candidates, and scores relative to those of unmatched queries.

In high-dimensional spaces some candidates are near to every query (Radovanovic et al. 2010, "Hubs in space").
Nearest-neighbour normalisation lowers each score by the candidate's mean score over its nearest queries in a bank,
which does not hold the query itself:

    s'(q, c) = s(q, c) - alpha * b(c),      b(c) = mean of the k highest s(p, c) over p in the bank

Chowdhury et al. 2024, "Nearest Neighbor Normalization Improves Multimodal Retrieval" (arXiv 2410.24114).
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from reelscore.errors import ConfigError
from reelscore.models.base import Embedder
from reelscore.types import FloatArray

NEIGHBOURS = 16
"""k; a quarter of a bank with fewer than 64 queries."""

GOOD, FAIR = 1.0, 0.25
"""Scores of `standardised` above those of about 84 and 60 of 100 unmatched queries."""

_BLOCK = 4096  # candidates at a time
_MIN_DEVIATION = 1e-3


def hubness(candidates: FloatArray, bank: FloatArray) -> FloatArray:
    """Return b(c) of each candidate.

    Parameters
    ----------
    candidates : ndarray of float32, shape (N, D)
    bank : ndarray of float32, shape (B, D)
        Embeddings of queries like those to come.

    Returns
    -------
    ndarray of float32, shape (N,)

    Examples
    --------
    >>> bank = np.eye(2, dtype=np.float32)
    >>> [f"{b:.1f}" for b in hubness(np.array([[1, 0], [0.6, 0.8]], np.float32), bank)]
    ['1.0', '0.8']
    """
    k = max(1, min(NEIGHBOURS, len(bank) // 4))
    b = np.empty(len(candidates), np.float32)
    for start in range(0, len(candidates), _BLOCK):
        block = slice(start, start + _BLOCK)
        scores = candidates[block] @ bank.T
        b[block] = np.partition(scores, -k, axis=1)[:, -k:].mean(axis=1)
    return b


def standardised(
    scores: npt.NDArray[np.float64], candidates: FloatArray, bank: FloatArray, *, strength: float = 1.0
) -> npt.NDArray[np.float64]:
    """Return scores in standard deviations above each candidate's mean score over a bank of unmatched queries.

    s'(q, c) = (s(q, c) - alpha m(c)) / d(c)^alpha, with mean m and deviation d of s(p, c) over p in the bank.

    Parameters
    ----------
    scores : ndarray of float64, shape (N,)
    candidates : ndarray of float32, shape (N, D)
    bank : ndarray of float32, shape (B, D)
    strength : float
        alpha, from 0 (the scores themselves) to 1.

    Returns
    -------
    ndarray of float64, shape (N,)

    Examples
    --------
    >>> bank = np.array([[1, 0], [-1, 0]], np.float32)
    >>> standardised(np.array([0.5]), np.array([[0.25, 0]], np.float32), bank).tolist()
    [2.0]
    """
    mean, covariance = _mean_and_covariance(bank)
    rows = candidates.astype(np.float64)
    # The variance of c'p over the bank is c' C c; rounding may leave it below 0.
    variance = np.maximum(np.vecdot(rows @ covariance, rows), 0.0)
    deviation = np.maximum(np.sqrt(variance), _MIN_DEVIATION)
    unmatched = np.vecdot(rows, mean)
    result: npt.NDArray[np.float64] = (scores - strength * unmatched) / deviation**strength
    return result


_known_banks: deque[tuple[FloatArray, npt.NDArray[np.float64], npt.NDArray[np.float64]]] = deque(maxlen=4)


def _mean_and_covariance(bank: FloatArray) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the mean (D,) and the covariance (D, D) of a bank, which are kept for the last few banks."""
    for known, mean, covariance in tuple(_known_banks):
        if known is bank:
            return mean, covariance
    rows = bank.astype(np.float64)
    mean = rows.mean(axis=0)
    rows -= mean
    covariance = rows.T @ rows / len(rows)
    _known_banks.append((bank, mean, covariance))
    return mean, covariance


def fit_word(score: float) -> str:
    """Return ``"good"``, ``"fair"`` or ``"poor"`` for a score of `standardised`.

    Examples
    --------
    >>> fit_word(1.4), fit_word(0.4), fit_word(-1.0)
    ('good', 'fair', 'poor')
    """
    return "good" if score >= GOOD else "fair" if score >= FAIR else "poor"


def corrected(
    scores: npt.NDArray[np.float64],
    candidates: FloatArray,
    embedder: Embedder,
    bank: FloatArray | None,
    *,
    strength: float,
) -> npt.NDArray[np.float64]:
    """Return the scores of candidates without what they get from any query, shape (N,).

    The bank of a trained model holds real queries, and nearest-neighbour normalisation applies. The bank of an
    untrained model holds generic ones, far from most queries, and the scores are `standardised`.

    Parameters
    ----------
    scores : ndarray of float64, shape (N,)
    candidates : ndarray of float32, shape (N, D)
    embedder : Embedder
    bank : ndarray of float32, shape (B, D), optional
        Its `bank` or `text_bank`.
    strength : float
        alpha, from 0 to 1.

    Raises
    ------
    ConfigError
        When the model has no bank.
    """
    if strength == 0 or not len(scores):
        return scores
    if bank is None or len(bank) == 0:
        raise ConfigError(
            f"the model {embedder.name!r} was stored without the queries that the hubness correction needs. Train it "
            "again, or switch the correction off (--hubness 0)"
        )
    if embedder.trained:
        less: npt.NDArray[np.float64] = scores - strength * hubness(candidates, bank)
        return less
    return standardised(scores, candidates, bank, strength=strength)
