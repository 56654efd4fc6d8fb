"""Nested shares of a set's pairs, duplicates, and rotating test folds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelscore.data.pairs import PairSet
from reelscore.errors import ConfigError, InputError
from research.recipes.public import duplicated, rotate, sample, subset


def pairs_of(sources, splits):
    size = len(sources)
    rows = tuple((np.full((1, 2), i, np.float32),) for i in range(size))
    return PairSet(
        name="made",
        keys=tuple(f"k{i}" for i in range(size)),
        video=rows,
        music=rows,
        group=np.arange(size),
        split=tuple(splits[s] for s in sources),
        video_encoder="v",
        music_encoder="m",
        num_segments=1,
        source=np.array(sources),
    )


@st.composite
def pair_sets(draw):
    count = draw(st.integers(1, 12))
    splits = ["train", *draw(st.lists(st.sampled_from(["train", "val", "test"]), min_size=11, max_size=11))]
    sources = [0, *draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=40))]
    return pairs_of(sources, splits)


@given(pair_sets(), st.integers(0, 5), st.lists(st.floats(0.01, 1.0), min_size=2, max_size=4).map(sorted))
def test_shares_are_nested_and_keep_sources_and_the_test_part(pairs, draw, shares):
    parts = [subset(pairs, share=share, draw=draw) for share in shares]
    for part, share in zip(parts, shares, strict=True):
        kept = set(part.keys)
        held_out = [k for k, s in zip(pairs.keys, pairs.split, strict=True) if s == "test"]
        assert kept.issuperset(held_out)
        for name in ("train", "val"):
            assert part.split.count(name) >= share * pairs.split.count(name) - 1e-9
        assert list(part.keys) == [k for k in pairs.keys if k in kept], "order"
        for source in np.unique(pairs.source):
            inside = {k in kept for k, s in zip(pairs.keys, pairs.source, strict=True) if s == source}
            assert len(inside) == 1, "whole sources"
    for small, large in itertools.pairwise(parts):
        assert set(small.keys) <= set(large.keys)


def test_a_share_is_exact_where_sources_are_single_pairs():
    pairs = pairs_of(list(range(60)), ["train"] * 40 + ["val"] * 20)
    for share in (0.05, 0.1, 0.25, 0.5, 1.0):
        split = subset(pairs, share=share, draw=0).split
        assert (split.count("train"), split.count("val")) == (round(40 * share), round(20 * share))


def test_another_draw_gives_another_subset():
    pairs = pairs_of(list(range(40)), ["train"] * 40)
    subsets = {subset(pairs, share=0.25, draw=draw).keys for draw in range(5)}
    assert len(subsets) == 5
    assert subset(pairs, share=0.25, draw=0).keys == subset(pairs, share=0.25, draw=0).keys


@pytest.mark.parametrize("share", [0.0, -0.1, 1.5])
def test_a_share_outside_is_rejected(share):
    with pytest.raises(ConfigError, match="share"):
        subset(pairs_of([0, 1], ["train"] * 2), share=share, draw=0)


def test_a_sample_has_the_number_of_pairs_beside_the_test_part():
    pairs = pairs_of([i // 2 for i in range(60)], ["train", "val", "test"] * 10)
    small, large = (sample(pairs, number, draw=0) for number in (7, 20))
    for part, number in ((small, 7), (large, 20)):
        assert (len(part) - part.split.count("test"), part.split.count("test")) == (number, 20)
    assert set(small.keys) <= set(large.keys)
    assert sample(pairs, 7, draw=1).keys != small.keys
    for number in (1, 41):
        with pytest.raises(ConfigError, match=r"pairs must lie in \[2, 40\]"):
            sample(pairs, number, draw=0)


def test_duplicates_are_new_groups_of_the_same_source_in_training_alone():
    pairs = pairs_of([i // 2 for i in range(60)], ["train", "val", "test"] * 10)
    more = duplicated(pairs, share=0.4, draw=0)
    assert more.keys[:60] == pairs.keys
    assert len(more) == 60 + 16  # of 40
    assert more.split.count("test") == 20
    assert len(set(more.group.tolist())) == len(more), "a duplicate counts as a negative"
    for i in range(60, len(more)):
        original = more.keys.index(more.keys[i].removesuffix(" [duplicate]"))
        assert more.source[i] == more.source[original]
        assert more.split[i] == more.split[original] != "test"
        for side in (more.video, more.music):
            np.testing.assert_array_equal(side[i][0], side[original][0])
    assert set(more.keys) <= set(duplicated(pairs, share=0.6, draw=0).keys)
    for share in (0.0, 1.5):
        with pytest.raises(ConfigError, match="duplicates must lie in"):
            duplicated(pairs, share=share, draw=0)


def test_the_test_part_rotates_over_all_but_validation():
    pairs = pairs_of([i // 2 for i in range(40)], ["train", "val", "test", "train"] * 5)
    tested = np.zeros(40, int)
    for fold in range(5):
        rotated = rotate(pairs, fold=fold, num_folds=5)
        split = np.array(rotated.split)
        assert (rotated.keys, (split == "val").tolist()) == (
            pairs.keys,
            [part == "val" for part in pairs.split],
        )
        tested += split == "test"
        assert (split == "test").sum() == 6  # of 15 sources of two pairs
    assert tested.tolist() == [part != "val" for part in pairs.split]


def test_folds_do_not_depend_on_the_order_of_the_pairs():
    pairs = pairs_of([i // 2 for i in range(24)], ["train", "val", "test"] * 4)
    order = np.random.default_rng(0).permutation(24)
    one, other = rotate(pairs, fold=1, num_folds=4), rotate(pairs.take(order), fold=1, num_folds=4)
    assert dict(zip(one.keys, one.split, strict=True)) == dict(zip(other.keys, other.split, strict=True))


def test_a_fold_out_of_range_is_rejected():
    pairs = pairs_of(range(6), ["train", "val", "test", "train", "train", "train"])
    with pytest.raises(ConfigError, match="fold must lie in"):
        rotate(pairs, fold=5, num_folds=5)
    with pytest.raises(InputError, match="folds need 2 to 5"):
        rotate(pairs, fold=0, num_folds=6)
