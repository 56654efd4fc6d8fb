"""Read and write a model's folder, and embed with the model without torch."""

from __future__ import annotations

import dataclasses
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reelscore import files
from reelscore.errors import ArtifactError, NotFoundError
from reelscore.features.sampling import global_sparse
from reelscore.models.config import ModelConfig
from reelscore.models.towers.dual_encoder import DualEncoder
from reelscore.models.trained.embedder import TrainedEmbedder, load_embedder
from reelscore.models.trained.folder import ModelCard, read_model, save_model
from reelscore.types import FeatureSequence

CARD = ModelCard(
    config=ModelConfig(tower="attention", members=2, dim=8, width=8, num_heads=2, num_segments=4),
    video_encoder="eyes-1",
    music_encoder="ears-1",
    video_columns=5,
    music_columns=3,
    training={"seed": 7},
    validation={"recall@10": 0.5},
)


def network(seed: int, config: ModelConfig = CARD.config) -> DualEncoder:
    torch.manual_seed(seed)
    model = DualEncoder(5, 3, config=config).eval()
    for tower in (model.video, model.music):
        tower.cca_weight.normal_()
        tower.cca_share.fill_(0.3)
    return model


def sequence(encoder: str, num_columns: int, *, num_rows: int = 4, seed: int = 0) -> FeatureSequence:
    values = np.random.default_rng(seed).normal(size=(num_rows, num_columns)).astype(np.float32)
    return FeatureSequence(values, global_sparse(8.0, num_segments=num_rows), encoder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folder_of(tmp_path)


def folder_of(tmp_path: Path, **changes: Any) -> Path:
    """Save a random model of `CARD` with a changed configuration, and return its folder."""
    card = dataclasses.replace(CARD, config=dataclasses.replace(CARD.config, **changes))
    save_model(tmp_path / "model", weights=network(0, card.config).weights(), card=card)
    return tmp_path / "model"


def test_what_was_saved_is_what_is_read(folder: Path) -> None:
    card, weights = read_model(folder)
    assert dataclasses.replace(card, weights_sha256="") == CARD
    for name, value in network(0).weights().items():
        np.testing.assert_array_equal(weights[name], value)


def test_a_card_remembers_its_words_outside_the_space_and_may_lack_them(folder: Path) -> None:
    card, weights = read_model(folder)
    saved = save_model(folder, weights=weights, card=dataclasses.replace(card, words={"encoder": "pack"}))
    assert read_model(folder)[0].words == {"encoder": "pack"}
    assert saved.fingerprint == card.fingerprint
    values = json.loads((folder / "model.json").read_text())
    del values["words"]
    (folder / "model.json").write_text(json.dumps(values))
    assert read_model(folder)[0].words == {}


def test_the_embedder_gives_what_the_network_gives(folder: Path) -> None:
    embedder = load_embedder(folder)
    video, music = sequence("eyes-1", 5), sequence("ears-1", 3, num_rows=1)
    with torch.no_grad():
        v, m = network(0)(
            *(torch.from_numpy(x.copy()) for x in (video.values[None], np.ones((1, 4), bool))),
            *(torch.from_numpy(x.copy()) for x in (music.values[None], np.ones((1, 1), bool))),
        )
    np.testing.assert_allclose(embedder.embed_video(video), v.embedding[0].numpy(), atol=1e-5)
    np.testing.assert_allclose(embedder.embed_music(music), m.embedding[0].numpy(), atol=1e-5)
    assert (embedder.dim, embedder.num_segments, embedder.trained, embedder.name) == (24, 4, True, "model")


@pytest.mark.parametrize("num_rows", [1, 2, 5])
def test_a_moment_is_its_row_with_its_two_neighbours(tmp_path: Path, num_rows: int) -> None:
    embedder = load_embedder(folder_of(tmp_path, pooling="mean+deviation"))
    track = sequence("ears-1", 3, num_rows=num_rows)
    moments = embedder.embed_moments(track)
    assert moments.shape == (num_rows, 24)
    for row in range(num_rows):
        near = slice(max(0, row - 1), row + 2)
        excerpt = FeatureSequence(track.values[near], track.segments[near], "ears-1")
        np.testing.assert_allclose(moments[row], embedder.embed_music(excerpt), atol=1e-5)


def test_what_three_rows_cannot_tell_a_moment_has_from_the_track(tmp_path: Path) -> None:
    embedder = load_embedder(folder_of(tmp_path, tower="mean"))
    track = sequence("ears-1", 3, num_rows=40)
    other = track.values.copy()
    other[30:] = other[30:][::-1]
    moments, changed = (
        embedder.embed_moments(FeatureSequence(values, track.segments, "ears-1"))
        for values in (track.values, other)
    )
    assert (
        moments[:20] != changed[:20]
    ).any()  # the roughness and the correlations are those of the whole track
    steady = FeatureSequence(np.tile(track.values[:1], (40, 1)), track.segments, "ears-1")
    np.testing.assert_allclose(
        embedder.embed_moments(steady), np.tile(embedder.embed_music(steady), (40, 1)), atol=1e-5
    )


def test_the_fingerprint_follows_weights_form_and_encoders(folder: Path, tmp_path: Path) -> None:
    first = load_embedder(folder).fingerprint
    again = save_model(tmp_path / "again", weights=network(0).weights(), card=CARD)
    assert again.fingerprint == first
    others = [
        save_model(tmp_path / "a", weights=network(1).weights(), card=CARD),
        save_model(
            tmp_path / "b",
            weights=network(0).weights(),
            card=dataclasses.replace(CARD, music_encoder="ears-2"),
        ),
        save_model(
            tmp_path / "c",
            weights=network(0).weights(),
            card=dataclasses.replace(CARD, config=dataclasses.replace(CARD.config, num_segments=9)),
        ),
    ]
    assert len({first, *(card.fingerprint for card in others)}) == 4


def test_features_of_another_encoder_are_refused(folder: Path) -> None:
    embedder = load_embedder(folder)
    for embed, given in (
        (embedder.embed_video, sequence("ears-1", 3)),
        (embedder.embed_music, sequence("ears-2", 3)),
        (embedder.embed_moments, sequence("eyes-1", 5)),
        (embedder.embed_music, sequence("ears-1", 4)),
    ):
        with pytest.raises(ArtifactError, match=r"model .* reads"):
            embed(given)


def test_any_flipped_bit_of_the_weights_is_noticed(folder: Path) -> None:
    (path,) = folder.glob("*.safetensors")
    content = path.read_bytes()
    for position in np.linspace(0, len(content) - 1, 12).astype(int):
        damaged = bytearray(content)
        damaged[position] ^= 4
        path.write_bytes(damaged)
        with pytest.raises(ArtifactError, match="damaged"):
            load_embedder(folder)
    path.write_bytes(content[:-9])
    with pytest.raises(ArtifactError, match="damaged"):
        load_embedder(folder)
    path.unlink()
    with pytest.raises(ArtifactError, match="copy the model's whole folder"):
        load_embedder(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format_version": 99}, "format 6, got 99"),
        ({"video_encoder": "other-1"}, "does not agree with its fingerprint"),
        ({"colour": "blue"}, "unknown key 'colour'"),
        ({"video_columns": "many"}, "video_columns must be int"),
    ],
)
def test_a_description_that_was_changed_is_refused(
    folder: Path, change: dict[str, object], words: str
) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ArtifactError, match=words):
        load_embedder(folder)


@pytest.mark.parametrize("older", [{"arc": True}, {"fusion": "tokens"}, {"fusion": "cross-attention"}])
def test_a_model_of_an_older_format_must_be_trained_again(folder: Path, older: dict[str, object]) -> None:
    path = folder / "model.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | {"format_version": 5, "config": values["config"] | older}))
    with pytest.raises(ArtifactError, match=r"format 6, got 5; train it again"):
        load_embedder(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", "\x00"])
def test_a_description_that_is_none_is_refused(folder: Path, text: str) -> None:
    (folder / "model.json").write_text(text)
    with pytest.raises(ArtifactError, match="damaged"):
        load_embedder(folder)


def test_weights_that_do_not_fit_their_description_are_refused(folder: Path) -> None:
    card, weights = read_model(folder)
    for name, wrong in (
        ("video.members.1.body.out.weight", None),
        ("music.members.0.linear.bias", np.zeros(5, np.float32)),
    ):
        changed = {key: value for key, value in weights.items() if key != name}
        if wrong is not None:
            changed[name] = wrong
        with pytest.raises(ArtifactError, match="do not match"):
            TrainedEmbedder("model", card=card, weights=changed)


def test_no_model_is_not_found(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(NotFoundError, match="reelscore train"):
            load_embedder(path)


def test_a_save_cut_off_at_any_step_leaves_the_old_model_or_the_new(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = load_embedder(folder).fingerprint
    fingerprints = set()
    for survive in itertools.count():
        calls = itertools.count()

        def dying(
            path: Path, content: bytes, last: int = survive, calls: itertools.count[int] = calls
        ) -> None:
            if next(calls) == last:
                raise KeyboardInterrupt
            files.write_bytes(path, content)

        monkeypatch.setattr("reelscore.models.trained.folder.write_bytes", dying)
        try:
            save_model(folder, weights=network(1).weights(), card=CARD)
        except KeyboardInterrupt:
            fingerprints.add(load_embedder(folder).fingerprint)
            continue
        break
    assert fingerprints == {old}
    assert load_embedder(folder).fingerprint != old
    assert len(list(folder.iterdir())) == 2


def test_loading_and_embedding_import_no_torch(folder: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from reelscore.models.trained.embedder import load_embedder\n"
        "from reelscore.types import FeatureSequence\n"
        "from reelscore.features.sampling import global_sparse\n"
        f"e = load_embedder({str(folder)!r})\n"
        "s = FeatureSequence(np.ones((2, 3), np.float32), global_sparse(1.0, num_segments=2), 'ears-1')\n"
        "e.embed_music(s), e.embed_moments(s)\n"
        "print(sorted({'torch', 'lancedb', 'av', 'scipy', 'onnxruntime'} & set(sys.modules)))"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[]"
