"""Batches with a given share of negatives of the anchor's label."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelscore.data.batching import iterate
from reelscore.data.label_batches import label_counts, same_label_rate, sample_label_batches
from reelscore.data.pairs import PairSet
from reelscore.errors import InputError

LABEL = np.repeat(np.arange(32), 25)


def measured(label: np.ndarray, batches: list[np.ndarray]) -> float:
    """Return the share by plain loops over ordered pairs."""
    same = total = 0
    for batch in batches:
        for i in batch:
            for j in batch:
                if i != j:
                    total += 1
                    same += int(label[i] == label[j])
    return same / total


@given(size=st.integers(2, 64), rate=st.floats(0, 1))
def test_two_label_counts_of_the_right_size_hold_the_rate_on_average(size: int, rate: float) -> None:
    low, high, share = label_counts(size, rate)
    assert sum(low) == sum(high) == size
    assert min(*low, *high) >= 1
    assert 0 <= share <= 1
    assert (1 - share) * same_label_rate(low) + share * same_label_rate(high) == pytest.approx(rate, abs=1e-9)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.2, 0.4, 0.6])
def test_sampled_batches_have_the_given_rate(rate: float) -> None:
    batches = [
        batch
        for epoch in range(6)
        for batch in sample_label_batches(
            LABEL, batch_size=32, rate=rate, rng=np.random.default_rng([7, epoch])
        )
    ]
    assert len(batches) == 6 * 25
    assert all(len(set(batch.tolist())) == 32 for batch in batches)
    # The two label counts differ by a few hundredths in rate, so the mean of 150 batches is exact to some thousandths.
    assert measured(LABEL, batches) == pytest.approx(rate, abs=0.004)


def test_every_item_has_its_turn_and_one_seed_gives_one_order() -> None:
    def sample(seed: int) -> list[list[int]]:
        rng = np.random.default_rng(seed)
        return [
            b.tolist()
            for _ in range(8)
            for b in sample_label_batches(LABEL, batch_size=32, rate=0.4, rng=rng)
        ]

    first = sample(1)
    assert first == sample(1) != sample(2)
    counts = np.bincount(np.concatenate(first), minlength=len(LABEL))
    assert counts.min() >= 1


def test_a_rate_that_the_labels_cannot_give_is_refused() -> None:
    with pytest.raises(InputError, match="the largest with"):
        next(sample_label_batches(np.arange(40), batch_size=8, rate=0.5, rng=np.random.default_rng(0)))
    with pytest.raises(InputError, match="needs 8 labels"):
        next(
            sample_label_batches(np.zeros(40, np.int64), batch_size=8, rate=0.0, rng=np.random.default_rng(0))
        )
    with pytest.raises(InputError, match="label_rate must be in"):
        label_counts(8, 1.5)


def test_training_batches_are_composed_where_the_set_has_labels() -> None:
    rows = tuple((np.full((1, 2), i, np.float32),) for i in range(12))
    pairs = PairSet(
        name="made",
        keys=tuple("abcdefghijkl"),
        video=rows,
        music=rows,
        group=np.arange(12),
        split=("train",) * 12,
        video_encoder="v",
        music_encoder="m",
        num_segments=1,
        label=np.repeat(np.arange(4), 3),
    )
    for batch in iterate(pairs, batch_size=4, rng=np.random.default_rng(0), label_rate=0.0):
        assert sorted(pairs.label[batch.index].tolist()) == [0, 1, 2, 3]
        assert batch.video[:, 0, 0].tolist() == batch.index.tolist()
    unlabelled = pairs.take(range(12))
    object.__setattr__(unlabelled, "label", None)
    with pytest.raises(InputError, match="no labels"):
        iterate(unlabelled, batch_size=4, rng=np.random.default_rng(0), label_rate=0.5)
