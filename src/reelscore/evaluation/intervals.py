"""What was measured for each query enters, bootstrap intervals of the metrics leave.

Queries of one cluster (one group, one source) are resampled together, as they are not independent. The gallery
stays fixed: an interval says how far the metric would move with other queries against the same gallery.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from reelscore.errors import InputError

from .ranks import FloatArray, IntArray

Statistic = Callable[[IntArray], FloatArray]
"""Takes indices of queries, with repeats, and returns the metrics of those queries, shape (M,)."""


def resamples(cluster: IntArray, *, num_bootstrap: int, seed: int) -> Iterator[IntArray]:
    """Draw whole clusters with replacement, as many as there are, and yield the queries' indices each time."""
    _, number = np.unique(cluster, return_inverse=True)
    order = np.argsort(number, kind="stable")
    sizes = np.bincount(number)
    starts = np.cumsum(sizes) - sizes
    rng = np.random.default_rng(seed)
    for _ in range(num_bootstrap):
        drawn = rng.integers(len(sizes), size=len(sizes))
        taken = sizes[drawn]
        # Within each drawn cluster count 0, 1, ...: a running index less the place where the cluster began.
        within = np.arange(taken.sum()) - np.repeat(np.cumsum(taken) - taken, taken)
        yield order[np.repeat(starts[drawn], taken) + within]


def bootstrap_intervals(
    statistic: Statistic, cluster: IntArray, *, num_bootstrap: int = 1000, seed: int = 0, level: float = 0.95
) -> FloatArray:
    """Return the percentile bootstrap interval of each metric.

    Parameters
    ----------
    statistic : callable
        ``statistic(indices) -> (M,)``.
    cluster : ndarray of int64, shape (Q,)
    num_bootstrap : int
    seed : int
    level : float
        Share of the resamples between the ends.

    Returns
    -------
    ndarray of float64, shape (M, 2)
        Low and high end of each metric.

    References
    ----------
    Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    if num_bootstrap < 1 or not 0 < level < 1 or len(cluster) == 0:
        raise InputError(
            "an interval needs num_bootstrap >= 1, 0 < level < 1 and at least one query, got "
            f"{num_bootstrap}, {level} and {len(cluster)}"
        )
    drawn = [statistic(rows) for rows in resamples(cluster, num_bootstrap=num_bootstrap, seed=seed)]
    tail = (1 - level) / 2
    return np.quantile(np.stack(drawn), [tail, 1 - tail], axis=0).T


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

    Pairing removes what is hard or easy about a query for both, so the interval is narrower than that of two
    separate measurements; a difference whose interval leaves out 0 is beyond chance at that level.
    """
    return bootstrap_intervals(
        lambda rows: first(rows) - second(rows), cluster, num_bootstrap=num_bootstrap, seed=seed, level=level
    )
