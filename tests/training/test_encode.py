"""Encoding of pairs in batches: order, masks, frozen features and evaluation mode."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from reelscore.data.pairs import PairSet
from reelscore.evaluation.ranks import rank_embeddings
from reelscore.models.config import ModelConfig
from reelscore.training.encode import PairEncoder, new_model
from reelscore.training.validation import validate
from support.training_sets import synthetic_pairs, text_pairs

CONFIG = ModelConfig(dim=8, width=8, num_segments=4, takes_text=True)


@pytest.fixture(scope="module")
def encoder() -> PairEncoder:
    pairs = text_pairs(24, 8, missing=0.3, time=6)
    torch.manual_seed(0)
    return PairEncoder(new_model(pairs, CONFIG), pairs, frozen=(np.eye(32), 2 * np.eye(32)))


def test_a_new_model_has_the_scales_of_the_columns() -> None:
    pairs = text_pairs(24, 8)
    model = new_model(pairs, CONFIG)
    rows = np.concatenate([samples[0] for samples in pairs.music]).astype(np.float64)
    np.testing.assert_allclose(model.music.center, rows.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(model.music.scale, rows.std(axis=0), rtol=1e-5)
    texts = np.stack([chunks.mean(axis=0) for chunks in pairs.text or ()])
    np.testing.assert_allclose(model.video.fusion.center, texts.mean(axis=0), atol=1e-6)


def test_pairs_embedded_at_once_are_those_of_each_alone(encoder: PairEncoder) -> None:
    encoder.model.train()
    video, music = encoder.embed()
    assert encoder.model.training, "the mode is restored"
    assert video.shape == music.shape == (32, 8)
    for i in (0, 5, 31):
        alone = PairEncoder(encoder.model, encoder.pairs.take([i])).embed()
        np.testing.assert_allclose(alone[0][0], video[i], atol=1e-5)
        np.testing.assert_allclose(alone[1][0], music[i], atol=1e-5)


def test_a_batch_holds_the_frozen_features_and_groups_of_its_pairs(encoder: PairEncoder) -> None:
    assert len(encoder) == 32
    batches = list(encoder.batches(batch_size=8, rng=np.random.default_rng(0)))
    order = torch.cat([batch.group for batch in batches])
    assert sorted(order.tolist()) == list(range(32))
    assert order.tolist() != list(range(32))
    frozen = torch.cat([batch.video_features for batch in batches])
    assert torch.equal(frozen, torch.eye(32)[order])
    assert torch.equal(torch.cat([batch.music_features for batch in batches]), 2 * frozen)
    plain = PairEncoder(encoder.model, encoder.pairs)
    assert next(plain.batches(batch_size=8)).video_features is None


def test_validation_measures_both_directions() -> None:
    pairs: PairSet = dataclasses.replace(synthetic_pairs(16, 8), group=np.arange(24) // 2)
    encoder = PairEncoder(new_model(pairs, ModelConfig(dim=8, width=8)), pairs)
    found = validate(encoder)
    video, music = encoder.embed()
    ranks = [
        rank_embeddings(one, other, pairs.group, pairs.group)[0]
        for one, other in ((video, music), (music, video))
    ]
    assert found["recall@10_video_to_music"] == np.mean(ranks[0] <= 10)
    assert found["recall@10_music_to_video"] == np.mean(ranks[1] <= 10)
    assert found["recall@10"] == pytest.approx(np.mean(np.concatenate(ranks) <= 10))
    assert found["log_rank"] == pytest.approx(np.log(np.concatenate(ranks)).mean())
    assert found["median_rank"] == pytest.approx(np.mean([np.median(each) for each in ranks]))
    assert found["reciprocal_rank"] == pytest.approx((1 / np.concatenate(ranks)).mean())
