"""Expected precision and nDCG, against the mean over all orders of ties."""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pytest

from research.report.graded import expected_sum, ndcg, precision


def by_every_order(scores: np.ndarray, relevant: np.ndarray, weights: np.ndarray) -> float:
    """Mean over all orders of the candidates that the scores allow."""
    sums = [
        sum(weights[place] for place, i in enumerate(order) if relevant[i])
        for order in permutations(range(len(scores)))
        if all(scores[a] >= scores[b] for a, b in pairwise(order))
    ]
    return float(np.mean(sums))


@pytest.mark.parametrize("seed", range(8))
def test_ties_count_as_the_mean_over_their_orders(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, relevant = rng.integers(0, 3, size=6).astype(float), rng.random(6) < 0.5
    weights = np.sort(rng.random(6))[::-1]
    assert expected_sum(scores, relevant, weights) == pytest.approx(by_every_order(scores, relevant, weights))


def test_known_lists() -> None:
    relevant = np.array([True, False, True, False])
    best, worst = np.array([3.0, 1, 2, 0]), np.array([0.0, 3, 1, 2])
    assert [precision(best, relevant, k) for k in (1, 2, 4)] == [1, 1, 0.5]
    assert [precision(worst, relevant, k) for k in (1, 2, 4)] == [0, 0, 0.5]
    assert ndcg(best, relevant) == pytest.approx(1)
    assert ndcg(worst, relevant) == pytest.approx((1 / 2 + 1 / np.log2(5)) / (1 + 1 / np.log2(3)))
    assert precision(np.zeros(4), relevant, 1) == 0.5
