"""Promptable encoders: their columns, logit scale and bias, and rejected models."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from reelscore.encoders.extract import extract
from reelscore.encoders.factory import load_encoders
from reelscore.encoders.hub.download import INDEX, WEIGHTS
from reelscore.encoders.hub.files import find_model
from reelscore.encoders.hub.logits import LOGIT_WEIGHTS, logit_bias, logit_scale
from reelscore.encoders.hub.text import HubTextEncoder
from reelscore.encoders.promptable import promptable_encoders
from reelscore.encoders.spec import EncoderSpec
from reelscore.errors import ArtifactError, ConfigError, NotFoundError
from reelscore.models.zeroshot.prompts import CAPTIONS
from support.tiny_hub import write_model

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    kinds = ("clip", "siglip", "siglip2", "clap", "dinov2", "ast")
    return {kind: write_model(folder / kind, kind, licence=f"{kind}-licence") for kind in kinds}


def changed(model: Path, folder: Path, **numbers: float) -> Path:
    """Copy a model with other weights; None removes a weight."""
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(model, folder)
    weights = load_file(folder / WEIGHTS)
    for name, value in numbers.items():
        if value is None:
            del weights[name]
        else:
            weights[name] = torch.full_like(weights[name], value, dtype=torch.bfloat16)
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    return folder


def test_light_columns_stand_before_the_embeddings(models, video_file, music_folder) -> None:
    promptable = promptable_encoders(str(models["clip"]), str(models["clap"]))
    for path, encoder, light, kind in (
        (video_file, promptable.encoders.video, promptable.num_light[0], "clip"),
        (music_folder / "song 0.wav", promptable.encoders.music, promptable.num_light[1], "clap"),
    ):
        found = extract(path, encoder, num_segments=4)
        assert found.values.shape == (4, encoder.dim) == (4, light + 16)
        assert found.columns is not None
        assert found.columns[light] == f"hub-{kind} 0"
        for part, columns in zip(encoder.parts, (slice(light), slice(light, None)), strict=True):  # type: ignore[attr-defined]
            np.testing.assert_array_equal(
                extract(path, part, num_segments=4).values, found.values[:, columns]
            )
    assert (promptable.encoders.video_licence, promptable.encoders.music_licence) == (
        "clip-licence",
        "clap-licence",
    )


def test_a_worker_gets_the_same_encoders_and_a_user_the_same_name(models) -> None:
    spec = EncoderSpec("words", video_model=str(models["siglip"]), music_model=str(models["clap"]))
    again = pickle.loads(pickle.dumps(spec))
    assert load_encoders(again).video.fingerprint == load_encoders(spec).video.fingerprint
    assert spec.name == f"hub:{models['siglip']}+{models['clap']}"
    bare = EncoderSpec("hub", video_model=str(models["siglip"]), music_model=str(models["clap"]))
    assert load_encoders(bare).video.fingerprint != load_encoders(spec).video.fingerprint
    for wrong in ({"video_model": "a/b"}, {"music_model": "a/b"}, {}):
        with pytest.raises(ConfigError):
            EncoderSpec("words", **wrong)


def test_scale_and_bias_are_the_weights_own(models, tmp_path) -> None:
    assert logit_scale(find_model(str(models["clip"]))) == pytest.approx(np.exp(2.6592), rel=1e-4)
    assert logit_bias(find_model(str(models["clip"]))) is None
    clip = changed(models["clip"], tmp_path / "clip", logit_scale=4.5)
    assert logit_scale(find_model(str(clip))) == pytest.approx(np.exp(4.5), rel=1e-4)
    clap = changed(models["clap"], tmp_path / "clap", logit_scale_a=3.0, logit_scale_t=1.0)
    assert logit_scale(find_model(str(clap))) == pytest.approx(np.exp(3.0), rel=1e-4)
    siglip = changed(models["siglip"], tmp_path / "siglip", logit_scale=4.75, logit_bias=-12.5)
    files = find_model(str(siglip))
    assert logit_scale(files) == pytest.approx(np.exp(4.75), rel=1e-4)
    assert logit_bias(files) == pytest.approx(-12.5)


def test_every_model_with_a_scale_has_captions_and_gives_its_bias(models) -> None:
    assert set(LOGIT_WEIGHTS) == set(CAPTIONS)
    for kind in LOGIT_WEIGHTS:
        files = find_model(str(models[kind]))
        assert logit_scale(files) > 0
        assert (logit_bias(files) is not None) == kind.startswith("siglip")


def test_weights_in_several_files_say_it_too(models, tmp_path) -> None:
    import transformers

    folder = shutil.copytree(models["clip"], tmp_path / "clip")
    transformers.CLIPModel.from_pretrained(folder).save_pretrained(tmp_path / "parts", max_shard_size="50KB")
    (folder / WEIGHTS).unlink()
    for file in (tmp_path / "parts").glob("model*"):
        shutil.copy(file, folder)
    assert (folder / INDEX).is_file()
    assert not (folder / WEIGHTS).exists()
    assert logit_scale(find_model(str(folder))) == pytest.approx(np.exp(2.6592), rel=1e-4)


def test_weights_that_do_not_say_it_are_refused_and_never_guessed(models, tmp_path) -> None:
    absent = changed(models["clip"], tmp_path / "absent", logit_scale=None)
    with pytest.raises(ArtifactError, match=r"do not say how cosines become probabilities \(logit_scale"):
        logit_scale(find_model(str(absent)))
    broken = changed(models["siglip"], tmp_path / "broken", logit_bias=float("nan"))
    with pytest.raises(ArtifactError, match=r"logit_bias of .* must be a finite number, got nan"):
        logit_bias(find_model(str(broken)))
    cut = shutil.copytree(models["clip"], tmp_path / "cut")
    (cut / WEIGHTS).write_bytes((cut / WEIGHTS).read_bytes()[:50])
    with pytest.raises(ArtifactError, match="fetch the model again"):
        logit_scale(find_model(str(cut)))


def test_captions_are_encoded_as_by_the_model_itself(models) -> None:
    promptable = promptable_encoders(str(models["clip"]), str(models["clap"]))
    texts = ["a photo of sea.", "calm"]
    np.testing.assert_array_equal(
        promptable.video.text.encode(texts), HubTextEncoder(find_model(str(models["clip"]))).encode(texts)
    )
    assert promptable.video.text.fingerprint != promptable.music.text.fingerprint


def test_models_that_know_no_texts_are_refused_with_what_would_do(models) -> None:
    def ask(video: str, music: str) -> None:
        promptable_encoders(str(models.get(video, video)), str(models.get(music, music)))

    with pytest.raises(
        ConfigError, match=r"pictures and texts \(clip or siglip or siglip2\).*of the kind dinov2.*train"
    ):
        ask("dinov2", "clap")
    with pytest.raises(ConfigError, match=r"sound and texts \(clap\).*audio-spectrogram-transformer; name"):
        ask("clip", "ast")
    with pytest.raises(NotFoundError, match="there is no folder"):
        ask("/nowhere", "clap")
