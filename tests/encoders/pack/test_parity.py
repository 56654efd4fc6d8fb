"""Outputs of a real pack against recorded reference outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reelscore.encoders.pack.pack import Pack, load_pack
from reelscore.features.sampling import global_sparse
from reelscore.types import FloatArray


@pytest.fixture(scope="module")
def pack(shared: Path) -> Pack:
    return load_pack(shared / "models")


@pytest.fixture(scope="module")
def recorded(shared: Path) -> dict[str, np.ndarray]:
    with np.load(shared / "models" / "parity.npz") as file:
        return dict(file)


def _assert_same_directions(actual: FloatArray, expected: FloatArray) -> None:
    assert actual.shape == expected.shape
    norms = np.linalg.norm(actual, axis=1) * np.linalg.norm(expected, axis=1)
    assert ((actual * expected).sum(axis=1) / norms).min() >= 0.9999


def test_pictures(pack: Pack, recorded: dict[str, np.ndarray]) -> None:
    model = pack.video_encoder().model
    outputs = model.outputs(recorded["image"])
    _assert_same_directions(outputs["emb"][np.newaxis], recorded["visual_emb"])
    _assert_same_directions(outputs["probs"][np.newaxis], recorded["visual_probs"])
    labels = model.labels("probs")
    assert (len(labels), labels[0], labels[1]) == (1001, "background", "tench, Tinca tinca")


def test_music(pack: Pack, recorded: dict[str, np.ndarray]) -> None:
    model = pack.music_encoder().model
    outputs = model.outputs(recorded["audio_32k"])
    for name in ("emb", "hidden", "probs"):
        _assert_same_directions(outputs[name], recorded[f"music_{name}"])
    labels = model.labels("probs")
    assert (len(labels), labels[0]) == (527, "Speech")


def test_tags(pack: Pack, recorded: dict[str, np.ndarray]) -> None:
    outputs = pack.tagger().outputs(recorded["audio_16k"])
    _assert_same_directions(outputs["tags"], recorded["tagger_tags"])
    _assert_same_directions(outputs["emb200"], recorded["tagger_emb"])
    assert len(pack.tagger().labels("tags")) == 50


def test_texts(pack: Pack, recorded: dict[str, np.ndarray]) -> None:
    rows = pack.text_encoder().encode([str(text) for text in recorded["texts"]])
    _assert_same_directions(rows, recorded["text_emb"])


def test_a_text_is_encoded_alike_alone_and_among_others(pack: Pack) -> None:
    """Rows are bit-identical in and outside a batch, although batched kernels round differently."""
    encoder = pack.text_encoder()
    sentence = "calm sea old piano storm night dances on a river of light without drums"
    words = sentence.split()
    texts = [" ".join((words[i:] + words)[: 1 + i % 9]) for i in range(40)]
    together = encoder.encode(texts)
    for i, text in enumerate(texts):
        assert encoder.encode([text]).tobytes() == together[i : i + 1].tobytes()
    assert encoder.encode(texts[::-1]).tobytes() == together[::-1].tobytes()


def test_rows_of_real_files_depend_on_their_instants_alone(pack: Pack, shared: Path) -> None:
    song = sorted((shared / "media" / "music").glob("*.mp3"))[0]
    few = pack.music_encoder().encode(song, global_sparse(27.0, num_segments=3))
    many = pack.music_encoder().encode(song, global_sparse(27.0, num_segments=9))
    assert few.values.tobytes() == many.values[1::3].tobytes()
    film = sorted((shared / "media" / "videos").glob("*.mp4"))[0]
    encoder = pack.video_encoder("exact")
    few = encoder.encode(film, global_sparse(2.0, num_segments=2))
    many = encoder.encode(film, global_sparse(2.0, num_segments=6))
    assert few.values.tobytes() == many.values[1::3].tobytes()
