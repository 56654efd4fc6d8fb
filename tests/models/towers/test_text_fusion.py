"""Towers with text: equality of NumPy and torch, and videos without text."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from reelscore.errors import ArtifactError, ConfigError
from reelscore.features.sampling import global_sparse
from reelscore.models.affect.model import AffectModel
from reelscore.models.config import ModelConfig, TowerKind
from reelscore.models.towers.dual_encoder import DualEncoder
from reelscore.models.towers.text_fusion import Text
from reelscore.models.towers.tower import Tower
from reelscore.models.trained.embedder import TrainedEmbedder, load_embedder
from reelscore.models.trained.folder import ModelCard, save_model
from reelscore.models.trained.forward import TowerForward
from reelscore.types import FeatureSequence

KINDS: list[TowerKind] = ["mean", "attention", "transformer"]
CONFIGS = [
    ModelConfig(
        tower=kind, members=members, cca=cca, dim=6, width=8, num_heads=2, takes_text=True, linear=linear
    )
    for kind, linear, (members, cca) in itertools.product(KINDS, [False, True], [(1, False), (2, True)])
]
SOME_CONFIGS = [one for one in CONFIGS if one.linear and one.cca]


def name(config: ModelConfig) -> str:
    return "-".join([config.tower, *["linear"] * config.linear, *["cca"] * config.cca])


def random_tower(config: ModelConfig, *, seed: int = 0, text_columns: int = 4) -> Tower:
    """Return a tower for 5 feature columns, with random parameters and buffers."""
    torch.manual_seed(seed)
    tower = Tower(5, config=config, text_columns=text_columns).eval()
    with torch.no_grad():
        for key, value in tower.state_dict().items():
            sample = torch.rand_like(value) + 0.5 if "scale" in key else torch.randn_like(value) * 0.5
            rising = key.rpartition(".")[2] in ("knots", "scores")
            value.copy_(sample.sort(dim=1).values if rising else sample)
        if config.cca:
            tower.cca_share.fill_(0.3)
    return tower


def weights_of(tower: Tower) -> dict[str, np.ndarray]:
    return {key: value.numpy() for key, value in tower.state_dict().items()}


def batch(seed: int, lengths: tuple[int, ...], num_columns: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sequence = 2 * torch.randn(len(lengths), max(lengths), num_columns, generator=generator)
    return sequence, torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


@pytest.mark.parametrize("config", CONFIGS, ids=name)
@pytest.mark.parametrize("num_chunks", [None, 1, 3])
def test_numpy_and_torch_agree(config: ModelConfig, num_chunks: int | None) -> None:
    tower = random_tower(config)
    sequence, mask = batch(3, (4, 1, 7), 5)
    text, text_mask = (None, None) if num_chunks is None else batch(4, (num_chunks,) * 3, 4)
    with torch.no_grad():
        expected = tower(sequence, mask, text, text_mask).embedding.numpy()
    forward = TowerForward(weights_of(tower), config=config)
    got = forward(sequence.numpy(), mask.numpy(), chunks=None if text is None else text.numpy())
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("config", CONFIGS, ids=name)
def test_music_matches_videos_with_text_and_without(config: ModelConfig) -> None:
    tower = random_tower(config, text_columns=0)
    sequence, mask = batch(3, (4, 1, 7), 5)
    with torch.no_grad():
        embedding = tower(sequence, mask).embedding
    got = TowerForward(weights_of(tower), config=config)(sequence.numpy(), mask.numpy())
    np.testing.assert_allclose(got, embedding.numpy(), atol=1e-5)
    halves = embedding.chunk(2, dim=1)
    for half in halves:
        torch.testing.assert_close(half.norm(dim=1), torch.full((3,), 0.5**0.5))
    assert not torch.allclose(*halves, atol=1e-2)


@pytest.mark.parametrize("config", SOME_CONFIGS, ids=name)
def test_without_text_an_embedding_is_that_of_a_model_without_text(config: ModelConfig) -> None:
    tower = random_tower(config)
    sequence, mask = batch(5, (4, 6), 5)
    text, text_mask = batch(6, (0, 3), 4)
    plain = Tower(5, config=dataclasses.replace(config, takes_text=False)).eval()
    plain.load_state_dict({key: tower.state_dict()[key] for key in plain.state_dict()})
    with torch.no_grad():
        expected = plain(sequence, mask).embedding
        alone = tower(sequence, mask).embedding
        mixed = tower(sequence, mask, text, text_mask)
        junk = tower(sequence, mask, text.masked_fill(~text_mask[:, :, None], 1e6), text_mask)
    size = expected.shape[1]
    assert torch.equal(alone[:, :size], expected)
    assert not alone[:, size:].any()
    torch.testing.assert_close(mixed.embedding[0], alone[0], atol=1e-6, rtol=1e-5)
    assert not mixed.embedding[1, :size].any()
    torch.testing.assert_close(junk.embedding, mixed.embedding, atol=1e-6, rtol=1e-5)
    assert mixed.text.shape == (2, 4)
    assert not mixed.text[0].any()


@pytest.mark.parametrize("config", SOME_CONFIGS, ids=name)
def test_the_order_of_chunks_does_not_matter(config: ModelConfig) -> None:
    tower = random_tower(config)
    (sequence, mask), (text, text_mask) = batch(7, (4, 6), 5), batch(8, (3, 3), 4)
    with torch.no_grad():
        forward = tower(sequence, mask, text, text_mask).embedding
        backward = tower(sequence, mask, text.flip(1), text_mask).embedding
    torch.testing.assert_close(forward, backward, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("config", SOME_CONFIGS, ids=name)
def test_every_parameter_learns_from_text(config: ModelConfig) -> None:
    tower = random_tower(
        dataclasses.replace(config, dropout=0.0, input_dropout=0.0, text_dropout=0.0)
    ).train()
    (sequence, mask), (text, text_mask) = batch(9, (4, 6), 5), batch(10, (3, 2), 4)
    torch.stack(tower(sequence, mask, text, text_mask).members)[..., 0].sum().backward()
    for key, parameter in tower.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().sum() > 0, key


def test_text_is_silenced_in_training_alone_by_its_share_and_by_the_seed() -> None:
    config = ModelConfig(dim=6, width=8, num_heads=2, takes_text=True, text_dropout=0.25, input_dropout=0.0)
    member = random_tower(config).members[1].fusion
    text = Text(torch.ones(4000, dtype=torch.bool), torch.ones(4000, 4))
    assert member.drop(text) is text
    member.train()
    torch.manual_seed(3)
    kept = member.drop(text)
    torch.manual_seed(3)
    again = member.drop(text)
    assert kept.there.float().mean().item() == pytest.approx(0.75, abs=0.03)
    assert torch.equal(kept.there, again.there)
    assert not torch.equal(kept.there, member.drop(text).there)


def test_forms_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.text_dropout"):
        ModelConfig(text_dropout=1.0)
    with pytest.raises(ConfigError, match="multiple of num_heads"):
        ModelConfig(tower="attention", width=10, num_heads=4, takes_text=True)
    assert ModelConfig(takes_text=True, width=10, num_heads=4).takes_text


CARD = ModelCard(
    config=ModelConfig(members=2, dim=8, width=8, num_heads=2, num_segments=4, takes_text=True),
    video_encoder="eyes-1",
    music_encoder="ears-1",
    video_columns=5,
    music_columns=3,
    text_encoder="words-1",
    text_columns=4,
)


def network(card: ModelCard = CARD) -> DualEncoder:
    torch.manual_seed(0)
    model = DualEncoder(5, 3, config=card.config, text_columns=card.text_columns).eval()
    for tower in (model.video, model.music):
        tower.cca_weight.normal_()
        tower.told_weight.normal_()
        tower.cca_share.fill_(0.3)
    return model


def video() -> FeatureSequence:
    values = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    return FeatureSequence(values, global_sparse(8.0, num_segments=4), "eyes-1")


@pytest.fixture
def embedder(tmp_path: Path) -> TrainedEmbedder:
    save_model(tmp_path / "model", weights=network().weights(), card=CARD)
    return load_embedder(tmp_path / "model")


def test_the_embedder_gives_what_the_network_gives(embedder: TrainedEmbedder) -> None:
    text = np.random.default_rng(1).normal(size=(2, 4)).astype(np.float32)
    given = (torch.from_numpy(x.copy()) for x in (video().values[None], np.ones((1, 4), bool)))
    chunks = (torch.from_numpy(x.copy()) for x in (text[None], np.ones((1, 2), bool)))
    with torch.no_grad():
        expected = network().video(*given, *chunks).embedding[0].numpy()
    assert embedder.text_encoder == "words-1"
    np.testing.assert_allclose(embedder.embed_video(video(), text), expected, atol=1e-5)
    assert not np.allclose(embedder.embed_video(video()), expected, atol=1e-2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (np.ones((2, 3), np.float32), r"shape \(W, 4\) with W >= 1 from words-1, got float32 \(2, 3\)"),
        (np.ones(4, np.float32), r"got float32 \(4,\)"),
        (np.ones((0, 4), np.float32), r"got float32 \(0, 4\)"),
        (np.full((1, 4), np.nan, np.float32), "takes finite rows of text"),
        (np.array([["calm"] * 4]), "takes text as numbers"),
    ],
)
def test_text_of_another_form_is_refused(embedder: TrainedEmbedder, text: np.ndarray, words: str) -> None:
    with pytest.raises(ArtifactError, match=words):
        embedder.embed_video(video(), text)


def test_models_without_text_take_none(tmp_path: Path) -> None:
    card = dataclasses.replace(
        CARD, config=dataclasses.replace(CARD.config, takes_text=False), text_encoder=None, text_columns=0
    )
    save_model(tmp_path / "model", weights=plain_network().weights(), card=card)
    plain = load_embedder(tmp_path / "model")
    assert plain.text_encoder is None
    with pytest.raises(ArtifactError, match="takes no text of a video"):
        plain.embed_video(video(), np.ones((1, 4), np.float32))
    rules = AffectModel(video_encoder="eyes-1", music_encoder="ears-1")
    with pytest.raises(ArtifactError, match="takes no text of a video"):
        rules.embed_video(video(), np.ones((1, 4), np.float32))


def plain_network() -> DualEncoder:
    torch.manual_seed(0)
    return DualEncoder(5, 3, config=dataclasses.replace(CARD.config, takes_text=False), text_columns=4)


def test_weights_that_do_not_fit_their_description_are_refused(tmp_path: Path) -> None:
    weights = network().weights()
    without = {key: value for key, value in weights.items() if "told" not in key}
    for wrong in (
        without,
        plain_network().weights(),
        {**weights, "video.text.knots": weights["video.text.knots"][:3]},
    ):
        with pytest.raises(ArtifactError, match="do not match"):
            TrainedEmbedder("model", card=CARD, weights=wrong)
    with pytest.raises(ArtifactError, match="do not match"):
        TrainedEmbedder("model", card=dataclasses.replace(CARD, text_columns=0), weights=weights)


@pytest.mark.parametrize("config", SOME_CONFIGS, ids=name)
def test_text_alone_is_embedded_like_an_average_video_with_it(config: ModelConfig) -> None:
    """The reference is torch, with every pooled column at score 0 and every column at its mean."""
    tower = random_tower(config)
    chunks, mask = batch(4, (3, 3), 4)
    shown = torch.zeros(2, 1, 5)
    with torch.no_grad():
        z = torch.zeros(2, len(tower.knots))
        expected = tower.embed(z, shown, torch.ones(2, 1, dtype=torch.bool), text=tower.read(chunks, mask))
    got = TowerForward(weights_of(tower), config=config).embed_text(chunks.numpy())
    np.testing.assert_allclose(got, expected.embedding.numpy(), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-5)
    assert not got[:, : config.embedding_dim // 2].any()
