"""Means and intervals on numbers with a known answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import t as student

from reelscore.errors import InputError
from research.report.intervals import Queries, concatenated, difference, estimate, estimate_of, paired
from research.runs.scoring import DIRECTIONS, Ranking
from support.research_sets import outcome

values_of_queries = arrays(np.float64, st.integers(1, 30), elements=st.floats(-1, 1))


def queries(values, cluster=None, fold=None):
    size = len(values)
    cluster = np.arange(size) if cluster is None else np.asarray(cluster)
    return Queries(np.asarray(values, float), cluster, np.zeros(size, int) if fold is None else fold)


def both_ways(there, back, **values):
    rankings = [Ranking(np.asarray(r), 1 / np.asarray(r)) for r in (there, back)]
    return outcome(there, directions=dict(zip(DIRECTIONS, rankings, strict=True)), **values)


def test_a_value_is_the_mean_of_both_directions():
    one = [both_ways([1, 11], [11, 12])]
    assert concatenated(one, "recall@10").values.tolist() == [0.5, 0.0]
    np.testing.assert_allclose(concatenated(one, "map").values, [(1 + 1 / 11) / 2, (1 / 11 + 1 / 12) / 2])
    np.testing.assert_allclose(concatenated(one, "log_rank").values, [np.log(11) / 2, np.log(132) / 2])
    known = [outcome([1, 2], truth=[0.25, 0.75])]
    assert concatenated(known, "truth_map").values.tolist() == [0.25, 0.75]
    for metric, given_ in (("truth_map", one), ("median_rank", one), ("recall@", one), ("map", [])):
        with pytest.raises(InputError):
            concatenated(given_, metric)


@given(values_of_queries, st.floats(-1, 1))
def test_a_constant_moves_mean_and_interval_by_itself(values, shift):
    one, moved = (estimate(queries(v), num_bootstrap=50) for v in (values, values + shift))
    assert one.mean == pytest.approx(values.mean())
    for end in ("mean", "low", "high"):
        assert getattr(moved, end) == pytest.approx(getattr(one, end) + shift, abs=1e-9)


def test_where_nothing_varies_there_is_no_interval():
    one = estimate(queries([0.4] * 6, fold=np.repeat([0, 1], 3)))
    assert [one.mean, one.low, one.high, one.fold_low, one.fold_high] == pytest.approx([0.4] * 5)


def test_the_interval_over_folds_is_students_t():
    fold = np.repeat(np.arange(5), 9)
    means = np.array([0.20, 0.24, 0.22, 0.30, 0.19])
    one = estimate(queries(means[fold], fold=fold))
    reach = student.ppf(0.975, 4) * means.std(ddof=1) / np.sqrt(5)
    assert (one.fold_low, one.fold_high) == pytest.approx((means.mean() - reach, means.mean() + reach))
    single = estimate(queries([0.1, 0.3]))
    assert (single.fold_low, single.fold_high) == (None, None)


def test_the_interval_over_queries_is_the_standard_error_of_a_mean():
    values = np.random.default_rng(0).normal(size=400)
    one = estimate(queries(values), num_bootstrap=4000)
    assert (one.high - one.low) / (2 * 1.96) == pytest.approx(values.std(ddof=1) / 20, rel=0.06)


def test_queries_of_one_cluster_count_once():
    values = np.random.default_rng(1).normal(size=60)
    alone = estimate(queries(values))
    tenfold = estimate(queries(np.repeat(values, 10), np.repeat(np.arange(60), 10)))
    separate = estimate(queries(np.repeat(values, 10)))
    assert (tenfold.low, tenfold.high) == pytest.approx((alone.low, alone.high))
    assert separate.high - separate.low < 0.5 * (alone.high - alone.low)


def test_a_paired_difference_is_narrower_than_two_intervals():
    rng = np.random.default_rng(3)
    hard = rng.integers(1, 60, size=200)
    one, other = [outcome(hard)], [outcome(hard + rng.integers(3, 6, size=200))]  # each query a little worse
    found, alone = difference(one, other, "log_rank"), estimate_of(one, "log_rank")
    assert found.high < 0
    assert found.high - found.low < 0.75 * (alone.high - alone.low)
    assert difference(one, one, "log_rank").low == difference(one, one, "log_rank").high == 0


def test_unpaired_outcomes_are_rejected():
    one = outcome([1, 2, 3])
    for other in (
        outcome([1, 2]),
        outcome([1, 2, 3], cluster=np.array([0, 0, 1])),
        outcome([1, 2, 3], fold=1),
    ):
        with pytest.raises(InputError, match="same queries"):
            difference([one], [other], "map")
    with pytest.raises(InputError, match="two of one fold"):
        estimate_of([one, one], "map")


def test_folds_are_concatenated_and_their_clusters_are_distinct():
    folds = [
        outcome([1, 20], fold=1, cluster=np.array([1, 2])),
        outcome([1, 1, 20], cluster=np.array([1, 1, 2])),
    ]
    found = concatenated(folds, "recall@10")
    assert found.values.tolist() == [1, 1, 0, 1, 0]
    assert (found.cluster.tolist(), found.fold.tolist()) == ([0, 0, 1, 2, 3], [0, 0, 0, 1, 1])
    baseline = [replace(outcome([20, 20, 20]), cluster=folds[1].cluster), replace(folds[0])]
    assert difference(*paired(folds, baseline), "recall@10").mean == pytest.approx(2 / 5)


def test_a_failed_fold_is_dropped_on_both_sides():
    ours = [outcome([1, 2], fold=0), outcome([1, 2], fold=1)]
    left, right = paired(ours, [outcome([1, 2], method="linear CCA", fold=1)])
    assert [one.run.data["fold"] for one in (*left, *right)] == [1, 1]
