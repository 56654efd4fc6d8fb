"""PairSet: validation, subsets, text and clips."""

from __future__ import annotations

import numpy as np
import pytest

from reelscore.data.pairs import PairSet
from reelscore.errors import InputError


def pair_set(size=4, **changes):
    rng = np.random.default_rng(0)
    fields = {
        "name": "small",
        "keys": tuple(f"k{i}" for i in range(size)),
        "video": tuple((rng.normal(size=(5, 3)).astype(np.float32),) for _ in range(size)),
        "music": tuple((rng.normal(size=(2 + i, 2)).astype(np.float32),) for i in range(size)),
        "group": np.arange(size),
        "split": ("train", "train", "val", "test")[:size],
        "video_encoder": "v-1",
        "music_encoder": "m-1",
        "num_segments": 4,
    }
    return PairSet(**{**fields, **changes})


def test_a_good_set_keeps_what_came():
    pairs = pair_set(label=np.array([0, 1, 0, 1]))
    assert len(pairs) == 4
    assert pairs.dims == (3, 2)
    assert pairs.where("train").keys == ("k0", "k1")
    picked = pairs.take([3, 1])
    assert picked.keys == ("k3", "k1")
    assert picked.label.tolist() == [1, 1]
    assert picked.group.tolist() == [3, 1]
    assert picked.split == ("test", "train")
    assert (picked.music[0][0] == pairs.music[3][0]).all()


def test_features_are_float32_and_read_only_and_the_callers_array_is_not_touched():
    double = np.ones((2, 3))
    single = np.ones((2, 3), np.float32)
    pairs = pair_set(1, video=((double, single),))
    for sample in pairs.video[0]:
        assert sample.dtype == np.float32
        with pytest.raises(ValueError, match="read-only"):
            sample[0, 0] = 0
    assert double.flags.writeable
    assert single.flags.writeable


def ones(*shape):
    return (np.ones(shape, np.float32),)


def with_nan():
    values = np.ones((5, 3), np.float32)
    values[2, 1] = np.nan
    return (values,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keys": (), "video": (), "music": (), "group": np.arange(0), "split": ()}, "holds no pairs"),
        ({"group": np.arange(3)}, "4 entries in group, got 3"),
        ({"keys": ("a", "b", "a", "c")}, "'a' is repeated"),
        ({"num_segments": 0}, "num_segments"),
        ({"video": (ones(5, 3), ones(5, 4), ones(5, 3), ones(5, 3))}, "'k1' has 4 columns but 'k0' has 3"),
        (
            {"video": (ones(5, 3), with_nan(), ones(5, 3), ones(5, 3))},
            "of 'k1' must be finite; row 2, column 1 is nan",
        ),
        ({"video": (ones(5, 3), ones(5), ones(5, 3), ones(5, 3))}, "of 'k1' must be numbers of shape"),
        ({"video": (ones(5, 3), (), ones(5, 3), ones(5, 3))}, "'k1' has no sample"),
        ({"video": (ones(5, 3) + ones(4, 3), *[ones(5, 3)] * 3)}, "samples of 'k0' differ in shape"),
        ({"video": ((np.full((5, 3), 1e300),), *[ones(5, 3)] * 3)}, "of 'k0' must be finite"),
        ({"group": np.array([0, 1, 2, 1])}, "'k1' and 'k3' are of one group but in the train and test"),
        ({"source": np.array([0, 1, 0, 3])}, "'k0' and 'k2' are of one source but in the train and val"),
        ({"group": np.arange(4.0)}, "whole numbers"),
        ({"split": ("train", "train", "dev", "test")}, "split of 'k2' must be"),
    ],
)
def test_invalid_fields_are_named(changes, message):
    with pytest.raises(InputError, match=message):
        pair_set(**changes)


def test_an_empty_split_raises_with_the_sizes():
    with pytest.raises(InputError, match=r"no pairs in the val split \(train 2, val 0, test 0\)"):
        pair_set(2).where("val")
    with pytest.raises(InputError, match="must be train"):
        pair_set(2).where("dev")


def test_text_goes_with_its_items_and_may_be_missing():
    texts = (np.ones((2, 5)), None, np.zeros((1, 5)), None)
    pairs = pair_set(text=texts, text_encoder="t-1")
    assert pairs.text_columns == 5
    assert pairs.text[0].dtype == np.float32
    assert not pairs.text[0].flags.writeable
    picked = pairs.take([3, 2])
    assert picked.text[0] is None
    assert (picked.text[1] == 0).all()
    assert pairs.take([1]).text_columns == pair_set().text_columns == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text": (None,) * 4}, "text and text_encoder go together, got text alone"),
        ({"text_encoder": "t-1"}, "got text_encoder alone"),
        ({"text": (None,) * 3, "text_encoder": "t-1"}, "4 entries in text, got 3"),
        (
            {"text": (None, np.ones((1, 5)), np.ones((1, 4)), None), "text_encoder": "t-1"},
            "'k2' has 4 columns but 'k1' has 5",
        ),
        (
            {"text": (None, None, None, np.full((1, 2), np.nan)), "text_encoder": "t-1"},
            "text of 'k3' must be",
        ),
        ({"text": (np.ones((0, 5)), None, None, None), "text_encoder": "t-1"}, "T, D >= 1"),
    ],
)
def test_text_that_is_none_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        pair_set(**changes)


def test_clips_go_with_their_items_and_are_read_only_float32():
    pairs = pair_set(clips=((np.ones((3, 3)), np.ones((2, 3))), (), (np.zeros((1, 3)),), ()))
    assert pairs.clips[0][1].dtype == np.float32
    assert not pairs.clips[0][1].flags.writeable
    assert [len(clips) for clips in pairs.take([2, 0]).clips] == [1, 2]
    assert pairs.where("train").clips[0][0].shape == (3, 3)
    assert pair_set().where("train").clips is None


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        (((),) * 3, "4 entries in clips, got 3"),
        (
            ((), (np.ones((2, 3)), np.ones((2, 4))), (), ()),
            r"clips: 'k1 \[clip 2\]' has 4 columns but 'k0' has 3",
        ),
        (((), (), (with_nan()[0],), ()), r"clips of 'k2 \[clip 1\]' must be finite; row 2, column 1"),
        (((), (), (np.ones(3),), ()), r"'k2 \[clip 1\]' must be numbers of shape"),
    ],
)
def test_invalid_clips_are_named(clips, message):
    with pytest.raises(InputError, match=message):
        pair_set(clips=clips)
