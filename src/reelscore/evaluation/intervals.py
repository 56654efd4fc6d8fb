"""Bootstrap intervals of retrieval metrics over clusters of queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from reelscore.errors import InputError

from .ranks import FloatArray, IntArray

Statistic = Callable[[IntArray], FloatArray]
"""Maps indices of queries, with repeats, to the metrics of those queries, shape (M,)."""


def resamples(cluster: IntArray, *, num_bootstrap: int, seed: int) -> Iterator[IntArray]:
    """Yield the query indices of bootstrap samples: all clusters resampled with replacement."""
    _, number = np.unique(cluster, return_inverse=True)
    order = np.argsort(number, kind="stable")
    sizes = np.bincount(number)
    starts = np.cumsum(sizes) - sizes
    rng = np.random.default_rng(seed)
    for _ in range(num_bootstrap):
        chosen = rng.integers(len(sizes), size=len(sizes))
        lengths = sizes[chosen]
        # Count 0, 1, ... inside each chosen cluster: a running index minus the cluster's first index.
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        yield order[np.repeat(starts[chosen], lengths) + within]


def bootstrap_intervals(
    statistic: Statistic, cluster: IntArray, *, num_bootstrap: int = 1000, seed: int = 0, level: float = 0.95
) -> FloatArray:
    """Return the percentile bootstrap interval of each metric.

    Parameters
    ----------
    statistic : callable
        ``statistic(indices) -> (M,)``, see `Statistic`.
    cluster : ndarray of int64, shape (Q,)
        Queries of one cluster are not independent and are resampled together.
    num_bootstrap : int
    seed : int
    level : float
        Share of the resamples inside the interval.

    Returns
    -------
    ndarray of float64, shape (M, 2)
        Lower and upper bound of each metric.

    References
    ----------
    Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    if num_bootstrap < 1 or not 0 < level < 1 or len(cluster) == 0:
        raise InputError(
            "an interval needs num_bootstrap >= 1, 0 < level < 1 and at least one query, got "
            f"{num_bootstrap}, {level} and {len(cluster)}"
        )
    values = [statistic(rows) for rows in resamples(cluster, num_bootstrap=num_bootstrap, seed=seed)]
    tail = (1 - level) / 2
    return np.quantile(np.stack(values), [tail, 1 - tail], axis=0).T


def difference_intervals(
    first: Statistic,
    second: Statistic,
    cluster: IntArray,
    *,
    num_bootstrap: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> FloatArray:
    """Return the interval of ``first - second``, both measured on the same resampled queries, shape (M, 2).

    Pairing removes the difficulty that a query has for both, so the interval is narrower than for two independent
    measurements. A difference whose interval excludes 0 is significant at that level.
    """
    return bootstrap_intervals(
        lambda rows: first(rows) - second(rows), cluster, num_bootstrap=num_bootstrap, seed=seed, level=level
    )
