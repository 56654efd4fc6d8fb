"""Equality of the NumPy and the torch forward pass, and properties of every tower."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from reelscore.errors import ConfigError
from reelscore.models.config import ModelConfig, TowerKind
from reelscore.models.towers.tower import Tower
from reelscore.models.trained.forward import TowerForward

KINDS: list[TowerKind] = ["mean", "attention", "transformer"]
CONFIGS = [
    ModelConfig(
        tower=kind, members=members, cca=cca, dim=6, width=8, num_heads=2, positions=positions, linear=linear
    )
    for kind, positions, linear, (members, cca) in itertools.product(
        KINDS, [False, True], [False, True], [(1, False), (2, True)]
    )
    if not (positions and kind == "mean")
] + [ModelConfig(pooling="mean+deviation", scaling="standard", dim=6, width=8)]


def name(config: ModelConfig) -> str:
    parts = [config.tower, "positions" * config.positions, "linear" * config.linear, "cca" * config.cca]
    return "-".join([*filter(None, parts), config.scaling])


def random_tower(config: ModelConfig, *, num_columns: int = 5, seed: int = 0) -> Tower:
    """Return a tower with random parameters and buffers."""
    torch.manual_seed(seed)
    tower = Tower(num_columns, config=config).eval()
    with torch.no_grad():
        for key, value in tower.state_dict().items():
            sample = torch.rand_like(value) + 0.5 if "scale" in key else torch.randn_like(value) * 0.5
            value.copy_(sample.sort(dim=1).values if key in ("knots", "scores") else sample)
        if config.cca:
            tower.cca_share.fill_(0.3)
    return tower


def batch(seed: int, *, lengths: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sequence = 2 * torch.randn(len(lengths), max(lengths), 5, generator=generator)
    return sequence, torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


@pytest.mark.parametrize("config", CONFIGS, ids=name)
@pytest.mark.parametrize("lengths", [(1,), (7,), (4, 1, 7)])
def test_numpy_and_torch_agree(config: ModelConfig, lengths: tuple[int, ...]) -> None:
    tower = random_tower(config)
    sequence, mask = batch(3, lengths=lengths)
    with torch.no_grad():
        expected = tower(sequence, mask).embedding.numpy()
    weights = {key: value.numpy() for key, value in tower.state_dict().items()}
    got = TowerForward(weights, config=config)(sequence.numpy(), mask.numpy())
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("config", CONFIGS, ids=name)
def test_padding_does_not_matter(config: ModelConfig) -> None:
    tower = random_tower(config)
    sequence, mask = batch(4, lengths=(3, 6))
    junk = sequence.masked_fill(~mask[:, :, None], 1e6)
    with torch.no_grad():
        alone = tower(sequence[:1, :3], mask[:1, :3])
        for padded in (tower(sequence, mask), tower(junk, mask)):
            torch.testing.assert_close(padded.embedding[:1], alone.embedding, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(padded.pooled[:1], alone.pooled, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("config", CONFIGS, ids=name)
def test_the_direction_of_time_matters_only_with_positions(config: ModelConfig) -> None:
    tower = random_tower(config)
    sequence, mask = batch(5, lengths=(6,))
    with torch.no_grad():
        forward, backward = (tower(s, mask).embedding for s in (sequence, sequence.flip(1)))
    assert torch.allclose(forward, backward, atol=1e-5) is not config.positions


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_learns(kind: TowerKind) -> None:
    config = ModelConfig(tower=kind, dim=6, width=8, num_heads=2, dropout=0.0, input_dropout=0.0)
    tower = random_tower(config).train()
    sequence, mask = batch(6, lengths=(4, 6))
    torch.stack(tower(sequence, mask).members)[..., 0].sum().backward()
    for key, parameter in tower.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().sum() > 0, key


@pytest.mark.parametrize("kind", KINDS)
def test_the_score_is_the_average_of_the_parts(kind: TowerKind) -> None:
    config = ModelConfig(tower=kind, members=3, dim=6, width=8, num_heads=2)
    one, two = random_tower(config, seed=1), random_tower(config, seed=2)
    sequence, mask = batch(7, lengths=(4, 6, 2))
    with torch.no_grad():
        v, m = one(sequence, mask), two(sequence, mask)
        cca = [
            torch.nn.functional.normalize(e.pooled @ tower.cca_weight.T + tower.cca_bias, dim=1)
            for tower, e in ((one, v), (two, m))
        ]
    score = 0.3 * cca[0] @ cca[1].T
    for a, b in zip(v.members, m.members, strict=True):
        score = score + 0.7 / 3 * a @ b.T
    torch.testing.assert_close(v.embedding @ m.embedding.T, score, atol=1e-5, rtol=1e-5)


def test_one_segment_has_no_deviation() -> None:
    config = ModelConfig(dim=6, width=8, num_segments=1)
    tower = random_tower(config)
    sequence, mask = batch(9, lengths=(1, 1))
    with torch.no_grad():
        encoded = tower(sequence, mask)
    assert encoded.pooled.shape == encoded.mean.shape == (2, 5)
    weights = {key: value.numpy() for key, value in tower.state_dict().items()}
    got = TowerForward(weights, config=config)(sequence.numpy(), mask.numpy())
    np.testing.assert_allclose(got, encoded.embedding.numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_silent_columns_are_silent_in_training_alone(kind: TowerKind) -> None:
    config = ModelConfig(tower=kind, members=1, cca=False, dim=6, width=8, num_heads=2, dropout=0.0)
    tower = random_tower(config)
    sequence, mask = batch(8, lengths=(4, 6))
    with torch.no_grad():
        still = [tower(sequence, mask).embedding for _ in range(2)]
        tower.train()
        moved = [tower(sequence, mask).embedding for _ in range(2)]
    assert torch.equal(*still)
    assert not torch.allclose(*moved)


@pytest.mark.parametrize(
    "values",
    [
        {"dim": 0},
        {"dropout": 1.0},
        {"input_dropout": -0.1},
        {"members": 0},
        {"tower": "attention", "width": 10, "num_heads": 4},
        {"tower": "rnn"},
        {"tower": "mean", "positions": True},
    ],
)
def test_impossible_forms_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        ModelConfig(**values)  # type: ignore[arg-type]
