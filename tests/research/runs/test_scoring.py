"""Ranks and precisions of queries, against scores computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from reelscore.data.pairs import PairSet
from reelscore.evaluation.metrics import METRICS
from research.recipes.recipe import RunData, same_number
from research.runs.scoring import DIRECTIONS, Ranking, chance, rank_both_ways


def data_of(group, topic=None):
    size = len(group)
    rows = tuple((np.full((1, 2), i, np.float32),) for i in range(size))
    pairs = PairSet(
        name="test",
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
        return RunData(pairs)
    return RunData(pairs, same_number(np.array(topic)))


VIDEO = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
MUSIC = np.array([[0.1, 0.9, 0.3], [0.8, 0.2, 0.1], [0.5, 0.4, 0.9]])


def test_each_direction_ranks_its_own_gallery():
    rankings = rank_both_ways(VIDEO, MUSIC, data_of([0, 1, 2]), np.arange(3))
    # Video 0 scores the music .1 .8 .5, video 1 .9 .2 .4, video 2 .3 .1 .9.
    assert rankings[DIRECTIONS[0]].ranks.tolist() == [3, 3, 1]
    # Music 0 scores the videos .1 .9 .3, music 1 .8 .2 .1, music 2 .5 .4 .9.
    assert rankings[DIRECTIONS[1]].ranks.tolist() == [3, 2, 1]
    assert rankings[DIRECTIONS[0]].precisions == pytest.approx([1 / 3, 1 / 3, 1])
    assert rankings[DIRECTIONS[0]].truth is None


def test_the_ground_truth_counts_more_than_the_groups():
    rankings = rank_both_ways(VIDEO, MUSIC, data_of([0, 1, 2], [7, 7, 8]), np.arange(3))
    # Music 0 and 1 are relevant to video 0; their ranks are 3 and 1.
    assert rankings[DIRECTIONS[0]].truth == pytest.approx([(1 + 2 / 3) / 2, (1 + 2 / 3) / 2, 1])
    assert rankings[DIRECTIONS[0]].ranks.tolist() == [3, 3, 1], "instance metrics use the groups"


def test_an_asymmetric_ground_truth_is_transposed_with_the_direction():
    run_data = data_of([0, 1, 2])
    relevant = np.array([[True, True, False], [False, True, False], [False, False, True]])
    one_sided = RunData(run_data.pairs, lambda v, m: relevant[np.ix_(v, m)])
    rankings = rank_both_ways(VIDEO, MUSIC, one_sided, np.arange(3))
    assert rankings[DIRECTIONS[0]].truth == pytest.approx([(1 + 2 / 3) / 2, 1 / 3, 1])
    # Videos 0 and 1 are relevant to music 1, ranks 1 and 2; video 0 to music 0, rank 3.
    assert rankings[DIRECTIONS[1]].truth == pytest.approx([1 / 3, 1, 1])


def test_the_index_maps_rows_to_pairs():
    run_data = data_of([0, 1, 0, 2], [7, 8, 7, 8])
    index = np.array([3, 0, 2])
    rankings = rank_both_ways(VIDEO, MUSIC, run_data, index)
    # Rows 1 and 2 are pairs 0 and 2: one group, so the better of music 0 (.9, .3) and 2 (.2 .4, .1 .9) counts.
    assert rankings[DIRECTIONS[0]].ranks.tolist() == [3, 2, 1]
    assert chance(run_data, index)["recall@1"] == pytest.approx((1 / 3 + 2 / 3 + 2 / 3) / 3)


def test_chance_has_both_metrics():
    values = chance(data_of([0, 1, 2, 3], [7, 7, 8, 8]), np.arange(4))
    assert values["recall@1"] == pytest.approx(0.25)
    assert values["truth_map"] > values["map"]
    assert set(values) == {*METRICS, "truth_map"}


def test_a_ranking_survives_json():
    one = Ranking(np.array([1, 5]), np.array([1.0, 0.2]), np.array([0.5, 0.1]))
    again = Ranking.from_json(one.to_json())
    assert again.to_json() == one.to_json()
    assert again.ranks.dtype == np.int64
    assert Ranking.from_json(Ranking(one.ranks, one.precisions).to_json()).truth is None
