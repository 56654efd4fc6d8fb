"""What became of each query, against the scores written out."""

from __future__ import annotations

import numpy as np
import pytest

from reelscore.data.pairs import PairSet
from reelscore.evaluation.metrics import METRICS
from research.recipes.recipe import Material
from research.runs.scoring import DIRECTIONS, Ranking, chance, rank_both_ways


def material_of(group, topic=None):
    size = len(group)
    rows = tuple((np.full((1, 2), i, np.float32),) for i in range(size))
    pairs = PairSet(
        name="made",
        keys=tuple(f"k{i}" for i in range(size)),
        video=rows,
        music=rows,
        group=np.array(group),
        split=("test",) * size,
        video_encoder="v",
        music_encoder="m",
        num_segments=1,
    )
    if topic is None:
        return Material(pairs)
    truth = np.array(topic)
    return Material(pairs, lambda videos, music: truth[videos][:, None] == truth[music][None, :])


VIDEO = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
MUSIC = np.array([[0.1, 0.9, 0.3], [0.8, 0.2, 0.1], [0.5, 0.4, 0.9]])


def test_each_direction_ranks_its_own_gallery():
    found = rank_both_ways(VIDEO, MUSIC, material_of([0, 1, 2]), np.arange(3))
    # Video 0 scores the music .1 .8 .5, video 1 .9 .2 .4, video 2 .3 .1 .9.
    assert found[DIRECTIONS[0]].ranks.tolist() == [3, 3, 1]
    # Music 0 scores the videos .1 .9 .3, music 1 .8 .2 .1, music 2 .5 .4 .9.
    assert found[DIRECTIONS[1]].ranks.tolist() == [3, 2, 1]
    assert found[DIRECTIONS[0]].precisions == pytest.approx([1 / 3, 1 / 3, 1])
    assert found[DIRECTIONS[0]].suiting is None


def test_true_compatibility_counts_what_training_was_not_told():
    found = rank_both_ways(VIDEO, MUSIC, material_of([0, 1, 2], [7, 7, 8]), np.arange(3))
    # Video 0 suits music 0 and 1, which stand third and first.
    assert found[DIRECTIONS[0]].suiting == pytest.approx([(1 + 2 / 3) / 2, (1 + 2 / 3) / 2, 1])
    assert found[DIRECTIONS[0]].ranks.tolist() == [3, 3, 1], "the instance figures stay as they were"


def test_a_truth_that_is_not_symmetric_is_turned_with_the_direction():
    material = material_of([0, 1, 2])
    truth = np.array([[True, True, False], [False, True, False], [False, False, True]])
    one_sided = Material(material.pairs, lambda v, m: truth[np.ix_(v, m)])
    found = rank_both_ways(VIDEO, MUSIC, one_sided, np.arange(3))
    assert found[DIRECTIONS[0]].suiting == pytest.approx([(1 + 2 / 3) / 2, 1 / 3, 1])
    # Music 1 suits videos 0 and 1, which it puts first and second; music 0 suits its own, which it puts last.
    assert found[DIRECTIONS[1]].suiting == pytest.approx([1 / 3, 1, 1])


def test_the_index_says_which_pairs_the_rows_are():
    material = material_of([0, 1, 0, 2], [7, 8, 7, 8])
    index = np.array([3, 0, 2])
    found = rank_both_ways(VIDEO, MUSIC, material, index)
    # Rows 1 and 2 are pairs 0 and 2: one group, so that the better of music 0 (.9, .3) and 2 (.2 .4, .1 .9) counts.
    assert found[DIRECTIONS[0]].ranks.tolist() == [3, 2, 1]
    assert chance(material, index)["recall@1"] == pytest.approx((1 / 3 + 2 / 3 + 2 / 3) / 3)


def test_chance_is_told_for_both_truths():
    told = chance(material_of([0, 1, 2, 3], [7, 7, 8, 8]), np.arange(4))
    assert told["recall@1"] == pytest.approx(0.25)
    assert told["suiting"] > told["map"]
    assert set(told) == {*METRICS, "suiting"}


def test_a_ranking_survives_json():
    one = Ranking(np.array([1, 5]), np.array([1.0, 0.2]), np.array([0.5, 0.1]))
    again = Ranking.from_json(one.to_json())
    assert again.to_json() == one.to_json()
    assert again.ranks.dtype == np.int64
    assert Ranking.from_json(Ranking(one.ranks, one.precisions).to_json()).suiting is None
