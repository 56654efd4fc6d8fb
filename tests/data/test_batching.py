"""Batches: order of pairs, choice of rows and samples, and masks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelscore.data.batching import inference_rows, iterate, num_batches
from reelscore.data.pairs import PairSet
from reelscore.errors import InputError
from reelscore.features.sampling import global_sparse_rows


def pair_set(lengths, *, num_random_samples=1, num_segments=4):
    """Video row t of sample k of item i is (i, k, t); the music is one row."""
    size = len(lengths)

    def samples(i):
        return tuple(
            np.stack([[i, k, t] for t in range(lengths[i])]).astype(np.float32)
            for k in range(num_random_samples)
        )

    return PairSet(
        name="counted",
        keys=tuple(str(i) for i in range(size)),
        video=tuple(samples(i) for i in range(size)),
        music=tuple((np.full((1, 2), i, np.float32),) for i in range(size)),
        group=np.arange(size) // 2,
        split=("train",) * size,
        video_encoder="v",
        music_encoder="m",
        num_segments=num_segments,
    )


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=9),
    st.integers(1, 10),
    st.integers(1, 6),
    st.integers(1, 3),
)
def test_inference_gives_every_pair_once_in_order_with_middle_rows(
    lengths, batch_size, num_segments, num_random_samples
):
    pairs = pair_set(lengths, num_random_samples=num_random_samples)
    batches = list(iterate(pairs, batch_size=batch_size, num_segments=num_segments))
    assert np.concatenate([b.index for b in batches]).tolist() == list(range(len(lengths)))
    assert len(batches) == num_batches(len(lengths), batch_size=batch_size, training=False)
    for batch in batches:
        for row, i in enumerate(batch.index):
            kept = batch.video[row][batch.video_mask[row]]
            rows = (
                global_sparse_rows(lengths[i], num_segments=num_segments)
                if lengths[i] > num_segments
                else np.arange(lengths[i])
            )
            assert kept.tolist() == [[i, 0, t] for t in rows]
            assert (batch.video[row][~batch.video_mask[row]] == 0).all()
            assert batch.group[row] == i // 2
            assert (batch.music[row, 0] == i).all()


def test_inference_rows_are_the_middle_rows_of_sample_0_or_all_without_n():
    samples = pair_set([12], num_random_samples=2).video[0]
    assert inference_rows(samples, 4)[:, 1:].tolist() == [[0, 1], [0, 4], [0, 7], [0, 10]]
    assert inference_rows(samples, 12) is inference_rows(samples, None) is samples[0]


@given(st.integers(2, 11), st.integers(2, 12), st.integers(0, 5))
def test_training_gives_each_pair_at_most_once_in_full_batches(size, batch_size, seed):
    pairs = pair_set([3] * size)
    batches = list(iterate(pairs, batch_size=batch_size, rng=np.random.default_rng(seed)))
    index = np.concatenate([b.index for b in batches])
    assert len(set(index.tolist())) == len(index)
    assert {len(b) for b in batches} == {min(batch_size, size)}
    assert len(batches) == num_batches(size, batch_size=batch_size, training=True)


def test_training_rows_fall_one_into_each_segment_and_move():
    pairs = pair_set([40, 40])
    rng = np.random.default_rng(0)
    batches = [
        b.video[:, :, 2] for _ in range(20) for b in iterate(pairs, batch_size=2, num_segments=4, rng=rng)
    ]
    rows = np.concatenate(batches)
    assert (rows // 10 == np.arange(4)).all()
    assert len(np.unique(rows)) > 30


def test_training_mixes_samples_row_by_row():
    pairs = pair_set([6, 6], num_random_samples=3)
    rng = np.random.default_rng(0)
    video = np.concatenate(
        [b.video for _ in range(10) for b in iterate(pairs, batch_size=2, num_segments=6, rng=rng)]
    )
    assert (video[:, :, 2] == np.arange(6)).all()
    assert set(np.unique(video[:, :, 1])) == {0, 1, 2}
    assert any(len(np.unique(item[:, 1])) > 1 for item in video)


def test_one_seed_gives_one_epoch_and_the_next_epoch_another():
    pairs = pair_set([9] * 20, num_random_samples=2)

    def epochs(seed):
        rng = np.random.default_rng(seed)
        return [
            np.concatenate([b.video.ravel() for b in iterate(pairs, batch_size=8, rng=rng)]) for _ in range(2)
        ]

    one, again = epochs(3), epochs(3)
    assert (one[0] == again[0]).all()
    assert (one[1] == again[1]).all()
    assert (one[0] != one[1]).any()


@pytest.mark.parametrize(
    ("size", "batch_size", "message"), [(1, 8, "add pairs"), (5, 1, "raise batch_size"), (5, 0, "at least 1")]
)
def test_too_few_pairs_for_training_raise_at_once(size, batch_size, message):
    with pytest.raises(InputError, match=message):
        iterate(pair_set([2] * size), batch_size=batch_size, rng=np.random.default_rng(0))


def test_text_is_padded_and_none_where_it_is_missing():
    texts = (np.ones((2, 3), np.float32), None, np.full((1, 3), 2, np.float32), None, None)
    pairs = dataclasses.replace(pair_set([1] * 5), text=texts, text_encoder="t")
    first, second, third = iterate(pairs, batch_size=2)
    assert first.text.tolist() == [[[1] * 3] * 2, [[0] * 3] * 2]
    assert first.text_mask.tolist() == [[True, True], [False, False]]
    assert second.text_mask.tolist() == [[True], [False]]
    assert third.text is third.text_mask is None
    assert next(iterate(pair_set([1, 1]), batch_size=2)).text is None
