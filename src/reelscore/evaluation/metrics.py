"""Recall@k, median rank and mAP, with their exact chance levels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reelscore.errors import InputError

from .ranks import FloatArray, IntArray

RECALL_AT = (1, 5, 10, 25)
METRICS = (*(f"recall@{k}" for k in RECALL_AT), "median_rank", "map")


def recall_at(ranks: IntArray, k: int) -> float:
    """Return the fraction of queries with a hit among the top `k`.

    Examples
    --------
    >>> recall_at(np.array([1, 3, 11, 40]), 10)
    0.5
    """
    return float(np.mean(ranks <= k))


def median_rank(ranks: IntArray) -> float:
    """Return the median rank of the first hit, the mean of the middle two for an even number of queries."""
    return float(np.median(ranks))


def summary(ranks: IntArray, precisions: FloatArray) -> FloatArray:
    """Return the metrics named in `METRICS`, shape (6,), from ranks and average precisions."""
    return np.array(
        [*(recall_at(ranks, k) for k in RECALL_AT), median_rank(ranks), float(np.mean(precisions))]
    )


def chance_summary(num_hits: npt.NDArray[np.integer], num_candidates: int) -> FloatArray:
    """Return the metrics named in `METRICS` for a random ranking, from exact formulas.

    For a query with h hits among N candidates, the rank of the first hit exceeds k with probability
    C(N-h, k) / C(N, k), and the expected average precision is

        (1/N) * sum_{i=1..N} (1 + (i-1)(h-1)/(N-1)) / i  =  (H_N + (h-1)/(N-1) * (N - H_N)) / N,

    with the N-th harmonic number H_N: rank i holds a hit with probability h/N, and then (i-1)(h-1)/(N-1) hits are
    expected before it. The median rank is that of the mixture of the queries' distributions.

    Parameters
    ----------
    num_hits : ndarray of int, shape (Q,)
        Number of hits h of each query, 1 to N.
    num_candidates : int
        N.

    Returns
    -------
    ndarray of float64, shape (6,)

    Examples
    --------
    >>> chance_summary(np.array([1, 1]), 100).round(4).tolist()
    [0.01, 0.05, 0.1, 0.25, 50.5, 0.0519]
    """
    hits, counts = np.unique(num_hits, return_counts=True)
    if len(hits) == 0 or hits[0] < 1 or hits[-1] > num_candidates:
        raise InputError(
            f"each query needs 1 to {num_candidates} hits among {num_candidates} candidates, got {hits.tolist()}"
        )
    share = counts / counts.sum()
    n = num_candidates
    places = np.arange(n)
    # Column k: probability that the first hit's rank exceeds k, the product of (N-h-i)/(N-i) for i < k.
    beyond = np.ones(n + 1)
    beyond[1:] = 0.0
    for h, weight in zip(hits.tolist(), share.tolist(), strict=True):
        factors = np.maximum(n - h - places, 0) / (n - places)
        beyond[1:] += weight * np.cumprod(factors)
    within = 1.0 - beyond
    slack = 1e-12  # rounding error of the cumulative products
    middle = (int(np.argmax(within >= 0.5 - slack)) + int(np.argmax(within > 0.5 + slack))) / 2
    harmonic = float(np.sum(1.0 / np.arange(1, n + 1)))
    spread = (n - harmonic) / (n - 1) if n > 1 else 0.0
    precision = float(share @ ((harmonic + (hits - 1) * spread) / n))
    return np.array([*(float(within[min(k, n)]) for k in RECALL_AT), middle, precision])
