"""Pooled, frozen and training features, folds, and the kernel model of a set."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from reelscore.data.clips import cut_clips
from reelscore.data.pairs import PairSet
from reelscore.errors import InputError
from reelscore.features.pooling import pool
from reelscore.features.sampling import global_sparse_rows
from reelscore.features.scaling import CLIP
from reelscore.training.features import (
    fit_kernel,
    folds,
    frozen_features,
    has_time,
    pooled_clips,
    pooled_features,
    training_pairs,
)
from support.training_sets import synthetic_pairs, text_pairs


@pytest.fixture(scope="module")
def pairs() -> PairSet:
    return dataclasses.replace(synthetic_pairs(24, 8), num_segments=6)


def long_pairs(num_train: int = 6, num_val: int = 2, num_rows: int = 90) -> PairSet:
    """Return pairs of 90 s with one row a second."""
    rng = np.random.default_rng(0)
    short = synthetic_pairs(num_train, num_val)
    side = tuple((rng.normal(size=(num_rows, 9)).astype(np.float32),) for _ in short.keys)
    return dataclasses.replace(short, video=side, num_segments=num_rows)


def test_sequences_are_pooled_with_the_seconds_of_their_rows(pairs: PairSet) -> None:
    row_s = np.random.default_rng(0).uniform(5, 20, size=(32, 2))
    video, music = pooled_features(dataclasses.replace(pairs, row_s=row_s))
    for i in range(32):
        np.testing.assert_allclose(video[i], pool(pairs.video[i][0], row_s=row_s[i, 0]), rtol=1e-6)
        np.testing.assert_allclose(music[i], pool(pairs.music[i][0], row_s=row_s[i, 1]), rtol=1e-6)
    np.testing.assert_allclose(pooled_features(pairs)[0][0], pool(pairs.video[0][0]), rtol=1e-6)
    assert has_time(pairs)


def test_a_longer_sequence_is_pooled_from_the_rows_that_search_samples(pairs: PairSet) -> None:
    few = dataclasses.replace(pairs, num_segments=3)
    rows = global_sparse_rows(6, num_segments=3)
    expected = pool(pairs.video[0][0][rows], row_s=2.0)
    np.testing.assert_allclose(pooled_features(few)[0][0], expected)


def test_single_rows_are_their_own_means(pairs: PairSet) -> None:
    one = dataclasses.replace(
        pairs,
        video=tuple((samples[0][:1],) for samples in pairs.video),
        music=tuple((samples[0][:1],) for samples in pairs.music),
    )
    assert not has_time(one)
    video, music = pooled_features(one)
    np.testing.assert_array_equal(video, np.concatenate([samples[0] for samples in one.video]))
    assert music.shape == (32, 7)


def test_text_is_appended_as_the_mean_of_its_chunks_and_missing_text_as_nan() -> None:
    pairs = text_pairs(20, 4, missing=0.3)
    video, _ = pooled_features(pairs, with_text=True)
    np.testing.assert_array_equal(video[:, :18], pooled_features(pairs)[0])
    for row, chunks in zip(video[:, 18:], pairs.text or (), strict=True):
        np.testing.assert_array_equal(row, np.full(7, np.nan) if chunks is None else chunks.mean(axis=0))


def test_clips_of_training_and_validation_videos_are_further_pairs() -> None:
    pairs = dataclasses.replace(long_pairs(), split=("train",) * 4 + ("val",) * 2 + ("test",) * 2)
    used = training_pairs(cut_clips(pairs, 2, seed=0))
    assert len(used) == 6 + 12
    assert set(used.split) == {"train", "val"}
    assert used.clips is None
    assert sorted(used.group.tolist()) == sorted([0, 1, 2, 3, 4, 5] * 3)
    video, _ = pooled_features(used)
    (clip,) = [i for i, key in enumerate(used.keys) if key == "pair 2 [clip 1]"]
    assert len(used.video[clip][0]) == 30
    np.testing.assert_array_equal(video[clip], pooled_clips([used.video[clip][0]], deviation=True)[0])
    assert training_pairs(pairs).keys == pairs.keys[:6]


def test_frozen_features_are_standardised_pooled_features(pairs: PairSet) -> None:
    for side, single in zip(
        frozen_features(pairs, "features", with_text=False), pooled_features(pairs), strict=True
    ):
        pooled = single.astype(np.float64)
        varying = pooled.std(axis=0) > 1e-6 * np.abs(pooled.mean(axis=0))
        expected = (pooled - pooled.mean(axis=0))[:, varying] / pooled.std(axis=0)[varying]
        np.testing.assert_allclose(side[:, varying], np.clip(expected, -CLIP, CLIP), atol=1e-5)
        np.testing.assert_allclose(side[:, ~varying], 0, atol=1e-6)


def test_missing_text_counts_as_the_mean_in_the_frozen_features() -> None:
    pairs = text_pairs(30, 2)
    texts = tuple(chunks if i < 3 else None for i, chunks in enumerate(pairs.text or ()))
    some = dataclasses.replace(pairs, text=texts)
    video, _ = frozen_features(some, "features", with_text=True)
    np.testing.assert_allclose(video[3:, 18:], 0, atol=1e-12)
    assert (np.abs(video[:3, 18:]) > 0.1).any(axis=1).all()
    np.testing.assert_array_equal(video[:, :18], frozen_features(pairs, "features", with_text=False)[0])


@pytest.mark.parametrize("with_text", [False, True])
def test_along_what_is_correlated_the_features_are_the_projections_of_the_linear_cca(with_text: bool) -> None:
    pairs = text_pairs(40, 4, missing=0.2)
    video, music = frozen_features(pairs, "correlated", with_text=with_text)
    cca = fit_kernel(pairs, kernels=("linear",), with_text=with_text)
    pooled = pooled_features(pairs, with_text=with_text)
    for side, modality, rows in ((video, "video", pooled[0]), (music, "music", pooled[1])):
        norms = np.linalg.norm(side, axis=1, keepdims=True)
        assert np.ptp(norms) > 0
        np.testing.assert_allclose(side / norms, cca.embed(modality, rows), atol=1e-6)


def test_pairs_of_a_source_share_a_fold_independent_of_the_order(pairs: PairSet) -> None:
    grouped = dataclasses.replace(pairs, split=("train",) * 32, source=np.arange(32) // 2)
    fold = folds(grouped)
    assert sorted(set(fold.tolist())) == [0, 1, 2, 3]
    assert (fold[::2] == fold[1::2]).all()
    order = np.random.default_rng(0).permutation(32)
    np.testing.assert_array_equal(folds(grouped.take(order)), fold[order])
    assert sorted(set(folds(pairs.take([0, 1, 2])).tolist())) == [0, 1, 2]


def test_pairs_of_a_single_source_are_divided_by_their_groups(pairs: PairSet) -> None:
    one = dataclasses.replace(pairs, split=("train",) * 32, source=np.zeros(32, int))
    np.testing.assert_array_equal(folds(one), folds(pairs))


def test_the_kernel_model_of_a_set_is_the_one_that_is_stored(pairs: PairSet) -> None:
    model = fit_kernel(pairs, kernels=("linear",))
    assert model.validation["gallery"] == 8
    for array in (model.music[0].center, model.video[1][0].weights):
        np.testing.assert_array_equal(array, array.astype(np.float32))
    with pytest.raises(InputError, match="at least two groups"):
        fit_kernel(dataclasses.replace(pairs, split=("train",) * 32, group=np.zeros(32, int)))


def test_a_single_text_among_the_pairs_is_enough() -> None:
    pairs = text_pairs(20, 4)
    one = dataclasses.replace(pairs, text=((pairs.text or ())[0],) + (None,) * 23)
    model = fit_kernel(one, kernels=("linear",), with_text=True)
    assert np.isfinite(model.embed("video", pooled_features(one, with_text=True)[0])).all()
