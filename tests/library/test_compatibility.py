"""A library and a model belong together: another model is refused with the command that mends it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from reelscore import ArtifactError, ConfigError, Library, Matcher
from reelscore.data.pairs import PairSet
from reelscore.encoders.factory import load_encoders
from reelscore.encoders.spec import EncoderSpec
from reelscore.training import TrainConfig, train


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model over the light encoders that has learned next to nothing."""
    encoders = load_encoders(EncoderSpec("light"))
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("models") / "small.model"

    def draws(dim):
        return tuple((rng.standard_normal((4, dim)).astype(np.float32),) for _ in range(12))

    pairs = PairSet(
        name="random",
        keys=tuple("abcdefghijkl"),
        video=draws(encoders.video.dim),
        music=draws(encoders.music.dim),
        group=np.arange(12),
        split=("train",) * 8 + ("val",) * 4,
        video_encoder=encoders.video.fingerprint,
        music_encoder=encoders.music.fingerprint,
        num_segments=4,
    )
    train(pairs, config=TrainConfig(epochs=1, steps=0), folder=folder)
    return folder


def test_another_model_is_refused_until_the_library_is_rebuilt(tmp_path, model, music_folder, video_file):
    library = Library.open(tmp_path / "lib", cache=tmp_path / "cache")
    library.add(music_folder)
    with pytest.raises(ArtifactError, match=rf"reelscore rebuild --library {library.path} --model {model}"):
        Matcher(library, model)
    with pytest.raises(ArtifactError, match="reelscore rebuild"):
        Library.open(library.path, model=model)
    library.rebuild(model=model)
    report = Matcher(library.path, model).report(video_file, k=3)
    assert report.model["trained"] is True
    assert report.model["name"] == "small.model"
    assert len(report.matches) == 3
    assert Matcher(library).match(video_file, k=3) == list(report.matches)


def test_a_model_that_is_damaged_or_gone_is_said(tmp_path, model, music_folder):
    library = Library.open(tmp_path / "lib", model=model, cache=tmp_path / "cache")
    library.add(music_folder / "song 0.wav")
    weights = next(model.glob("weights-*.safetensors"))
    content = weights.read_bytes()
    try:
        weights.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
        with pytest.raises(ArtifactError, match=r"small\.model"):
            Matcher(library.path)
    finally:
        weights.write_bytes(content)
    assert Matcher(library.path) is not None


def test_a_model_without_text_rejects_words_and_names_the_ways_to_ask(tmp_path, model, music_folder):
    library = Library.open(tmp_path / "lib", model=model, cache=tmp_path / "cache")
    library.add(music_folder / "song 0.wav")
    with pytest.raises(
        ConfigError, match=r"reads no words here; train one with --words, or .*--encoder words"
    ):
        Matcher(library).match(text="calm")


def test_the_blend_of_an_older_version_is_ignored_in_a_model_and_rejected_in_a_library(
    tmp_path, model, music_folder, video_file
):
    """Such a model's folder has further files; its library has two further keys and a fingerprint of its own."""
    library = Library.open(tmp_path / "lib", model=model, cache=tmp_path / "cache")
    library.add(music_folder)
    expected = Matcher(library).report(video_file, k=3)
    (model / "blend.json").write_text('{"weight": 0.4}')
    file = library.path / "library.json"
    document = json.loads(file.read_text())
    built = document["meta"]
    file.write_text(json.dumps(document | {"meta": built | {"blend": None}}))
    try:
        assert Matcher(library.path, model).report(video_file, k=3) == expected
        blended = {
            "blend": str(tmp_path / "pack"),
            "trained_fingerprint": built["model_fingerprint"],
            "model_fingerprint": "blend-0123456789abcdef",
        }
        file.write_text(json.dumps(document | {"meta": built | blended}))
        message = rf"built with a blend.*reelscore rebuild --library {library.path} --model {model}$"
        for use in (
            lambda: Matcher(library.path),
            lambda: Matcher(library.path, model),
            lambda: Library.open(library.path, cache=tmp_path / "cache").add(music_folder),
        ):
            with pytest.raises(ArtifactError, match=message):
                use()
        assert len(Library.open(library.path).tracks()) == 6
        Library.open(library.path, cache=tmp_path / "cache").rebuild(model=model, workers=1)
        assert Matcher(library.path).report(video_file, k=3) == expected
    finally:
        (model / "blend.json").unlink()
