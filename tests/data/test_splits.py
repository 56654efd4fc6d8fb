"""Splits by hash: whole groups, stability as data grow, no empty split."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelscore.data.splits import connected_components, hash_splits
from reelscore.errors import InputError

groups = st.lists(st.integers(0, 30).map(str), min_size=1, max_size=60)


@given(groups, st.integers(0, 3))
def test_no_group_straddles_and_no_split_is_empty(names, seed):
    split = hash_splits(names, seed=seed)
    assert len({(n, s) for n, s in zip(names, split, strict=True)}) == len(set(names))
    if len(set(names)) >= 3:
        assert set(split) == {"train", "val", "test"}


@given(groups, st.randoms(use_true_random=False))
def test_the_order_does_not_matter(names, random):
    order = list(range(len(names)))
    random.shuffle(order)
    split = hash_splits(names)
    assert hash_splits([names[i] for i in order]) == tuple(split[i] for i in order)


def test_a_group_keeps_its_split_as_the_set_grows():
    few, many = ([f"g{i}" for i in range(size)] for size in (300, 3000))
    assert hash_splits(many)[:300] == hash_splits(few)


def test_fractions_hold_on_average_and_the_seed_counts():
    names = [f"g{i}" for i in range(10_000)]
    split = hash_splits(names, fractions={"train": 8, "val": 1, "test": 1})
    assert split.count("train") / 10_000 == pytest.approx(0.8, abs=0.02)
    assert split.count("val") / 10_000 == pytest.approx(0.1, abs=0.02)
    assert hash_splits(names, seed=1) != hash_splits(names, seed=2)
    assert set(hash_splits(names, fractions={"train": 0.5, "val": 0.5})) == {"train", "val"}


@pytest.mark.parametrize("fractions", [{}, {"train": -1, "val": 2}, {"train": float("nan")}])
def test_senseless_fractions_are_refused(fractions):
    with pytest.raises(InputError, match="fractions"):
        hash_splits(["a"], fractions=fractions)


label = st.none() | st.integers(0, 6)


@given(st.lists(st.tuples(label, label), min_size=1, max_size=14))
def test_connected_components_agree_with_repeated_merging(items):
    """Slow reference: spread the smallest number over every shared label until nothing changes."""
    number = list(range(len(items)))
    changed = True
    while changed:
        changed = False
        for i, one in enumerate(items):
            for j, other in enumerate(items):
                shared = any(a is not None and a == b for a, b in zip(one, other, strict=True))
                if shared and number[i] != number[j]:
                    number[i] = number[j] = min(number[i], number[j])
                    changed = True
    assert connected_components(*zip(*items, strict=True)).tolist() == number
    assert connected_components(*zip(*items, strict=True)).dtype == np.int64
