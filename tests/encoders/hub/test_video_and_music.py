"""Tests of `HubVideo` and `HubMusic` on media files."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from reelscore.encoders.factory import load_encoders
from reelscore.encoders.hub.files import find_model
from reelscore.encoders.hub.music import HubMusic
from reelscore.encoders.hub.video import HubVideo
from reelscore.encoders.spec import EncoderSpec
from reelscore.errors import ConfigError, MediaError
from reelscore.features.sampling import global_sparse
from reelscore.media.writer import write_audio, write_video
from reelscore.types import FloatArray
from support.tiny_hub import PICTURES, SOUNDS

pytest.importorskip("transformers")

pytestmark = pytest.mark.slow

RATE_HZ = 16_000
RED, GREEN, BLUE = (200, 30, 30), (30, 200, 30), (30, 30, 200)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds each of red, green and blue."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    frames = (np.full((48, 80, 3), (RED, GREEN, BLUE)[i // 20], np.uint8) for i in range(60))
    write_video(path, frames, frame_rate_hz=10)
    return path


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds each of a low, a middle and a high tone."""
    path = tmp_path_factory.mktemp("song") / "song.wav"
    write_audio(path, tones(200.0, 900.0, 3000.0), rate_hz=RATE_HZ)
    return path


def tones(*pitches_hz: float) -> FloatArray:
    t = np.arange(4 * RATE_HZ) / RATE_HZ
    return np.concatenate([0.5 * np.sin(2 * np.pi * hz * t) for hz in pitches_hz]).astype(np.float32)


def encoder_of(models: dict[str, Path], kind: str, **options: int) -> HubVideo | HubMusic:
    files = find_model(str(models[kind]))
    return HubVideo(files, mode="exact", **options) if kind in PICTURES else HubMusic(files, **options)


@pytest.mark.parametrize("kind", [*PICTURES, *SOUNDS])
def test_a_row_depends_on_its_instant_alone(models, film, song, kind) -> None:
    encoder = encoder_of(models, kind)
    path, seconds = (film, 6.0) if kind in PICTURES else (song, 12.0)
    few = encoder.encode(path, global_sparse(seconds, num_segments=3))
    many = encoder.encode(path, global_sparse(seconds, num_segments=9))
    assert few.values.shape == (3, encoder.dim)
    assert few.encoder == encoder.fingerprint
    assert np.isfinite(few.values).all()
    assert len({row.tobytes() for row in few.values}) == 3
    assert few.values.tobytes() == many.values[1::3].tobytes()
    again = encoder_of(models, kind)
    assert again.fingerprint == encoder.fingerprint
    assert again.encode(path, global_sparse(seconds, num_segments=3)).values.tobytes() == few.values.tobytes()


@pytest.mark.parametrize("kind", ["clip", "dinov2", "clap", "ast", "wav2vec2"])
def test_batches_change_nothing_but_rounding(models, film, song, kind) -> None:
    path, seconds = (film, 6.0) if kind in PICTURES else (song, 12.0)
    alone = encoder_of(models, kind).encode(path, global_sparse(seconds, num_segments=9)).values
    batched = encoder_of(models, kind, batch_size=4)
    together = batched.encode(path, global_sparse(seconds, num_segments=9)).values
    np.testing.assert_allclose(together, alone, atol=2e-5)
    # Batches are padded: rows do not depend on the other rows.
    few = batched.encode(path, global_sparse(seconds, num_segments=3)).values
    np.testing.assert_allclose(few, together[1::3], atol=1e-6)


@pytest.mark.parametrize("kind", [kind for kind in PICTURES if kind != "dinov3_vit"])
def test_pictures_agree_with_the_models_own_processor(models, kind) -> None:
    """Compare with the image processors of transformers that need no torchvision."""
    import torch
    from transformers import AutoModel
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
    from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil

    encoder = encoder_of(models, kind)
    facts = encoder.model.files.json("preprocessor_config.json")
    processors = {"siglip2": Siglip2ImageProcessorPil, "siglip": SiglipImageProcessorPil}
    processors["vit"] = SiglipImageProcessorPil
    processor = processors.get(kind.split("_")[0], CLIPImageProcessorPil)(**facts)
    network = AutoModel.from_pretrained(models[kind]).eval()
    pixels = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    with torch.inference_mode():
        inputs = processor(pixels, return_tensors="pt")
        if kind in ("clip", "siglip", "siglip2"):
            expected = network.get_image_features(**inputs).pooler_output[0]
        elif kind == "vit":
            expected = network(**inputs).last_hidden_state[0, 0]
        else:
            expected = network(**inputs).pooler_output[0]
    np.testing.assert_allclose(encoder.embed_images([pixels])[0], expected.numpy(), atol=2e-5)


@pytest.mark.parametrize("kind", SOUNDS)
def test_sound_agrees_with_the_models_own_extractor(models, kind) -> None:
    import torch
    from transformers import AutoFeatureExtractor, AutoModel

    encoder = encoder_of(models, kind)
    extractor = AutoFeatureExtractor.from_pretrained(models[kind])
    network = AutoModel.from_pretrained(models[kind]).eval()
    samples = 0.1 * np.random.default_rng(0).standard_normal(encoder.tower.num_samples).astype(np.float32)
    inputs = extractor(samples, sampling_rate=RATE_HZ, return_tensors="pt")
    with torch.inference_mode():
        if kind.startswith("clap"):
            # The extractor sets this at random for a fused model; a window of full length is not cropped.
            inputs["is_longer"] = torch.zeros(1, 1, dtype=torch.bool)
            inputs["input_features"] = inputs["input_features"].float()
            expected = network.get_audio_features(**inputs).pooler_output[0]
        elif kind == "ast":
            expected = network(**inputs).pooler_output[0]
        else:
            expected = network(**inputs).last_hidden_state[0].mean(dim=0)
    np.testing.assert_allclose(encoder.embed_windows([samples])[0], expected.numpy(), atol=2e-5)


@pytest.mark.parametrize("kind", ["clap", "clap-fused"])
def test_clap_hears_what_its_extractor_hears(models, kind) -> None:
    """Compare log-mel spectrograms, with Slaney or HTK filters, in decibels."""
    from transformers import AutoFeatureExtractor

    tower = encoder_of(models, kind).tower
    samples = tones(440.0)[: tower.num_samples] + 0.01
    expected = AutoFeatureExtractor.from_pretrained(models[kind])(samples, sampling_rate=RATE_HZ)
    expected = expected["input_features"][0][
        0
    ].T  # a fused model's extractor returns the same spectrogram four times
    actual = tower.prepare(samples)["input_features"][0]
    assert actual.shape == expected.shape
    # float32 and float64 differ by a fraction of a decibel near silence.
    loud = expected > -60
    np.testing.assert_allclose(actual[loud], expected[loud], atol=0.02)


def test_ast_hears_its_whole_input(models) -> None:
    tower = encoder_of(models, "ast").tower
    picture = tower.prepare(tones(440.0)[: tower.num_samples])["input_values"]
    assert picture.shape == (48, 32)
    assert (np.abs(np.diff(picture[-3:], axis=0)) > 0).any(), "the last frames must be audio, not padding"


def test_a_spec_loads_both_encoders_with_their_licences(models, film, song) -> None:
    spec = EncoderSpec("hub", video_model=str(models["clip"]), music_model=str(models["clap"]))
    assert spec.name == f"hub:{models['clip']}+{models['clap']}"
    pair = load_encoders(pickle.loads(pickle.dumps(spec)))
    assert (pair.video_licence, pair.music_licence) == ("apache-2.0", "apache-2.0")
    assert pair.video.encode(film, global_sparse(6.0, num_segments=2)).values.shape == (2, 16)
    copy = pickle.loads(pickle.dumps(pair.music))
    segments = global_sparse(12.0, num_segments=2)
    assert copy.encode(song, segments).values.tobytes() == pair.music.encode(song, segments).values.tobytes()
    fast, exact = (HubVideo(find_model(str(models["clip"])), mode=mode) for mode in ("fast", "exact"))
    assert fast.fingerprint == exact.fingerprint
    assert fast.recipe != exact.recipe


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "hub"},
        {"kind": "hub", "video_model": "a/b"},
        {"kind": "light", "video_model": "a/b", "music_model": "c/d"},
        {"kind": "hub", "video_model": "a/b", "music_model": "c/d", "folder": "f"},
    ],
)
def test_a_specification_that_says_too_much_or_too_little_is_refused(options) -> None:
    with pytest.raises(ConfigError):
        EncoderSpec(**options)


def test_a_video_has_no_music_and_a_song_no_pictures(models, film, song) -> None:
    with pytest.raises(MediaError):
        encoder_of(models, "clap").encode(film, global_sparse(6.0, num_segments=2))
    with pytest.raises(MediaError):
        encoder_of(models, "clip").encode(song, global_sparse(6.0, num_segments=2))


def test_a_file_shorter_than_the_window_is_followed_by_zeros(models, tmp_path) -> None:
    encoder = encoder_of(models, "clap")
    write_audio(tmp_path / "blip.wav", tones(900.0)[: RATE_HZ // 4], rate_hz=RATE_HZ)
    sequence = encoder.encode(tmp_path / "blip.wav", global_sparse(0.25, num_segments=3))
    padded = np.zeros(encoder.tower.num_samples, np.float32)
    padded[: RATE_HZ // 4] = tones(900.0)[: RATE_HZ // 4]
    np.testing.assert_allclose(
        sequence.values, np.tile(encoder.embed_windows([padded])[0], (3, 1)), atol=2e-3
    )
