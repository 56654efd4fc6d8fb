"""Measures of the demo against loops and known rankings."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from reelscore.demo.scores import MEASURES, Truth, chance, mean_of_top, mean_over_seeds, measure


@pytest.fixture
def truth() -> Truth:
    rng = np.random.default_rng(0)
    compatibility = rng.uniform(0, 1, (40, 30))
    paired = np.zeros((40, 30), dtype=bool)
    paired[np.arange(40), compatibility.argmax(axis=1)] = True
    return Truth(compatibility, paired)


def loop_mean_of_top(
    scores: npt.NDArray[np.float64], relevance: npt.NDArray[np.float64], k: int
) -> list[float]:
    out = []
    for row, value in zip(scores.tolist(), relevance.tolist(), strict=True):
        order = sorted(range(len(row)), key=lambda i: (-row[i], value[i]))
        out.append(sum(value[i] for i in order[:k]) / min(k, len(row)))
    return out


def test_mean_of_top_agrees_with_a_loop_and_ties_count_against_the_method() -> None:
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 4, (20, 15)).astype(np.float64)
    relevance = rng.uniform(0, 1, (20, 15))
    np.testing.assert_allclose(mean_of_top(scores, relevance, 6), loop_mean_of_top(scores, relevance, 6))
    np.testing.assert_allclose(mean_of_top(scores, relevance, 99), relevance.mean(axis=1))
    assert mean_of_top(np.zeros((1, 3)), np.array([[0.9, 0.1, 0.5]]), 1) == pytest.approx(0.1)


def test_the_ground_truth_is_the_upper_bound(truth: Truth) -> None:
    best = measure(truth.compatibility, truth)
    assert best.values[2] == 1.0
    assert best.by_track.shape == (truth.paired.any(axis=0).sum(), 1)
    for method in (measure(-truth.compatibility, truth), measure(truth.compatibility**9 % 0.1, truth)):
        assert method.values[0] <= best.values[0]
        assert method.values[1] < best.values[1]


def test_random_scores_reach_chance(truth: Truth) -> None:
    rng = np.random.default_rng(2)
    drawn = np.mean([measure(rng.random((40, 30)), truth).values for _ in range(300)], axis=0)
    np.testing.assert_allclose(drawn, chance(truth), atol=0.02)


def test_constant_scores_are_worse_than_chance(truth: Truth) -> None:
    assert (measure(np.zeros((40, 30)), truth).values < chance(truth)).all()


def test_intervals_contain_the_value_and_differences_are_paired(truth: Truth) -> None:
    rng = np.random.default_rng(3)
    noisy = measure(truth.compatibility + rng.normal(0, 0.5, (40, 30)), truth)
    worse = measure(rng.random((40, 30)), truth)
    low, high = noisy.intervals().T
    assert noisy.values.shape == (len(MEASURES),)
    assert (low <= noisy.values).all()
    assert (noisy.values <= high).all()
    np.testing.assert_array_equal(noisy.difference_from(noisy)[1], 0)
    lead, ends = noisy.difference_from(worse)
    np.testing.assert_allclose(lead, noisy.values - worse.values)
    assert ends[0, 0] > 0


def test_the_mean_over_seeds_is_taken_for_each_query(truth: Truth) -> None:
    rng = np.random.default_rng(4)
    one, other = (measure(rng.random((40, 30)), truth) for _ in range(2))
    both = mean_over_seeds([one, other])
    np.testing.assert_allclose(both.by_video, (one.by_video + other.by_video) / 2)
    np.testing.assert_allclose(both.values, (one.values + other.values) / 2)
