"""Properties of both sequence encoders, with text and without, and equality with NumPy."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from reelscore.errors import ConfigError
from reelscore.features.scaling import CLIP, mean_and_scale
from reelscore.models.config import ModelConfig
from reelscore.models.towers.dual_encoder import DualEncoder
from reelscore.models.towers.tower import Tower
from reelscore.models.trained.forward import TowerForward
from support.random_towers import batch, random_tower, weights_of

ATTENTION = ModelConfig(dim=6, width=8, num_heads=2, dropout=0.0, input_dropout=0.0, text_dropout=0.0)
CONFIGS = [
    dataclasses.replace(ATTENTION, encoder=encoder, takes_text=takes_text)
    for encoder in ("attention", "transformer")
    for takes_text in (False, True)
]


def name(config: ModelConfig) -> str:
    return config.encoder + "-text" * config.takes_text


every = pytest.mark.parametrize("config", CONFIGS, ids=name)


def text_of(config: ModelConfig, lengths: tuple[int, ...]) -> tuple[torch.Tensor, ...]:
    return batch(4, lengths, 4) if config.takes_text else ()


@every
@pytest.mark.parametrize("lengths", [(1,), (7,), (4, 1, 7)])
def test_numpy_and_torch_agree(config: ModelConfig, lengths: tuple[int, ...]) -> None:
    tower, forward = random_tower(config), TowerForward(weights_of(random_tower(config)), config=config)
    sequence, mask = batch(3, lengths)
    text = text_of(config, (3,) * len(lengths))
    with torch.no_grad():
        expected = tower(sequence, mask, *text).numpy()
    got = forward(sequence.numpy(), mask.numpy(), chunks=text[0].numpy() if text else None)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-6)


@every
def test_numpy_and_torch_agree_on_a_video_without_text(config: ModelConfig) -> None:
    tower, forward = random_tower(config), TowerForward(weights_of(random_tower(config)), config=config)
    sequence, mask = batch(3, (4, 7))
    with torch.no_grad():
        expected = tower(sequence, mask).numpy()
    np.testing.assert_allclose(forward(sequence.numpy(), mask.numpy()), expected, atol=1e-5)
    assert (forward.num_columns, forward.text_columns) == (5, 4 * config.takes_text)


@every
def test_padding_does_not_change_an_embedding(config: ModelConfig) -> None:
    tower = random_tower(config)
    sequence, mask = batch(4, (3, 6))
    text = text_of(config, (1, 2))
    junk = sequence.masked_fill(~mask[:, :, None], 1e6)
    with torch.no_grad():
        alone = tower(sequence[:1, :3], mask[:1, :3], *(part[:1, :1] for part in text))
        for padded in (sequence, junk):
            torch.testing.assert_close(tower(padded, mask, *text)[:1], alone, atol=1e-5, rtol=1e-5)
    forward = TowerForward(weights_of(tower), config=config)
    got = forward(junk.numpy(), mask.numpy())[:1]
    np.testing.assert_allclose(got, forward(sequence[:1, :3].numpy(), mask[:1, :3].numpy()), atol=1e-5)


@every
def test_neither_the_order_nor_the_repetition_of_clips_matters(config: ModelConfig) -> None:
    tower = random_tower(config)
    sequence, mask = batch(5, (6,))
    with torch.no_grad():
        expected = tower(sequence, mask)
        for other in (sequence.flip(1), sequence.repeat(1, 3, 1)):
            got = tower(other, torch.ones(other.shape[:2], dtype=torch.bool))
            torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)


@every
def test_every_parameter_gets_a_gradient(config: ModelConfig) -> None:
    tower = random_tower(config).train()
    tower(*batch(6, (4, 6)), *text_of(config, (3, 2)))[:, 0].sum().backward()
    for key, parameter in tower.named_parameters():
        assert parameter.grad is not None, key
        if key != "encoder.attention.bias":  # softmax does not depend on it
            assert parameter.grad.abs().sum() > 0, key


@every
def test_dropout_acts_in_training_alone(config: ModelConfig) -> None:
    sequence, mask = batch(8, (4, 6))
    for dropout in ("dropout", "input_dropout"):
        tower = random_tower(dataclasses.replace(config, **{dropout: 0.5}))
        with torch.no_grad():
            still = [tower(sequence, mask) for _ in range(2)]
            tower.train()
            moved = [tower(sequence, mask) for _ in range(2)]
        assert torch.equal(*still)
        assert not torch.allclose(*moved), dropout


def test_input_dropout_removes_a_column_from_all_clips_of_an_item() -> None:
    tower = Tower(40, config=dataclasses.replace(ATTENTION, input_dropout=0.5)).train()
    seen: list[torch.Tensor] = []
    tower.encoder.hidden.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    torch.manual_seed(0)
    tower(torch.ones(30, 7, 40), torch.ones(30, 7, dtype=torch.bool))
    (x,) = seen
    assert torch.equal(x, x[:, :1].expand_as(x))
    assert set(x.unique().tolist()) == {0.0, 2.0}
    assert (x[:, 0] == 0).float().mean().item() == pytest.approx(0.5, abs=0.06)


def test_columns_are_standardised_and_clipped() -> None:
    rng = np.random.default_rng(0)
    sequences = [rng.normal(100, [1, 5, 0.1, 3, 2], size=(t, 5)).astype(np.float32) for t in (3, 8)]
    sequences = [np.where(np.arange(5) == 3, 3.0, rows).astype(np.float32) for rows in sequences]
    texts = [rng.normal(5, 2, size=(w, 4)).astype(np.float32) for w in (1, 3, 2)]
    tower = random_tower(dataclasses.replace(ATTENTION, takes_text=True))
    tower.standardise(sequences, texts)
    center, scale = mean_and_scale(sequences)
    np.testing.assert_allclose(tower.center, center, rtol=1e-6)
    np.testing.assert_allclose(tower.scale, scale, rtol=1e-6)
    assert tower.scale[3] == 1.0
    means = np.stack([chunks.mean(axis=0) for chunks in texts])
    np.testing.assert_allclose(tower.fusion.center, means.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(tower.fusion.scale, means.std(axis=0), rtol=1e-5)
    far = torch.from_numpy(sequences[0][None] + np.array([0, 1e6, 0, 0, 0], np.float32))
    clipped = torch.from_numpy(sequences[0][None].copy())
    clipped[..., 1] = tower.center[1] + CLIP * tower.scale[1]
    mask = torch.ones(1, 3, dtype=torch.bool)
    with torch.no_grad():
        torch.testing.assert_close(tower(far, mask), tower(clipped, mask), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("takes_text", [False, True])
def test_only_the_video_tower_takes_text(takes_text: bool) -> None:
    config = dataclasses.replace(ATTENTION, takes_text=takes_text)
    model = DualEncoder(5, 3, config=config, text_columns=4).eval()
    assert (model.video.fusion is not None) is takes_text
    assert model.music.fusion is None
    (sequence, mask), (music, music_mask) = batch(1, (4, 6)), batch(2, (2, 5), 3)
    with torch.no_grad():
        text = batch(3, (1, 2), 4)
        video_embedding, music_embedding = model(sequence, mask, music, music_mask, *text)
        torch.testing.assert_close(video_embedding, model.video(sequence, mask, *text))
        torch.testing.assert_close(music_embedding, model.music(music, music_mask))
    weights = model.weights()
    assert {key: value.shape for key, value in weights.items()} == {
        key: tuple(value.shape) for key, value in model.state_dict().items()
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dim": 0}, "dim must be at least 1, got 0"),
        ({"num_segments": 0}, "num_segments must be at least 1"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\), got 1.0"),
        ({"input_dropout": -0.1}, "input_dropout must lie in"),
        ({"text_dropout": 1.0}, "text_dropout must lie in"),
        ({"width": 10, "num_heads": 4}, "multiple of num_heads, got 10 and 4"),
        ({"encoder": "rnn"}, "'attention' or 'transformer', got 'rnn'"),
    ],
)
def test_impossible_configurations_are_rejected(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ModelConfig(**values)  # type: ignore[arg-type]
