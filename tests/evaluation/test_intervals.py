"""Bootstrap intervals: whole clusters, determinism, width, and paired differences."""

from __future__ import annotations

import numpy as np
import pytest

from reelscore.errors import InputError
from reelscore.evaluation.intervals import bootstrap_intervals, difference_intervals, resamples


def mean_of(values):
    return lambda rows: np.array([values[rows].mean()])


def test_clusters_are_resampled_whole():
    cluster = np.array([5, 9, 5, 2, 9, 9])
    for rows in resamples(cluster, num_bootstrap=50, seed=0):
        counts = np.bincount(rows, minlength=6)
        assert counts[0] == counts[2]
        assert counts[1] == counts[4] == counts[5]
        assert counts[0] + counts[1] + counts[3] == 3


def test_the_interval_of_a_mean_has_the_width_that_theory_gives():
    values = np.random.default_rng(0).normal(size=400)
    low, high = bootstrap_intervals(mean_of(values), np.arange(400), num_bootstrap=4000)[0]
    expected = 2 * 1.96 * values.std() / np.sqrt(400)
    assert low < values.mean() < high
    assert high - low == pytest.approx(expected, rel=0.05)


def test_clustered_queries_widen_the_interval():
    values = np.repeat(np.random.default_rng(0).normal(size=50), 8)
    alone = np.ptp(bootstrap_intervals(mean_of(values), np.arange(400))[0])
    together = np.ptp(bootstrap_intervals(mean_of(values), np.repeat(np.arange(50), 8))[0])
    assert together > 2 * alone


def test_one_seed_gives_one_interval_and_another_another():
    values = np.random.default_rng(0).normal(size=30)
    first, again, other = (
        bootstrap_intervals(mean_of(values), np.arange(30), num_bootstrap=50, seed=s) for s in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()


def test_pairing_removes_what_both_share():
    rng = np.random.default_rng(0)
    hard = rng.normal(size=300)
    better, worse = hard + 0.1 + rng.normal(size=300) * 0.1, hard + rng.normal(size=300) * 0.1
    low, high = difference_intervals(mean_of(better), mean_of(worse), np.arange(300))[0]
    assert 0 < low < 0.1 < high < 0.2
    assert high - low < np.ptp(bootstrap_intervals(mean_of(better), np.arange(300))[0]) / 4


@pytest.mark.parametrize(
    ("cluster", "wrong"),
    [(np.arange(3), {"num_bootstrap": 0}), (np.arange(3), {"level": 1.0}), (np.arange(0), {})],
)
def test_impossible_requests_are_refused(cluster, wrong):
    with pytest.raises(InputError, match="interval needs"):
        bootstrap_intervals(mean_of(np.zeros(3)), cluster, **wrong)
