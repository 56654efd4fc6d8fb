"""Compatibility of libraries with models, and the commands that the errors name."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from reelscore import ArtifactError, ConfigError, Library, Matcher
from reelscore.library import compatibility


@pytest.fixture(scope="module")
def model(tmp_path_factory, light_model):
    """A copy of the model, which tests may damage and then repair."""
    return shutil.copytree(light_model, tmp_path_factory.mktemp("models") / "small.model")


def test_another_model_is_refused_until_the_library_is_rebuilt(tmp_path, model, light_library, video_file):
    library = Library.open(
        shutil.copytree(light_library.path, tmp_path / "lib"), cache=light_library.cache_folder
    )
    with pytest.raises(ArtifactError, match=rf"reelscore rebuild --library {library.path} --model {model}"):
        Matcher(library, model)
    with pytest.raises(ArtifactError, match="reelscore rebuild"):
        Library.open(library.path, model=model)
    library.rebuild(model=model, workers=1)
    report = Matcher(library.path, model).report(video_file, k=3)
    assert report.model["trained"] is True
    assert report.model["name"] == "small.model"
    assert len(report.matches) == 3
    assert Matcher(library).match(video_file, k=3) == list(report.matches)


def test_a_model_that_is_damaged_or_gone_is_said(tmp_path, model, music_folder):
    library = Library.open(tmp_path / "lib", model=model, cache=tmp_path / "cache")
    library.add(music_folder / "song 0.wav", workers=1)
    weights = next(model.glob("weights-*.safetensors"))
    content = weights.read_bytes()
    try:
        weights.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
        with pytest.raises(ArtifactError, match=r"small\.model"):
            Matcher(library.path)
    finally:
        weights.write_bytes(content)
    assert Matcher(library.path) is not None


def test_a_text_query_without_tag_scores_names_the_command_that_computes_them(tmp_path, model, music_folder):
    library = Library.open(tmp_path / "lib", model=model, cache=tmp_path / "cache")
    library.add(music_folder / "song 0.wav", workers=1)
    with pytest.raises(
        ConfigError,
        match=rf"has no tag scores.*Compute them: reelscore rebuild --library {library.path} --pack FOLDER$",
    ):
        Matcher(library).match(text="calm")


@pytest.mark.slow
def test_the_blend_of_an_older_version_is_ignored_in_a_model_and_rejected_in_a_library(
    tmp_path, model, music_folder, video_file
):
    """Such a model's folder has further files; its library has two further keys and a fingerprint of its own."""
    library = Library.open(tmp_path / "lib", model=model, cache=tmp_path / "cache")
    library.add(music_folder, workers=1)
    expected = Matcher(library).report(video_file, k=3)
    (model / "blend.json").write_text('{"weight": 0.4}')
    file = library.path / "library.json"
    document = json.loads(file.read_text())
    del document["checksum"]  # that version had none
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


def test_an_encoder_of_another_fingerprint_is_rejected(light_library):
    library, built = light_library, light_library.meta
    compatibility.check_pipeline(built, library.path, library.pipeline)
    for what, changed in (
        ("model", replace(built, model_fingerprint="model-9")),
        ("video encoder", replace(built, video_encoder="other")),
        ("music encoder", replace(built, music_encoder="other")),
    ):
        with pytest.raises(ArtifactError, match=rf"built with {what} .*reelscore rebuild --library "):
            compatibility.check_pipeline(changed, library.path, library.pipeline)
