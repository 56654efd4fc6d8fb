"""Means over seeds and queries with two 95% intervals.

The values form a table V (S, Q) for seeds s and queries q, each the mean of both directions. The two intervals answer
two questions:

- Over seeds and queries: how far would the mean move with other seeds and other queries against the same gallery? A
  two-level bootstrap draws S seeds and as many clusters of queries as there are, both with replacement; the interval
  ends are the 2.5% and 97.5% quantiles. With a single seed only queries are drawn.
- Over seeds alone: how far would it move on this test set if the training were repeated? Student's t on the S means.

Where the test part rotates over folds, the outcomes of all folds are concatenated: a row of V holds one seed of each
fold, and its columns the queries of all folds. The second interval is then Student's t over the means of the folds,
each averaged over its seeds, because seeds of one fold share their queries.

A difference of two systems is estimated on the table of differences, paired by seed and query. A system without seeds
is paired with every seed of the other.

References
----------
Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 8 and 13; resampling of both factors of a
crossed design after Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 2007. What differs: a bootstrap of
few seeds underestimates their variance by (S - 1) / S, and its quantiles are normal where Student's t of S - 1 degrees
is right, so deviations between seeds are scaled by sqrt(S / (S - 1)) t / z before they are drawn. The folds are not
independent, because their trainings share pairs, so Student's t over them is too narrow: Nadeau and Bengio,
"Inference for the generalization error", Machine Learning 2003.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import norm as normal
from scipy.stats import t as student

from reelscore.errors import InputError
from reelscore.evaluation.ranks import FloatArray, IntArray
from research.result import Estimate
from research.runs.run import Outcome
from research.runs.scoring import DIRECTIONS, TRUTH, Ranking

LEVEL = 0.95
NUM_BOOTSTRAP = 2000


def per_query(
    outcomes: Sequence[Outcome], metric: str, *, directions: Sequence[str] = DIRECTIONS
) -> FloatArray:
    """Return the table V of outcomes that differ by their seed.

    Parameters
    ----------
    outcomes : sequence of Outcome, length S
    metric : str
        ``recall@K``, ``map``, ``truth_map`` or ``log_rank``.
    directions : sequence of str
        Averaged query by query.

    Returns
    -------
    ndarray of float64, shape (S, Q)
    """
    if not outcomes:
        raise InputError("a mean needs at least one outcome: all of its runs failed")
    table = [[_values(one.directions[d], metric) for d in directions] for one in outcomes]
    mean: FloatArray = np.mean(np.array(table, dtype=np.float64), axis=1)
    return mean


class Queries(NamedTuple):
    """Values V (S, Q), and cluster and fold (Q,) of the queries."""

    values: FloatArray
    cluster: IntArray
    fold: IntArray


def concatenated(
    outcomes: Sequence[Outcome], metric: str, *, directions: Sequence[str] = DIRECTIONS
) -> Queries:
    """Concatenate the outcomes of one system over the folds; without folds this is `per_query`.

    A failed seed of a fold is replaced by the mean of the fold's other seeds. That leaves the mean as it is and makes
    the interval over seeds and queries a little too narrow.

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
    tables = [_pad_seeds(table, num_seeds) for table in tables]
    sizes = [table.shape[1] for table in tables]
    cluster = np.concatenate([by_fold[fold][0].cluster for fold in order])
    return Queries(np.concatenate(tables, axis=1), cluster, np.repeat(order, sizes))


def fold_of(outcome: Outcome) -> int:
    """Return the fold that was the test part; 0 without folds."""
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
    queries = concatenated(outcomes, metric, directions=directions)
    return estimate(
        queries.values, queries.cluster, fold=queries.fold, num_bootstrap=num_bootstrap, seed=seed
    )


def estimate(
    values: FloatArray,
    cluster: IntArray,
    *,
    fold: IntArray | None = None,
    num_bootstrap: int = NUM_BOOTSTRAP,
    seed: int = 0,
) -> Estimate:
    """Return the mean of a table V (S, Q) with its intervals; queries of one cluster (Q,) and fold are drawn together.

    Clusters of two folds are distinct even if their numbers are equal: derived data sets number them fold by fold.

    Raises
    ------
    InputError
        For an empty table, or if the numbers of clusters and queries differ.
    """
    if values.ndim != 2 or 0 in values.shape or cluster.shape != values.shape[1:]:
        raise InputError(
            f"an estimate needs values (S, Q) and clusters (Q,), got shapes {values.shape} and {cluster.shape}"
        )
    parts = [slice(None)] if fold is None else [fold == one for one in np.unique(fold)]
    means = np.array([values[:, part].mean(axis=1) for part in parts])
    # Seeds of one fold share their queries, so they are averaged and not counted as further folds.
    means = means.mean(axis=1) if len(parts) > 1 else means[0]
    mean, half = float(values.mean()), _half_width(means)
    if fold is not None:
        _, cluster = np.unique(np.stack([cluster, fold]), axis=1, return_inverse=True)
    drawn = _bootstrap(values, cluster.ravel(), num_bootstrap, np.random.default_rng(seed))
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return Estimate(mean, low, high, mean - half, mean + half)


def student_t(values: FloatArray) -> Estimate:
    """Return the mean of independent values (N,) with Student's t interval, as both intervals."""
    mean, half = float(values.mean()), _half_width(values)
    return Estimate(mean, mean - half, mean + half, mean - half, mean + half)


def difference(
    first: Sequence[Outcome],
    second: Sequence[Outcome],
    metric: str,
    *,
    num_bootstrap: int = NUM_BOOTSTRAP,
    seed: int = 0,
) -> Estimate:
    """Return ``first - second`` in a metric, paired by seed and query.

    Seeds are paired in the given order; a single outcome is paired with each of the other side.

    Raises
    ------
    InputError
        When the two were scored on different queries or have unequal numbers of seeds.
    """
    one, other = concatenated(first, metric), concatenated(second, metric)
    if not np.array_equal(one.cluster, other.cluster) or not np.array_equal(one.fold, other.fold):
        raise InputError("a paired difference needs both systems scored on the same queries")
    num_seeds = len(one.values), len(other.values)
    if len(set(num_seeds)) > 1 and 1 not in num_seeds:
        raise InputError(
            f"a paired difference needs as many seeds on both sides, got {num_seeds[0]} and {num_seeds[1]}"
        )
    return estimate(
        one.values - other.values, one.cluster, fold=one.fold, num_bootstrap=num_bootstrap, seed=seed
    )


def paired(first: Sequence[Outcome], second: Sequence[Outcome]) -> tuple[list[Outcome], list[Outcome]]:
    """Return the outcomes whose fold and seed both sides have, in one order."""
    without_seed = any(one.run.config is None for one in (*first, *second))

    def key(one: Outcome) -> tuple[int, int | None]:
        return fold_of(one), None if without_seed or one.run.config is None else one.run.config.seed

    shared = {key(one) for one in first} & {key(one) for one in second}
    left, right = ([one for one in side if key(one) in shared] for side in (first, second))
    return sorted(left, key=key), sorted(right, key=key)


def _half_width(means: FloatArray) -> float:
    if len(means) == 1:
        return 0.0
    error = means.std(ddof=1) / np.sqrt(len(means))
    return float(student.ppf((1 + LEVEL) / 2, len(means) - 1) * error)


def _pad_seeds(table: FloatArray, num_seeds: int) -> FloatArray:
    """Append the mean of the rows until the table has `num_seeds` rows."""
    missing = num_seeds - len(table)
    return np.concatenate([table, np.repeat(table.mean(axis=0, keepdims=True), missing, axis=0)])


def _bootstrap(
    values: FloatArray, cluster: IntArray, num_bootstrap: int, rng: np.random.Generator
) -> FloatArray:
    """Return the bootstrapped means, shape (num_bootstrap,), computed with counts as weights."""
    num_seeds = len(values)
    center = values.mean(axis=0)
    wide = center + (values - center) * _seed_scale(num_seeds)
    _, number = np.unique(cluster, return_inverse=True)
    num_clusters = int(number.max()) + 1
    seeds = _draw_counts(num_seeds, num_bootstrap, rng)
    clusters = _draw_counts(num_clusters, num_bootstrap, rng)
    queries = clusters[:, number]
    total = ((seeds / num_seeds) @ wide * queries).sum(axis=1)
    means: FloatArray = total / queries.sum(axis=1)
    return means


def _draw_counts(number: int, num_bootstrap: int, rng: np.random.Generator) -> IntArray:
    """Draw `number` of `number` items with replacement and count each, shape (num_bootstrap, number)."""
    drawn = rng.integers(number, size=(num_bootstrap, number)) + number * np.arange(num_bootstrap)[:, None]
    return np.bincount(drawn.ravel(), minlength=num_bootstrap * number).reshape(num_bootstrap, number)


def _seed_scale(num_seeds: int) -> float:
    if num_seeds == 1:
        return 1.0
    tail = (1 + LEVEL) / 2
    return float(np.sqrt(num_seeds / (num_seeds - 1)) * student.ppf(tail, num_seeds - 1) / normal.ppf(tail))


def _values(ranking: Ranking, metric: str) -> FloatArray:
    if metric == "map":
        return ranking.precisions
    if metric == TRUTH:
        if ranking.truth is None:
            raise InputError(f"{TRUTH} needs data with a ground truth")
        return ranking.truth
    if metric == "log_rank":
        return np.log(ranking.ranks)
    name, _, k = metric.partition("@")
    if name != "recall" or not k.isdigit():
        raise InputError(f"metric must be recall@K, map, {TRUTH} or log_rank, got {metric!r}")
    return (ranking.ranks <= int(k)).astype(np.float64)
