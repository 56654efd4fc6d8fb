"""Gated fusion of text against its equation, videos without text, and text alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from reelscore.features.scaling import CLIP
from reelscore.models.config import ModelConfig
from reelscore.models.towers.text_fusion import GatedFusion
from reelscore.models.towers.tower import Tower
from reelscore.models.trained.forward import TowerForward
from support.random_towers import batch, random_tower, weights_of

ATTENTION = ModelConfig(
    dim=6, width=8, num_heads=2, takes_text=True, dropout=0.0, input_dropout=0.0, text_dropout=0.0
)
CONFIGS = [ATTENTION, dataclasses.replace(ATTENTION, encoder="transformer")]
every = pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.encoder)


@every
def test_the_fused_embedding_equals_the_equation(config: ModelConfig) -> None:
    tower = random_tower(config)
    (sequence, mask), (chunks, chunk_mask) = batch(1, (4, 6)), batch(2, (3, 1), 4)
    weights = {key.removeprefix("fusion."): w for key, w in weights_of(tower).items() if "fusion." in key}
    seen: list[torch.Tensor] = []
    tower.encoder.register_forward_hook(lambda module, inputs, output: seen.append(output))
    with torch.no_grad():
        got = tower(sequence, mask, chunks, chunk_mask).numpy()
    for e, rows, length, embedding in zip(seen[0].numpy(), chunks.numpy(), (3, 1), got, strict=True):
        z = np.clip((rows[:length].mean(axis=0) - weights["center"]) / weights["scale"], -CLIP, CLIP)
        hidden = np.maximum(weights["hidden.weight"] @ z + weights["hidden.bias"], 0)
        t = weights["out.weight"] @ hidden + weights["out.bias"]
        gate = 1 / (1 + np.exp(-(weights["gate.weight"] @ np.concatenate([e, t]) + weights["gate.bias"])))
        fused = e + gate * t
        np.testing.assert_allclose(embedding, fused / np.linalg.norm(fused), atol=1e-5)


@every
def test_a_video_without_text_is_embedded_as_by_a_model_without_the_fusion(config: ModelConfig) -> None:
    tower = random_tower(config)
    sequence, mask = batch(5, (4, 6))
    text, text_mask = batch(6, (0, 3), 4)
    plain = Tower(5, config=dataclasses.replace(config, takes_text=False)).eval()
    plain.load_state_dict({key: tower.state_dict()[key] for key in plain.state_dict()})
    with torch.no_grad():
        expected = plain(sequence, mask)
        assert torch.equal(tower(sequence, mask), expected)
        mixed = tower(sequence, mask, text, text_mask)
        junk = tower(sequence, mask, text.masked_fill(~text_mask[:, :, None], 1e6), text_mask)
    assert torch.equal(mixed[0], expected[0])
    assert not torch.allclose(mixed[1], expected[1], atol=1e-2)
    assert torch.equal(junk, mixed)


@every
def test_the_order_of_chunks_does_not_matter(config: ModelConfig) -> None:
    tower = random_tower(config)
    (sequence, mask), (text, text_mask) = batch(7, (4, 6)), batch(8, (3, 3), 4)
    with torch.no_grad():
        forward, backward = (tower(sequence, mask, t, text_mask) for t in (text, text.flip(1)))
    torch.testing.assert_close(forward, backward, atol=1e-5, rtol=1e-5)


@every
def test_text_alone_is_embedded_as_that_of_an_average_video(config: ModelConfig) -> None:
    tower = random_tower(config)
    chunks, chunk_mask = batch(4, (3, 3), 4)
    average = tower.center.expand(2, 1, 5)
    with torch.no_grad():
        expected = tower(average, torch.ones(2, 1, dtype=torch.bool), chunks, chunk_mask).numpy()
    got = TowerForward(weights_of(tower), config=config).embed_text(chunks.numpy())
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_text_dropout_hides_whole_texts_in_training_alone_by_the_seed() -> None:
    torch.manual_seed(0)
    fusion = GatedFusion(4, dataclasses.replace(ATTENTION, text_dropout=0.25))
    e, chunks, mask = torch.randn(4000, 6), torch.randn(4000, 1, 4), torch.ones(4000, 1, dtype=torch.bool)
    with torch.no_grad():
        full = fusion.eval()(e, chunks, mask)
        fusion.train()
        dropped = []
        for seed in (3, 3, 4):
            torch.manual_seed(seed)
            dropped.append(fusion(e, chunks, mask))
    hidden = (dropped[0] == e).all(dim=1)
    assert hidden.float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert torch.equal(dropped[0][~hidden], full[~hidden])
    assert torch.equal(dropped[0], dropped[1])
    assert not torch.equal(dropped[0], dropped[2])
