"""The pairs that share their length alone: ranking by equal length, and what changes a track."""

from __future__ import annotations

import numpy as np
import pytest

from reelscore.evaluation.metrics import recall_at
from reelscore.evaluation.ranks import first_hit_ranks
from support.length_sets import crop, length_pairs, pad, shift


@pytest.fixture(scope="module")
def pairs():
    return length_pairs()


def lengths(side):
    return np.array([len(samples[0]) for samples in side], dtype=float)


def recall_by_length(pairs):
    """Return the R@10 of the smallest difference in length."""
    test = pairs.where("test")
    distance = np.abs(lengths(test.video)[:, None] - lengths(test.music)[None, :])
    return recall_at(first_hit_ranks(-distance, np.eye(len(test), dtype=bool)), 10)


def test_equal_length_ranks_perfectly_until_tracks_are_cropped_or_padded(pairs):
    assert recall_by_length(pairs) == recall_by_length(shift(pairs, 0)) == 1.0
    assert recall_by_length(crop(pairs, 0)) < 0.25
    assert recall_by_length(pad(pairs, 0)) < 0.25


def test_statistics_over_the_whole_sequence_reveal_the_length(pairs):
    for side in (pairs.video, pairs.music):
        deviation = np.array([samples[0].std(axis=0).mean() for samples in side])
        assert np.corrcoef(np.log(lengths(side)), deviation)[0, 1] > 0.5


def test_video_and_music_share_nothing_else(pairs):
    length = min(lengths(pairs.video)) - 1
    video, music = (
        np.stack([samples[0][: int(length)].mean(axis=0) for samples in side])
        for side in (pairs.video, pairs.music)
    )
    correlation = np.corrcoef(video.T, music.T)[: video.shape[1], video.shape[1] :]
    assert np.abs(correlation).max() < 4 / np.sqrt(len(pairs))


@pytest.mark.parametrize("change", [crop, pad, shift])
def test_a_changed_track_has_its_own_rows_and_depends_on_the_seed(pairs, change):
    changed, same, other = (change(pairs, seed) for seed in (0, 0, 1))
    for before, after, again in zip(pairs.music, changed.music, same.music, strict=True):
        assert {row.tobytes() for row in after[0]} <= {row.tobytes() for row in before[0]}
        assert (after[0] == again[0]).all()
    assert any(
        one[0].shape != two[0].shape or (one[0] != two[0]).any()
        for one, two in zip(changed.music, other.music, strict=True)
    )
    np.testing.assert_array_equal(changed.video[5][0], pairs.video[5][0])


def test_shifted_tracks_have_the_same_rows(pairs):
    for before, after in zip(pairs.music, shift(pairs, 0).music, strict=True):
        assert sorted(map(tuple, before[0].tolist())) == sorted(map(tuple, after[0].tolist()))
        assert (before[0] != after[0]).any()
