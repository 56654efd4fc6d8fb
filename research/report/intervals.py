"""What became of each query under each training seed enters, means with two 95% intervals leave.

Values form a table V (S, Q): seed s, query q; a query is an item, with the mean of both directions. Two intervals
are given, since they answer two questions.

- Over seeds and queries: a two-level bootstrap. Each draw takes S seeds and as many clusters of queries as there
  are, both with replacement, and the mean over what it took; the ends are the 2.5% and 97.5% quantiles. It says
  how far the figure would move with other seeds and other queries against the same gallery. Of a single seed only
  queries are drawn: it then holds no variation of training.
- Over seeds alone: Student's t on the S means, the queries held fixed. It says how far it would move on this very
  test set if the training were repeated.

Where the test part rotates over folds, the outcomes of all folds stand side by side: a row of V then holds one seed
of each fold, and its columns the queries of all folds; of one seed a fold the first interval is of the queries alone,
each under the one training that its fold has. The second interval is then Student's t over the means of the
folds, each of other queries and another training, and each over all its seeds: seeds of one fold share their queries.

A difference of two systems is the same on the table of differences: seed by seed and query by query, both drawn
together. The seed of a system without one stands for all S.

References
----------
Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 8 and 13; resampling of both factors of a
crossed design after Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 2007. What differs: a bootstrap of
five seeds understates what seeds do, their variance by (S - 1) / S and its ends by the normal quantile z where
Student's t of S - 1 degrees is due; so deviations between seeds are widened by sqrt(S / (S - 1)) t / z before
they are drawn. Student's t over folds takes them for independent, although their trainings share pairs, and is rather
too narrow for it: Nadeau and Bengio, "Inference for the generalization error", Machine Learning 2003.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.stats import norm as normal
from scipy.stats import t as student

from reelscore.errors import InputError
from reelscore.evaluation.ranks import FloatArray, IntArray
from research.runs.runner import Outcome
from research.runs.scoring import DIRECTIONS, Ranking

LEVEL = 0.95
NUM_BOOTSTRAP = 2000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its two intervals; a seed interval of one seed is the mean itself.

    Attributes
    ----------
    mean : float
    low, high : float
        Over seeds and queries; over queries alone where there is one seed, or one in each fold.
    seed_low, seed_high : float
        Over seeds alone, or over folds.
    """

    mean: float
    low: float
    high: float
    seed_low: float
    seed_high: float

    @property
    def above_zero(self) -> bool:
        """Whether the interval from `low` to `high` lies above 0."""
        return self.low > 0

    @property
    def seed_above_zero(self) -> bool:
        """Whether the interval from `seed_low` to `seed_high` lies above 0."""
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


class Queries(NamedTuple):
    """What became of every query: `values` V (S, Q), and `cluster` and `fold` (Q,) of the queries."""

    values: FloatArray
    cluster: IntArray
    fold: IntArray


def gathered(outcomes: Sequence[Outcome], metric: str, *, directions: Sequence[str] = DIRECTIONS) -> Queries:
    """Put the outcomes of one system side by side, fold by fold; without folds this is `per_query`.

    Where a seed of a fold has failed, the mean of the fold's other seeds stands in its row: it does not move the mean
    over all, but what seeds do in that fold counts for less in the interval over seeds and queries than it should.

    Raises
    ------
    InputError
        Without outcomes.
    """
    by_fold: dict[int, list[Outcome]] = {}
    for one in outcomes:
        by_fold.setdefault(fold_of(one), []).append(one)
    order = sorted(by_fold)
    tables = [per_query(by_fold[fold], metric, directions=directions) for fold in order]
    if not tables:
        return Queries(per_query((), metric), np.zeros(0, np.int64), np.zeros(0, np.int64))
    num_seeds = max(len(table) for table in tables)
    tables = [_filled(table, num_seeds) for table in tables]
    sizes = [table.shape[1] for table in tables]
    cluster = np.concatenate([by_fold[fold][0].cluster for fold in order])
    return Queries(np.concatenate(tables, axis=1), cluster, np.repeat(order, sizes))


def fold_of(outcome: Outcome) -> int:
    """Return the fold whose pairs were the test part; 0 where nothing rotates."""
    return int(outcome.run.data.get("fold", 0))


def estimate_of(
    outcomes: Sequence[Outcome],
    metric: str,
    *,
    directions: Sequence[str] = DIRECTIONS,
    num_bootstrap: int = NUM_BOOTSTRAP,
    seed: int = 0,
) -> Estimate:
    """Return the mean of a metric over the outcomes of one system, with its intervals."""
    found = gathered(outcomes, metric, directions=directions)
    return estimate(found.values, found.cluster, fold=found.fold, num_bootstrap=num_bootstrap, seed=seed)


def estimate(
    values: FloatArray,
    cluster: IntArray,
    *,
    fold: IntArray | None = None,
    num_bootstrap: int = NUM_BOOTSTRAP,
    seed: int = 0,
) -> Estimate:
    """Return the mean of a table V (S, Q) with its intervals; queries of one cluster (Q,) and fold are drawn as one.

    A source lies in one fold, so that clusters of two folds are two, although a view that is made anew in every fold
    numbers them alike.

    Raises
    ------
    InputError
        For an empty table or another number of clusters than of queries.
    """
    if values.ndim != 2 or 0 in values.shape or cluster.shape != values.shape[1:]:
        raise InputError(
            f"an estimate needs values (S, Q) and clusters (Q,), got shapes {values.shape} and {cluster.shape}"
        )
    parts = [slice(None)] if fold is None else [fold == one for one in np.unique(fold)]
    means = np.array([values[:, part].mean(axis=1) for part in parts])
    # Seeds of one fold are no further folds: they are of the same queries.
    means = means.mean(axis=1) if len(parts) > 1 else means[0]
    mean = float(values.mean())
    spread = 0.0
    if len(means) > 1:
        error = means.std(ddof=1) / np.sqrt(len(means))
        spread = float(student.ppf((1 + LEVEL) / 2, len(means) - 1) * error)
    if fold is not None:
        _, cluster = np.unique(np.stack([cluster, fold]), axis=1, return_inverse=True)
    drawn = _draw(values, cluster.ravel(), num_bootstrap, np.random.default_rng(seed))
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
    one, other = gathered(first, metric), gathered(second, metric)
    if not np.array_equal(one.cluster, other.cluster) or not np.array_equal(one.fold, other.fold):
        raise InputError("a paired difference needs both systems scored on the same queries")
    num_seeds = len(one.values), len(other.values)
    if len(set(num_seeds)) > 1 and 1 not in num_seeds:
        raise InputError(
            f"a paired difference needs as many seeds on both sides, got {num_seeds[0]} and {num_seeds[1]}"
        )
    apart = one.values - other.values
    return estimate(apart, one.cluster, fold=one.fold, num_bootstrap=num_bootstrap, seed=seed)


def paired(first: Sequence[Outcome], second: Sequence[Outcome]) -> tuple[list[Outcome], list[Outcome]]:
    """Keep the outcomes whose fold and seed both sides have: a failed run takes its partner with it."""
    seedless = any(one.run.config is None for one in (*first, *second))

    def place(one: Outcome) -> tuple[int, int | None]:
        return fold_of(one), None if seedless or one.run.config is None else one.run.config.seed

    shared = {place(one) for one in first} & {place(one) for one in second}
    left, right = ([one for one in side if place(one) in shared] for side in (first, second))
    return sorted(left, key=place), sorted(right, key=place)


def _filled(table: FloatArray, num_seeds: int) -> FloatArray:
    """Give a table `num_seeds` rows; those that it lacks are its mean, which does not move it."""
    missing = num_seeds - len(table)
    return np.concatenate([table, np.repeat(table.mean(axis=0, keepdims=True), missing, axis=0)])


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
