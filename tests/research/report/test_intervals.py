"""Means and intervals on numbers with a known answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import t as student

from reelscore.errors import InputError
from reelscore.training import TrainConfig
from research.report.intervals import concatenated, difference, estimate, estimate_of, paired, per_query
from research.runs.run import Outcome, Run
from research.runs.scoring import DIRECTIONS, Ranking

tables = arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 12)), elements=st.floats(-1, 1))


def outcome(there, back=None, *, seed=0, cluster=None, truth=None, method="train", fold=None):
    recipe = {"kind": "set", "name": "x"} | ({} if fold is None else {"fold": fold, "folds": 2})
    ranks = [np.asarray(r, np.int64) for r in (there, there if back is None else back)]
    return Outcome(
        Run(recipe, method, TrainConfig(seed=seed) if method == "train" else None),
        {d: Ranking(r, 1.0 / r, truth) for d, r in zip(DIRECTIONS, ranks, strict=True)},
        np.arange(len(ranks[0])) if cluster is None else np.asarray(cluster),
        {},
        {},
        (),
        0.0,
        "",
        "",
    )


def test_a_table_holds_the_mean_of_both_directions_for_each_seed_and_query():
    two = [outcome([1, 11], [11, 12]), outcome([10, 1], [10, 11], seed=1)]
    assert per_query(two, "recall@10").tolist() == [[0.5, 0.0], [1.0, 0.5]]
    assert per_query(two, "recall@10", directions=DIRECTIONS[:1]).tolist() == [[1, 0], [1, 1]]
    np.testing.assert_allclose(per_query(two, "map")[0], [(1 + 1 / 11) / 2, (1 / 11 + 1 / 12) / 2])
    np.testing.assert_allclose(per_query(two[:1], "log_rank", directions=DIRECTIONS[1:])[0], np.log([11, 12]))
    known = outcome([1, 2], truth=np.array([0.25, 0.75]))
    assert per_query([known], "truth_map").tolist() == [[0.25, 0.75]]
    for metric, given_ in (("truth_map", two), ("median_rank", two), ("recall@", two), ("map", [])):
        with pytest.raises(InputError):
            per_query(given_, metric)


@given(tables)
def test_the_mean_is_the_mean_and_lies_in_its_intervals(values):
    one_estimate = estimate(values, np.arange(values.shape[1]), num_bootstrap=50)
    assert one_estimate.mean == pytest.approx(values.mean())
    assert one_estimate.seed_low - 1e-12 <= one_estimate.mean <= one_estimate.seed_high + 1e-12
    assert estimate(values, np.arange(values.shape[1]), num_bootstrap=50) == one_estimate


@given(tables, st.floats(-1, 1))
def test_a_constant_moves_everything_by_itself(values, shift):
    cluster = np.arange(values.shape[1])
    one_estimate, moved = (estimate(v, cluster, num_bootstrap=40) for v in (values, values + shift))
    for end in ("mean", "low", "high", "seed_low", "seed_high"):
        assert getattr(moved, end) == pytest.approx(getattr(one_estimate, end) + shift, abs=1e-9)


def test_where_nothing_varies_there_is_no_interval():
    one_estimate = estimate(np.full((3, 7), 0.4), np.arange(7))
    assert [
        one_estimate.mean,
        one_estimate.low,
        one_estimate.high,
        one_estimate.seed_low,
        one_estimate.seed_high,
    ] == pytest.approx([0.4] * 5)
    assert one_estimate.low > 0


def test_seeds_alone_are_students_t():
    means = np.array([0.20, 0.24, 0.22, 0.30, 0.19])
    one_estimate = estimate(np.repeat(means[:, None], 9, axis=1), np.arange(9))
    reach = student.ppf(0.975, 4) * means.std(ddof=1) / np.sqrt(5)
    assert (one_estimate.seed_low, one_estimate.seed_high) == pytest.approx(
        (means.mean() - reach, means.mean() + reach)
    )
    one = estimate(means[:1, None], np.arange(1))
    assert one.seed_low == one.seed_high == one.mean


def test_queries_alone_are_the_standard_error_of_a_mean():
    values = np.random.default_rng(0).normal(size=(1, 400))
    one_estimate = estimate(values, np.arange(400), num_bootstrap=4000)
    error = values.std(ddof=1) / 20
    assert (one_estimate.high - one_estimate.low) / (2 * 1.96) == pytest.approx(error, rel=0.06)


def test_queries_of_one_cluster_count_once():
    values = np.random.default_rng(1).normal(size=(1, 60))
    alone = estimate(values, np.arange(60))
    tenfold = estimate(np.repeat(values, 10, axis=1), np.repeat(np.arange(60), 10))
    separate = estimate(np.repeat(values, 10, axis=1), np.arange(600))
    assert tenfold.low == pytest.approx(alone.low)
    assert tenfold.high == pytest.approx(alone.high)
    assert separate.high - separate.low < 0.5 * (alone.high - alone.low)


@pytest.mark.parametrize(("seed_spread", "query_spread"), [(1.0, 0.0), (0.0, 1.0), (0.5, 2.0)])
def test_the_interval_over_both_has_its_coverage(seed_spread, query_spread):
    """V_sq = a_s + b_q + e_sq around 0: the truth is 0. Without the widening five seeds would give 85%."""
    rng, covered, trials = np.random.default_rng(2), 0, 300
    for trial in range(trials):
        values = (
            seed_spread * rng.normal(size=(5, 1))
            + query_spread * rng.normal(size=(1, 40))
            + 0.3 * rng.normal(size=(5, 40))
        )
        one_estimate = estimate(values, np.arange(40), num_bootstrap=300, seed=trial)
        covered += one_estimate.low <= 0 <= one_estimate.high
    assert 0.90 <= covered / trials <= 0.99


def test_a_paired_difference_is_narrower_than_two_intervals():
    rng = np.random.default_rng(3)
    hard = rng.integers(1, 60, size=200)
    one = [outcome(hard, seed=s) for s in range(3)]
    # The same queries, each a little worse.
    other = [outcome(hard + rng.integers(3, 6, size=200), seed=s) for s in range(3)]
    one_estimate = difference(one, other, "log_rank")
    alone = estimate(per_query(one, "log_rank"), one[0].cluster)
    assert one_estimate.high < 0
    assert one_estimate.high - one_estimate.low < 0.75 * (alone.high - alone.low)
    assert difference(one, one, "log_rank").low == difference(one, one, "log_rank").high == 0
    back = difference(other, one, "log_rank")
    assert (back.low, back.high) == pytest.approx((-one_estimate.high, -one_estimate.low))


def test_a_system_without_seeds_is_paired_with_every_seed():
    baseline = [outcome([1, 20], method="cca")]
    seeds = [outcome([1, 1], seed=0), outcome([20, 1], seed=1)]
    one_estimate = difference(seeds, baseline, "recall@10")
    assert one_estimate.mean == pytest.approx((0.5 + 0.0) / 2)
    assert one_estimate.seed_high - one_estimate.seed_low == pytest.approx(2 * student.ppf(0.975, 1) * 0.25)


def test_unpaired_outcomes_are_rejected():
    one = outcome([1, 2, 3])
    with pytest.raises(InputError, match="same queries"):
        difference([one], [outcome([1, 2])], "map")
    with pytest.raises(InputError, match="same queries"):
        difference([one], [outcome([1, 2, 3], cluster=[0, 0, 1])], "map")
    with pytest.raises(InputError, match="seeds"):
        difference([one, one, one], [one, one], "map")
    with pytest.raises(InputError):
        estimate(np.zeros((2, 3)), np.arange(2))


def test_a_failed_seed_is_dropped_on_both_sides():
    left = [outcome([s + 1], seed=s) for s in (0, 1, 3)]
    right = [outcome([s + 1], seed=s) for s in (3, 0, 2)]
    left_, right_ = paired(left, right)
    assert [one.run.config.seed for one in left_] == [one.run.config.seed for one in right_] == [0, 3]
    baseline = [outcome([1], method="cca")]
    assert paired(left, baseline) == (left, baseline)


def test_folds_are_concatenated():
    folds = [outcome([1, 20], seed=1, fold=1, cluster=[7, 8]), outcome([1, 1, 20], fold=0, cluster=[1, 1, 2])]
    found = concatenated(folds, "recall@10")
    assert found.values.tolist() == [[1, 1, 0, 1, 0]]
    assert (found.cluster.tolist(), found.fold.tolist()) == ([1, 1, 2, 7, 8], [0, 0, 0, 1, 1])
    one_estimate = estimate_of(folds, "recall@10", num_bootstrap=50)
    assert one_estimate.mean == pytest.approx(3 / 5)
    half = student.ppf(0.975, 1) * np.std([2 / 3, 1 / 2], ddof=1) / np.sqrt(2)
    assert one_estimate.seed_high - one_estimate.mean == pytest.approx(half)
    baseline = [
        outcome([20, 20, 20], method="cca", fold=0, cluster=[1, 1, 2]),
        outcome([1, 1], method="cca", fold=1, cluster=[7, 8]),
    ]
    apart = difference(*paired(folds, baseline), "recall@10")
    assert apart.mean == pytest.approx((1 + 1 + 0 + 0 - 1) / 5)


def test_a_failed_fold_is_dropped_on_both_sides():
    ours = [outcome([1, 2], seed=0, fold=0), outcome([1, 2], seed=1, fold=1)]
    baseline = [outcome([1, 2], method="cca", fold=1)]
    left, right = paired(ours, baseline)
    assert [one.run.data["fold"] for one in (*left, *right)] == [1, 1]


def test_a_failed_seed_of_a_fold_is_replaced_by_the_mean():
    first = [outcome([1, 1], seed=0, fold=0), outcome([1, 20], seed=2, fold=0)]
    second = [outcome([20, 20, 1], seed=1, fold=1)]
    found = concatenated([*second, *first], "recall@10")
    assert found.values.tolist() == [[1, 1, 0, 0, 1], [1, 0, 0, 0, 1]]
    assert estimate_of([*first, *second], "recall@10").mean == pytest.approx((1 + 0.5 + 0 + 0 + 1) / 5)
    baseline = [outcome([1, 1], method="cca", fold=0), outcome([1, 1, 1], method="cca", fold=1)]
    apart = difference(*paired([*first, *second], baseline), "recall@10")
    assert apart.mean == pytest.approx((1 + 0.5 + 0 + 0 + 1) / 5 - 1)


def test_equal_clusters_of_two_folds_are_distinct():
    values = np.random.default_rng(5).normal(size=(1, 40))
    fold = np.repeat(np.arange(4), 10)
    equal, distinct = (
        estimate(values, cluster, fold=fold) for cluster in (np.tile(np.arange(10), 4), np.arange(40))
    )
    assert equal.high - equal.low == pytest.approx(distinct.high - distinct.low, rel=0.05)
    # Without equal numbers the result equals that without folds.
    assert (distinct.low, distinct.high) == tuple(
        getattr(estimate(values, np.arange(40)), end) for end in ("low", "high")
    )


def test_seeds_of_one_fold_are_averaged():
    rng = np.random.default_rng(4)
    fold = np.repeat(np.arange(5), 12)
    once = rng.normal(size=(1, 60)) + rng.normal(size=5)[fold]
    one = estimate(once, np.arange(60), fold=fold)
    means = np.array([once[0, fold == k].mean() for k in range(5)])
    reach = student.ppf(0.975, 4) * means.std(ddof=1) / np.sqrt(5)
    assert one.seed_high - one.mean == pytest.approx(reach)
    twice = estimate(np.repeat(once, 2, axis=0), np.arange(60), fold=fold)
    assert (twice.seed_low, twice.seed_high) == pytest.approx((one.seed_low, one.seed_high))
    # Within one fold the seeds are all that varies.
    apart = estimate(np.repeat([[0.0], [1.0]], 9, axis=1), np.arange(9), fold=np.zeros(9, np.int64))
    assert apart.seed_high - apart.mean == pytest.approx(student.ppf(0.975, 1) * 0.5)
