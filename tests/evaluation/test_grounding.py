"""Track ranks and moment metrics, by hand and against a slow reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelscore.errors import InputError
from reelscore.evaluation.grounding import moment_iou, moment_summary, track_ranks
from reelscore.evaluation.ranks import rank_embeddings


def slow_rank(scores, track, candidate_track):
    """Walk down the sorted candidates and count distinct tracks up to the true one."""
    tracks = []
    for candidate in sorted(range(len(scores)), key=lambda c: -scores[c]):
        if candidate_track[candidate] not in tracks:
            tracks.append(candidate_track[candidate])
        if candidate_track[candidate] == track:
            return len(tracks)
    raise AssertionError


@given(seed=st.integers(0, 10_000), num_tracks=st.integers(1, 6), num_candidates=st.integers(6, 12))
def test_ranks_without_ties_are_those_of_the_sorted_list(seed, num_tracks, num_candidates):
    rng = np.random.default_rng(seed)
    extra = rng.integers(0, num_tracks, num_candidates - num_tracks)
    candidates = rng.permutation(np.concatenate([np.arange(num_tracks), extra]))
    queries = rng.integers(0, num_tracks, 5)
    scores = rng.permuted(np.arange(5.0 * num_candidates)).reshape(5, num_candidates)
    expected = [slow_rank(row, track, candidates) for row, track in zip(scores, queries, strict=True)]
    assert track_ranks(scores, queries, candidates).tolist() == expected


def test_ties_count_against_us_and_a_track_never_against_itself():
    scores = np.ones((1, 4))
    assert track_ranks(scores, np.array([7]), np.array([7, 7, 8, 9])).tolist() == [3]
    assert track_ranks(scores, np.array([7]), np.array([7, 7, 7, 7])).tolist() == [1]


def test_where_each_track_is_listed_once_the_rank_is_that_of_evaluate():
    rng = np.random.default_rng(0)
    video, music = rng.normal(size=(2, 30, 8))
    tracks = rng.permutation(30)
    expected, _ = rank_embeddings(video, music, tracks, tracks)
    assert (track_ranks((video @ music.T).astype(np.float32), tracks, tracks) == expected).all()


def slow_iou(found, true, duration, step_s=0.01):
    """Count centiseconds inside both and inside either."""
    instants = np.arange(step_s / 2, duration, step_s)
    inside = [(instants >= start) & (instants < end) for start, end in (found, true)]
    either = (inside[0] | inside[1]).sum()
    return (inside[0] & inside[1]).sum() / either if either else 0.0


@given(
    ends=st.tuples(*[st.integers(-20, 80)] * 2),
    true=st.tuples(*[st.integers(0, 60)] * 2).map(sorted),
)
def test_iou_is_the_share_of_instants(ends, true):
    found = moment_iou(np.array([ends], float), np.array([true], float), np.array([60.0]))
    assert found[0] == pytest.approx(slow_iou(ends, true, 60.0), abs=1e-9)


def test_an_empty_true_moment_scores_nothing():
    found = moment_iou(
        np.array([[0.0, 5.0], [3.0, 3.0]]), np.array([[4.0, 2.0], [3.0, 3.0]]), np.full(2, 9.0)
    )
    assert found.tolist() == [0.0, 0.0]


def test_the_figures_by_hand():
    figures = moment_summary(np.array([1, 4, 30, 200]), np.array([0.5, 0.8, 0.6, 1.0]))
    assert figures["recall@1"] == figures["recall@3"] == 0.25
    assert figures["recall@5"] == figures["recall@25"] == 0.5
    assert figures["recall@100"] == 0.75
    assert figures["median_rank"] == 17.0
    assert figures["mean_rank"] == 58.75
    assert figures["mrr"] == pytest.approx((1 + 1 / 4 + 1 / 30 + 1 / 200) / 4)
    assert figures["miou"] == pytest.approx(0.725)
    assert figures["iou>0.3"] == 1.0
    assert figures["iou>0.5"] == 0.75  # strictly above
    assert figures["iou>0.7"] == 0.5
    assert figures["recall@1,iou>0.5"] == 0.0
    assert figures["recall@10,iou>0.5"] == figures["recall@10,iou>0.7"] == 0.25
    assert figures["recall@50,iou>0.5"] == 0.5
    assert figures["miou@1"] == 0.5
    assert figures["miou@10"] == pytest.approx(0.65)
    assert moment_summary(np.array([11]), np.array([0.4]))["miou@10"] == 0.0


def test_other_shapes_and_values_raise():
    one = np.array([1])
    with pytest.raises(InputError, match="a column for each of 1 candidates"):
        track_ranks(np.ones((1, 2)), one, one)
    with pytest.raises(InputError, match="query 0 has no hit"):
        track_ranks(np.ones((1, 1)), one, np.array([2]))
    with pytest.raises(InputError, match="query 0, candidate 0 is NaN"):
        track_ranks(np.array([[np.nan, 1.0]]), one, np.array([1, 1]))
    with pytest.raises(InputError, match=r"moments must have shape \(Q, 2\)"):
        moment_iou(np.ones((1, 2)), np.ones((2, 2)), np.ones(1))
    with pytest.raises(InputError, match="finite"):
        moment_iou(np.array([[0.0, np.nan]]), np.ones((1, 2)), np.ones(1))
    for ranks, iou in [(np.array([1, 2]), np.ones(1)), (np.ones(0, int), np.ones(0))]:
        with pytest.raises(InputError, match=r"shape \(Q,\) with Q >= 1"):
            moment_summary(ranks, iou)
