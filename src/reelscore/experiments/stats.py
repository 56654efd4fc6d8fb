"""What became of each query under each training seed enters, means with honest 95% intervals leave.

Values form a table V (S, Q): seed s, query q; a query is an item, with the mean of both directions. Two intervals
are given, since they answer two questions.

- Over seeds and queries: a two-level bootstrap. Each draw takes S seeds and as many clusters of queries as there
  are, both with replacement, and the mean over what it took; the ends are the 2.5% and 97.5% quantiles. It says
  how far the figure would move with other seeds and other queries against the same gallery.
- Over seeds alone: Student's t on the S means, the queries held fixed. It says how far it would move on this very
  test set if the training were repeated.

A difference of two systems is the same on the table of differences: seed by seed and query by query, both drawn
together. The seed of a system without one stands for all S.

References
----------
Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 8 and 13; resampling of both factors of a
crossed design after Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 2007. What differs: a bootstrap of
five seeds understates what seeds do, their variance by (S - 1) / S and its ends by the normal quantile z where
Student's t of S - 1 degrees is due; so deviations between seeds are widened by sqrt(S / (S - 1)) t / z before
they are drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm as normal
from scipy.stats import t as student

from ..errors import InputError
from ..evaluation.ranks import FloatArray, IntArray
from .run import Outcome
from .scoring import DIRECTIONS, Ranking

LEVEL = 0.95
NUM_BOOTSTRAP = 2000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its two intervals; a seed interval of one seed is the mean itself.

    Attributes
    ----------
    mean : float
    low, high : float
        Over seeds and queries.
    seed_low, seed_high : float
        Over seeds alone.
    """

    mean: float
    low: float
    high: float
    seed_low: float
    seed_high: float

    @property
    def above_zero(self) -> bool:
        """Whether the interval over seeds and queries lies above 0."""
        return self.low > 0

    @property
    def seed_above_zero(self) -> bool:
        """Whether the interval over seeds alone lies above 0."""
        return self.seed_low > 0


def per_query(
    outcomes: Sequence[Outcome], metric: str, *, directions: Sequence[str] = DIRECTIONS
) -> FloatArray:
    """Return the table V of outcomes that differ by their seed.

    Parameters
    ----------
    outcomes : sequence of Outcome, length S
    metric : str
        ``recall@K``, ``map``, ``suiting`` or ``log_rank``: what is a mean over queries.
    directions : sequence of str
        Their mean is taken query by query.

    Returns
    -------
    ndarray of float64, shape (S, Q)
    """
    if not outcomes:
        raise InputError("a mean needs at least one outcome; its runs have all failed")
    table = [[_values(one.directions[d], metric) for d in directions] for one in outcomes]
    mean: FloatArray = np.mean(np.array(table, dtype=np.float64), axis=1)
    return mean


def estimate(
    values: FloatArray, cluster: IntArray, *, num_bootstrap: int = NUM_BOOTSTRAP, seed: int = 0
) -> Estimate:
    """Return the mean of a table V (S, Q) with its intervals; queries of one cluster (Q,) are drawn as one.

    Raises
    ------
    InputError
        For an empty table or another number of clusters than of queries.
    """
    if values.ndim != 2 or 0 in values.shape or cluster.shape != values.shape[1:]:
        raise InputError(
            f"an estimate needs values (S, Q) and clusters (Q,), got shapes {values.shape} and {cluster.shape}"
        )
    num_seeds = len(values)
    means = values.mean(axis=1)
    mean = float(means.mean())
    spread = 0.0
    if num_seeds > 1:
        error = means.std(ddof=1) / np.sqrt(num_seeds)
        spread = float(student.ppf((1 + LEVEL) / 2, num_seeds - 1) * error)
    drawn = _draw(values, cluster, num_bootstrap, np.random.default_rng(seed))
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return Estimate(mean, low, high, mean - spread, mean + spread)


def difference(
    first: Sequence[Outcome],
    second: Sequence[Outcome],
    metric: str,
    *,
    num_bootstrap: int = NUM_BOOTSTRAP,
    seed: int = 0,
) -> Estimate:
    """Return ``first - second`` in a metric, paired by seed and query.

    Seeds are paired in the order given; a single outcome stands beside each of the other side.

    Raises
    ------
    InputError
        When the two were not scored on the same queries or have unequal numbers of seeds.
    """
    one, other = per_query(first, metric), per_query(second, metric)
    cluster = first[0].cluster
    if one.shape[1] != other.shape[1] or not np.array_equal(cluster, second[0].cluster):
        raise InputError("a paired difference needs both systems scored on the same queries")
    if len(one) != len(other) and 1 not in (len(one), len(other)):
        raise InputError(
            f"a paired difference needs as many seeds on both sides, got {len(one)} and {len(other)}"
        )
    return estimate(one - other, cluster, num_bootstrap=num_bootstrap, seed=seed)


def paired(first: Sequence[Outcome], second: Sequence[Outcome]) -> tuple[list[Outcome], list[Outcome]]:
    """Keep the outcomes whose seed both sides have: a failed run takes its partner with it."""

    def by_seed(outcomes: Sequence[Outcome]) -> dict[Any, Outcome]:
        return {one.run.config.seed if one.run.config else None: one for one in outcomes}

    left, right = by_seed(first), by_seed(second)
    if None in left or None in right:
        return list(first), list(second)
    shared = [seed for seed in left if seed in right]
    return [left[seed] for seed in shared], [right[seed] for seed in shared]


def _draw(values: FloatArray, cluster: IntArray, num_bootstrap: int, rng: np.random.Generator) -> FloatArray:
    """Return the bootstrapped means, shape (num_bootstrap,), by weights instead of copies."""
    num_seeds = len(values)
    center = values.mean(axis=0)
    wide = center + (values - center) * _widening(num_seeds)
    _, number = np.unique(cluster, return_inverse=True)
    num_clusters = int(number.max()) + 1
    seeds = _times_drawn(num_seeds, num_bootstrap, rng)
    clusters = _times_drawn(num_clusters, num_bootstrap, rng)
    queries = clusters[:, number]
    total = ((seeds / num_seeds) @ wide * queries).sum(axis=1)
    means: FloatArray = total / queries.sum(axis=1)
    return means


def _times_drawn(number: int, num_bootstrap: int, rng: np.random.Generator) -> IntArray:
    """Draw `number` of `number` things with replacement and count each, shape (num_bootstrap, number)."""
    drawn = rng.integers(number, size=(num_bootstrap, number)) + number * np.arange(num_bootstrap)[:, None]
    return np.bincount(drawn.ravel(), minlength=num_bootstrap * number).reshape(num_bootstrap, number)


def _widening(num_seeds: int) -> float:
    if num_seeds == 1:
        return 1.0
    tail = (1 + LEVEL) / 2
    return float(np.sqrt(num_seeds / (num_seeds - 1)) * student.ppf(tail, num_seeds - 1) / normal.ppf(tail))


def _values(ranking: Ranking, metric: str) -> FloatArray:
    if metric == "map":
        return ranking.precisions
    if metric == "suiting":
        if ranking.suiting is None:
            raise InputError("suiting needs data whose true compatibility is known")
        return ranking.suiting
    if metric == "log_rank":
        return np.log(ranking.ranks)
    name, _, k = metric.partition("@")
    if name != "recall" or not k.isdigit():
        raise InputError(f"metric must be recall@K, map, suiting or log_rank, got {metric!r}")
    return (ranking.ranks <= int(k)).astype(np.float64)
