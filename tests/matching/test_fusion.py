"""Reciprocal rank fusion against a direct sum."""

from __future__ import annotations

import random

import pytest

from reelscore.matching.fusion import K, reciprocal_rank_fusion


def test_scores_are_the_weighted_sums_of_reciprocal_ranks() -> None:
    rng = random.Random(0)
    keys = [f"{i:02}" for i in range(30)]
    first, second = rng.sample(keys, 30), rng.sample(keys, 20)
    fused = dict(reciprocal_rank_fusion([first, second], [0.3, 0.7]))
    for key in keys:
        expected = 0.3 / (K + first.index(key) + 1)
        expected += 0.7 / (K + second.index(key) + 1) if key in second else 0
        assert fused[key] == pytest.approx(expected, abs=1e-15)
    assert list(fused.values()) == sorted(fused.values(), reverse=True)


@pytest.mark.parametrize(("weights", "winner"), [((1.0, 0.0), 0), ((0.0, 1.0), 1)])
def test_a_ranking_with_the_whole_weight_is_kept(weights, winner) -> None:
    rankings = list("cabd"), list("dbca")
    assert [key for key, _ in reciprocal_rank_fusion(rankings, weights)] == rankings[winner]


def test_ties_go_by_key() -> None:
    assert [key for key, _ in reciprocal_rank_fusion([list("ba"), list("ab")], [0.5, 0.5])] == ["a", "b"]


def test_k_weakens_the_top() -> None:
    rankings = [list("abc"), list("bca")]
    best = {k: reciprocal_rank_fusion(rankings, [0.9, 0.1], k=k)[0][0] for k in (0, 1000)}
    assert best == {0: "a", 1000: "a"}
    spread = [
        max(s) - min(s)
        for k in (0, 60)
        if (s := [x for _, x in reciprocal_rank_fusion(rankings, [1, 1], k=k)])
    ]
    assert spread[0] > spread[1]
