"""Metrics by hand, and chance formulas against all rankings."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from reelscore.errors import InputError
from reelscore.evaluation.metrics import METRICS, chance_summary, median_rank, recall_at, summary
from reelscore.evaluation.ranks import average_precisions, first_hit_ranks


def test_recall_counts_the_rank_itself():
    ranks = np.array([1, 5, 6, 26])
    assert [recall_at(ranks, k) for k in (1, 5, 10, 25)] == [0.25, 0.5, 0.75, 0.75]


def test_median_rank_is_the_mean_of_the_middle_two():
    assert median_rank(np.array([1, 2, 9, 100])) == 5.5
    assert median_rank(np.array([3, 1, 2])) == 2.0


def test_summary_follows_the_names():
    found = dict(zip(METRICS, summary(np.array([1, 8]), np.array([1.0, 0.125])), strict=True))
    assert found == {
        "recall@1": 0.5,
        "recall@5": 0.5,
        "recall@10": 1.0,
        "recall@25": 1.0,
        "median_rank": 4.5,
        "map": 0.5625,
    }


@pytest.mark.parametrize(("num_candidates", "num_hits"), [(1, 1), (5, 1), (6, 2), (6, 5), (6, 6)])
def test_chance_is_the_mean_over_every_order(num_candidates, num_hits):
    scores = np.array(list(permutations(range(num_candidates))), dtype=float)
    hits = np.zeros_like(scores, dtype=bool)
    hits[:, :num_hits] = True
    every = summary(first_hit_ranks(scores, hits), average_precisions(scores, hits))
    np.testing.assert_allclose(chance_summary(np.array([num_hits]), num_candidates), every, rtol=1e-9)


def test_chance_of_mixed_groups_agrees_with_simulation():
    rng = np.random.default_rng(0)
    num_hits = np.array([1] * 30 + [2] * 10 + [7] * 5)
    n, runs = 60, 400
    hits = np.tile(np.arange(n) < num_hits[:, None], (runs, 1))
    scores = rng.random(hits.shape)
    simulated = summary(first_hit_ranks(scores, hits), average_precisions(scores, hits))
    np.testing.assert_allclose(chance_summary(num_hits, n), simulated, rtol=0.03)


def test_chance_of_a_gallery_smaller_than_k_is_certain():
    assert chance_summary(np.array([1]), 7)[METRICS.index("recall@10")] == 1.0


@pytest.mark.parametrize("num_hits", [[], [0], [8]])
def test_chance_needs_possible_hits(num_hits):
    with pytest.raises(InputError, match="1 to 7 hits"):
        chance_summary(np.array(num_hits, dtype=np.int64), 7)
