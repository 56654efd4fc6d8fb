"""Means over the queries of all folds with two 95% intervals.

The test part rotates over folds, each with one training. The values v_q of all queries, each the mean of both
directions, are concatenated. The two intervals answer two questions:

- Over queries: how far would the mean move with other queries against the same gallery? A bootstrap draws as many
  clusters of queries as there are, with replacement; the ends are the 2.5% and 97.5% quantiles.
- Over folds: how far do the means of the folds, each with its own training, scatter? Student's t on these means.

A difference of two systems is estimated on the differences of their values, paired by query.

References
----------
Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 8 and 13. The folds are not independent,
because their trainings share pairs, so Student's t over them is too narrow: Nadeau and Bengio, "Inference for the
generalization error", Machine Learning 2003.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

from reelscore.errors import InputError
from reelscore.evaluation.ranks import FloatArray, IntArray
from research.result import Estimate
from research.runs.run import Outcome
from research.runs.scoring import DIRECTIONS, TRUTH, Ranking

LEVEL = 0.95
NUM_BOOTSTRAP = 2000


class Queries(NamedTuple):
    """Value, cluster and fold of each query, shape (Q,)."""

    values: FloatArray
    cluster: IntArray
    fold: IntArray


def concatenated(outcomes: Sequence[Outcome], metric: str) -> Queries:
    """Concatenate the queries of the outcomes of one system, in the order of their folds.

    Parameters
    ----------
    outcomes : sequence of Outcome
        One for each fold.
    metric : str
        ``recall@K``, ``map``, ``truth_map`` or ``log_rank``.

    Raises
    ------
    InputError
        Without outcomes, or with two of one fold.
    """
    ordered = sorted(outcomes, key=fold_of)
    if not ordered:
        raise InputError("a mean needs at least one outcome: all of its runs failed")
    if len({fold_of(one) for one in ordered}) < len(ordered):
        raise InputError("a mean takes one outcome of each fold; got two of one fold")
    values = []
    for one in ordered:
        there, back = (_values(one.directions[direction], metric) for direction in DIRECTIONS)
        values.append((there + back) / 2)
    fold = np.repeat([fold_of(one) for one in ordered], [len(each) for each in values])
    # Derived data sets number their clusters fold by fold, so those of two folds are distinct.
    cluster = np.concatenate([one.cluster for one in ordered])
    _, number = np.unique(np.stack([fold, cluster]), axis=1, return_inverse=True)
    return Queries(np.concatenate(values), number.ravel(), fold)


def fold_of(outcome: Outcome) -> int:
    """Return the fold that was the test part; 0 without folds."""
    return int(outcome.run.data.get("fold", 0))


def estimate_of(outcomes: Sequence[Outcome], metric: str) -> Estimate:
    """Return the mean of a metric over the outcomes of one system, with its intervals."""
    return estimate(concatenated(outcomes, metric))


def estimate(queries: Queries, *, num_bootstrap: int = NUM_BOOTSTRAP, seed: int = 0) -> Estimate:
    """Return the mean of the values with its intervals; queries of one cluster are drawn together."""
    values, cluster, fold = queries
    mean = float(values.mean())
    low, high = _bootstrap(values, cluster, num_bootstrap, np.random.default_rng(seed))
    means = np.array([values[fold == one].mean() for one in np.unique(fold)])
    if len(means) == 1:
        return Estimate(mean, low, high)
    error = float(means.std(ddof=1)) / len(means) ** 0.5
    half = float(student.ppf((1 + LEVEL) / 2, len(means) - 1)) * error
    return Estimate(mean, low, high, mean - half, mean + half)


def difference(first: Sequence[Outcome], second: Sequence[Outcome], metric: str) -> Estimate:
    """Return ``first - second`` in a metric, paired by query.

    Raises
    ------
    InputError
        When the two were scored on different queries.
    """
    one, other = concatenated(first, metric), concatenated(second, metric)
    if not np.array_equal(one.cluster, other.cluster) or not np.array_equal(one.fold, other.fold):
        raise InputError("a paired difference needs both systems scored on the same queries")
    return estimate(Queries(one.values - other.values, one.cluster, one.fold))


def paired(first: Sequence[Outcome], second: Sequence[Outcome]) -> tuple[list[Outcome], list[Outcome]]:
    """Return the outcomes whose fold both sides have."""
    shared = {fold_of(one) for one in first} & {fold_of(one) for one in second}
    left, right = ([one for one in side if fold_of(one) in shared] for side in (first, second))
    return left, right


def _bootstrap(
    values: FloatArray, cluster: IntArray, num_bootstrap: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Return the ends of the interval over clusters (Q,), numbered from 0."""
    sums, sizes = np.bincount(cluster, values), np.bincount(cluster)
    drawn = rng.integers(len(sums), size=(num_bootstrap, len(sums)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return low, high


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
