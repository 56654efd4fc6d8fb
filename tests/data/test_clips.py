"""Windows, clips of rows, and clips as further pairs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelscore.data.clips import (
    CLIP_S,
    MIN_DURATION_S,
    clip_queries,
    clip_rng,
    cut_clips,
    windows,
    with_clips,
)
from reelscore.data.pairs import PairSet
from reelscore.errors import InputError

LENGTHS = (46, 45, 200, 90)


def counted(lengths=LENGTHS, **changes):
    """Video row t of pair i is (i, t)."""
    size = len(lengths)
    fields = {
        "name": "counted",
        "keys": tuple(f"k{i}" for i in range(size)),
        "video": tuple((np.array([(i, t) for t in range(n)], np.float32),) for i, n in enumerate(lengths)),
        "music": tuple((np.full((n, 3), i, np.float32),) for i, n in enumerate(lengths)),
        "group": np.arange(size),
        "split": ("train", "train", "train", "test"),
        "video_encoder": "v",
        "music_encoder": "m",
        "num_segments": 8,
    }
    return PairSet(**{**fields, **changes})


@given(st.floats(0.1, 10_000), st.integers(0, 6), st.none() | st.integers(0, 99))
def test_windows_are_30_s_inside_the_video_in_order(duration_s, num_clips, seed):
    found = windows(duration_s, num_clips, clip_rng(seed, "a"))
    assert len(found) == (num_clips if duration_s > MIN_DURATION_S else 0)
    assert found == sorted(found)
    for start_s, end_s in found:
        assert start_s >= 0
        assert end_s <= duration_s + 1e-9
        assert end_s - start_s == pytest.approx(CLIP_S)


def test_without_a_seed_windows_are_evenly_spaced_and_one_is_the_middle():
    assert windows(130.0, 1) == [(50.0, 80.0)]
    assert windows(130.0, 4) == [(12.5, 42.5), (37.5, 67.5), (62.5, 92.5), (87.5, 117.5)]
    assert windows(MIN_DURATION_S, 3) == []


def test_random_windows_depend_on_the_seed_and_the_item_and_cover_the_video():
    def starts(seed, item):
        return windows(1030.0, 500, clip_rng(seed, item))

    assert starts(0, "a") == starts(0, "a")
    assert starts(0, "a") != starts(1, "a")
    assert starts(0, "a") != starts(0, "b")
    counts, _ = np.histogram([start_s for start_s, _ in starts(0, "a")], bins=10, range=(0, 1000))
    assert counts.min() > 25


def test_a_negative_number_of_clips_is_an_error():
    with pytest.raises(InputError, match="num_clips must be 0 or more, got -1"):
        windows(100.0, -1)


def test_clips_of_rows_are_30_rows_in_sequence_and_short_videos_have_none():
    pairs = cut_clips(counted(), 2)
    assert [len(clips) for clips in pairs.clips] == [2, 0, 2, 2]
    assert [clip[0].tolist() for clip in pairs.clips[3]] == [[3, 15], [3, 45]]
    for i, clips in enumerate(pairs.clips):
        for clip in clips:
            assert clip.shape == (30, 2)
            assert (clip[:, 0] == i).all()
            assert (np.diff(clip[:, 1]) == 1).all()
            assert np.shares_memory(clip, pairs.video[i][0])
    rows = [[clip[0, 1] for clip in clips] for clips in cut_clips(counted(), 2, seed=3).clips]
    again = [[clip[0, 1] for clip in clips] for clips in cut_clips(counted(), 2, seed=3).clips]
    assert (
        rows == again != [[clip[0, 1] for clip in clips] for clips in cut_clips(counted(), 2, seed=4).clips]
    )


def test_queries_are_all_clips_with_the_index_of_their_pair():
    clips, index = clip_queries(cut_clips(counted(), 2))
    assert index.tolist() == [0, 0, 2, 2, 3, 3]
    assert [clip[0, 0] for clip in clips] == index.tolist()
    for without in (counted(), cut_clips(counted(), 0), cut_clips(counted((9, 9, 9, 9)), 2)):
        assert clip_queries(without)[0] == []
        assert len(clip_queries(without)[1]) == 0


def test_clips_become_pairs_of_the_whole_track():
    texts = (np.ones((1, 4), np.float32), None, np.ones((2, 4), np.float32), None)
    extra = {"label": np.array([5, 6, 7, 8]), "source": np.array([3, 3, 4, 9])}
    pairs = cut_clips(counted(text=texts, text_encoder="t", **extra), 2)
    found = with_clips(pairs)
    assert found.clips is None
    assert found.keys == (*pairs.keys, "k0 [clip 1]", "k0 [clip 2]", "k2 [clip 1]", "k2 [clip 2]")
    origin = [0, 1, 2, 3, 0, 0, 2, 2]
    assert found.group.tolist() == origin
    assert found.label.tolist() == [5, 6, 7, 8, 5, 5, 7, 7]
    assert found.source.tolist() == [3, 3, 4, 9, 3, 3, 4, 4]
    assert found.split == (*pairs.split, *("train",) * 4)
    for i, samples in zip(origin, found.music, strict=True):
        assert (samples[0] == pairs.music[i][0]).all()
    assert [samples[0].shape for samples in found.video[4:]] == [(30, 2)] * 4
    assert (found.video[7][0] == pairs.clips[2][1]).all()
    assert found.text[0] is not None
    assert found.text[4:] == (None,) * 4


def test_only_the_clips_of_the_given_splits_become_pairs():
    pairs = cut_clips(counted(), 1)
    assert with_clips(pairs, ("test",)).keys == (*pairs.keys, "k3 [clip 1]")
    assert len(with_clips(pairs, ("train", "test"))) == 7
    assert with_clips(pairs, ("val",)).keys == with_clips(counted()).keys == pairs.keys
    assert with_clips(dataclasses.replace(pairs, label=None)).label is None
