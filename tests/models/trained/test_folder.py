"""Read and write a model's folder: round trip, fingerprint, damage and interrupted saves."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from reelscore import files
from reelscore.errors import ArtifactError, NotFoundError
from reelscore.models.trained.embedder import load_embedder
from reelscore.models.trained.folder import read_bank, read_card, read_model, save_model
from support.small_models import METHODS, Method, small_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    card, weights = small_model("ii")
    save_model(tmp_path / "model", weights=weights, card=card)
    return tmp_path / "model"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("with_text", [False, True])
def test_a_model_that_was_saved_is_read(tmp_path: Path, method: Method, with_text: bool) -> None:
    card, weights = small_model(method, with_text=with_text)
    saved = save_model(tmp_path, weights=weights, card=card)
    read, arrays = read_model(tmp_path)
    assert read == saved == read_card(tmp_path)
    assert dataclasses.replace(read, weights_sha256="") == card
    assert set(arrays) == set(weights)
    for name, value in weights.items():
        np.testing.assert_array_equal(arrays[name], value)
    assert load_embedder(tmp_path).fingerprint == read.fingerprint


def test_the_description_of_words_is_kept_outside_the_space_and_may_be_absent(folder: Path) -> None:
    card, weights = read_model(folder)
    saved = save_model(folder, weights=weights, card=dataclasses.replace(card, words={"encoder": "pack"}))
    assert read_model(folder)[0].words == {"encoder": "pack"}
    assert saved.fingerprint == card.fingerprint
    values = json.loads((folder / "model.json").read_text())
    del values["words"], values["checksum"]  # an older model has neither
    (folder / "model.json").write_text(json.dumps(values))
    assert read_model(folder)[0].words == {}


def test_the_fingerprint_depends_on_weights_architecture_and_encoders(folder: Path, tmp_path: Path) -> None:
    first = load_embedder(folder).fingerprint
    card, weights = small_model("ii")
    config = card.config
    assert config is not None
    assert save_model(tmp_path / "again", weights=weights, card=card).fingerprint == first
    others = [
        save_model(tmp_path / str(number), weights=weights, card=dataclasses.replace(card, **change))
        for number, change in enumerate(
            (
                {"music_encoder": "ears-2"},
                {"num_segments": 9},
                {"config": dataclasses.replace(config, num_heads=4)},
            )
        )
    ]
    others.append(save_model(tmp_path / "other", weights=small_model("ii", seed=1)[1], card=card))
    assert len({first, *(card.fingerprint for card in others)}) == 5


def test_the_bank_is_stored_with_its_weights(folder: Path) -> None:
    card, weights = small_model("ii")
    assert read_bank(folder, read_card(folder)) is None
    bank = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    saved = save_model(folder, weights=weights, card=card, bank=bank)
    np.testing.assert_array_equal(read_bank(folder, saved), bank)
    np.testing.assert_array_equal(load_embedder(folder).bank, bank)
    for wrong in (bank[:, :7], np.full_like(bank, np.nan)):
        save_model(folder, weights=weights, card=card, bank=wrong)
        with pytest.raises(ArtifactError, match="damaged"):
            read_bank(folder, saved)
    (path,) = folder.glob("bank-*")
    path.write_bytes(b"nothing")
    with pytest.raises(ArtifactError, match="damaged"):
        read_bank(folder, saved)


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
        ({"video_encoder": "other-1"}, "does not agree with its fingerprint"),
        ({"colour": "blue"}, "unknown key 'colour'"),
        ({"video_columns": "many"}, "video_columns must be int"),
        ({"method": "linear"}, "method must be"),
    ],
)
def test_a_changed_description_is_rejected(folder: Path, change: dict[str, object], words: str) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ArtifactError, match=words):
        load_embedder(folder)


@pytest.mark.parametrize("version", [6, 5, 99, None])
def test_a_model_of_another_format_says_how_to_train_it_again(folder: Path, version: object) -> None:
    path = folder / "model.json"
    values = json.loads(path.read_text())
    config = values["config"] | {"members": 4, "cca": True}
    path.write_text(json.dumps(values | {"format_version": version, "config": config}))
    with pytest.raises(ArtifactError) as error:
        load_embedder(folder)
    assert f"has format {version}, but this version reads format 7" in str(error.value)
    assert f"Train it again: reelscore train PAIRS --model {folder} --overwrite" in str(error.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "\x00"])
def test_a_file_that_is_no_description_is_rejected(folder: Path, text: str) -> None:
    (folder / "model.json").write_text(text)
    with pytest.raises(ArtifactError, match="damaged"):
        load_embedder(folder)


def test_a_folder_without_a_model_is_not_found(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(NotFoundError, match="reelscore train"):
            load_embedder(path)


def test_an_interrupted_save_leaves_the_old_model_or_the_new_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card, weights = small_model("ii", seed=1)
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
            save_model(folder, weights=weights, card=card)
        except KeyboardInterrupt:
            fingerprints.add(load_embedder(folder).fingerprint)
            continue
        break
    assert fingerprints == {old}
    assert load_embedder(folder).fingerprint != old
    assert len(list(folder.iterdir())) == 2


def test_no_changed_byte_of_a_model_is_ever_believed(folder: Path) -> None:
    card, weights = read_model(folder)
    bank = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    save_model(folder, weights=weights, card=card, bank=bank)

    def content() -> str:
        read, tensors = read_model(folder)
        return repr((read, sorted((k, v.tobytes()) for k, v in tensors.items()), read_bank(folder, read)))

    expected = content()
    rng = np.random.default_rng(0)
    num_errors = 0
    for file in sorted(folder.iterdir()):
        kept = file.read_bytes()
        for position in {0, len(kept) - 1, *rng.integers(0, len(kept), 150).tolist()}:
            changed = bytearray(kept)
            changed[position] ^= 1 << int(rng.integers(8))
            file.write_bytes(changed)
            try:
                # A changed space of the JSON, or of the padding of a header, changes nothing.
                assert content() == expected, (file.name, position)
            except ArtifactError:
                num_errors += 1
        file.write_bytes(kept)
    assert num_errors > 300
