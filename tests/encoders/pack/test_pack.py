"""From media files through tiny ONNX models to feature sequences."""

from __future__ import annotations

import json
import pickle
import wave
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelscore.encoders.pack.filterbank import log_mel
from reelscore.encoders.pack.inputs import LogMelInput
from reelscore.encoders.pack.music import PackMusic, sample_windows
from reelscore.encoders.pack.pack import Pack, load_pack
from reelscore.encoders.pack.video import ImageModel, prepare_square
from reelscore.errors import ConfigError, InputError, MediaError
from reelscore.features.sampling import global_sparse
from reelscore.types import FloatArray, Segment
from support.tiny_pack import BANDS, RATE_HZ, WORDS, manifest, text_model, write_manifest, write_tiny_pack

RED, GREEN, BLUE = (200, 30, 30), (30, 200, 30), (30, 30, 200)


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    return load_pack(write_tiny_pack(tmp_path_factory.mktemp("pack")))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of six seconds: red, green, blue."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"g": "5"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(60):
            pixels = np.full((48, 64, 3), (RED, GREEN, BLUE)[i // 20], np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds of audio: a low, a middle and a high tone."""
    return _write_wav(tmp_path_factory.mktemp("song") / "song.wav", _tones(200.0, 900.0, 3000.0))


def _tones(*pitches_hz: float) -> FloatArray:
    t = np.arange(2 * RATE_HZ) / RATE_HZ
    return np.concatenate([0.5 * np.sin(2 * np.pi * hz * t) for hz in pitches_hz]).astype(np.float32)


def _write_wav(path: Path, samples: FloatArray) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


@pytest.mark.parametrize("mode", ["fast", "exact"])
def test_a_video_row_is_the_frame_at_its_instant(pack: Pack, film: Path, mode: str) -> None:
    sequence = pack.video_encoder(mode).encode(film, global_sparse(6.0, num_segments=3))
    assert sequence.values.shape == (3, 3)
    assert sequence.encoder == pack.video_encoder().fingerprint
    np.testing.assert_allclose(sequence.values * 255, [RED, GREEN, BLUE], atol=4)


def test_the_mode_is_in_the_recipe_only(pack: Pack) -> None:
    fast, exact = pack.video_encoder("fast"), pack.video_encoder("exact")
    assert fast.fingerprint == exact.fingerprint
    assert fast.recipe != exact.recipe


def test_a_music_row_hears_its_instant(pack: Pack, song: Path) -> None:
    sequence = pack.music_encoder().encode(song, global_sparse(6.0, num_segments=3))
    assert sequence.values.shape == (3, BANDS)
    loudest = sequence.values.argmax(axis=1)
    spec = pack.music_encoder().model.input
    edges_hz = 700 * np.expm1(np.linspace(0, 1127 * np.log1p(4000 / 700), spec.mel_bands + 2) / 1127)
    nearest = [int(np.abs(edges_hz[1:-1] - hz).argmin()) for hz in (200, 900, 3000)]
    assert loudest.tolist() == nearest


@pytest.mark.parametrize("kind", ["video", "music"])
def test_a_row_depends_on_its_instant_alone(pack: Pack, film: Path, song: Path, kind: str) -> None:
    encoder, path = (pack.video_encoder("exact"), film) if kind == "video" else (pack.music_encoder(), song)
    few = encoder.encode(path, global_sparse(6.0, num_segments=5))
    again = encoder.encode(path, global_sparse(6.0, num_segments=5))
    many = encoder.encode(path, global_sparse(6.0, num_segments=15))
    assert few.values.tobytes() == again.values.tobytes()
    assert few.values.tobytes() == many.values[1::3].tobytes()


def test_with_a_step_instants_share_the_window_in_the_middle(pack: Pack, song: Path) -> None:
    stepping = PackMusic(pack.tagger(), step_s=2.0)
    instants = (0.1, 0.9, 1.9, 2.1, 3.5, 5.9)
    found = stepping.encode(song, [Segment(0.0, 6.0, instant) for instant in instants])
    middles = (1.0, 1.0, 1.0, 3.0, 3.0, 5.0)
    expected = PackMusic(pack.tagger()).encode(song, [Segment(0.0, 6.0, middle) for middle in middles])
    np.testing.assert_array_equal(found.values, expected.values)
    assert len(np.unique(found.values, axis=0)) == 3
    prints = {PackMusic(pack.tagger(), step_s=step_s).fingerprint for step_s in (None, 2.0, 4.0)}
    assert len(prints) == 3


def test_encoders_survive_pickling_after_use(pack: Pack, song: Path) -> None:
    encoder = pack.music_encoder()
    segments = global_sparse(6.0, num_segments=2)
    before = encoder.encode(song, segments)
    copy = pickle.loads(pickle.dumps(encoder))
    assert copy.fingerprint == encoder.fingerprint
    assert copy.encode(song, segments).values.tobytes() == before.values.tobytes()


def test_a_file_shorter_than_the_window_is_followed_by_zeros(pack: Pack, tmp_path: Path) -> None:
    path = _write_wav(tmp_path / "blip.wav", _tones(900.0)[: RATE_HZ // 10])
    sequence = pack.music_encoder().encode(path, global_sparse(0.1, num_segments=4))
    padded = np.zeros(RATE_HZ // 2, np.float32)
    padded[: RATE_HZ // 10] = (_tones(900.0)[: RATE_HZ // 10] * 32767).astype("<i2") / np.float32(32768)
    expected = pack.music_encoder().model.patch_outputs(padded)["emb"]
    np.testing.assert_allclose(sequence.values, np.tile(expected, (4, 1)), atol=1e-5)


def test_a_video_has_no_music_and_a_song_no_pictures(pack: Pack, film: Path, song: Path) -> None:
    with pytest.raises(MediaError):
        pack.music_encoder().encode(film, global_sparse(6.0, num_segments=2))
    with pytest.raises(MediaError):
        pack.video_encoder().encode(song, global_sparse(6.0, num_segments=2))


def test_the_tagger_cuts_sound_into_patches(pack: Pack) -> None:
    tagger = pack.tagger()
    outputs = tagger.outputs(_tones(200.0, 3000.0)[: round(3.7 * RATE_HZ)])
    assert outputs["emb"].shape == (3, BANDS)
    assert tagger.labels("emb")[outputs["emb"][0].argmax()] == "band 1"
    assert tagger.outputs(_tones(200.0)[:100])["emb"].shape == (1, BANDS)
    for wrong in (np.zeros(0, np.float32), np.zeros((2, 9), np.float32)):
        with pytest.raises(InputError, match="expected mono samples"):
            tagger.outputs(wrong)


def test_texts_become_unit_rows_independent_of_their_batch(pack: Pack) -> None:
    encoder = pack.text_encoder()
    rows = encoder.encode(["calm sea", "fast fast car", "calm sea fast car car car", ""])
    np.testing.assert_allclose(np.linalg.norm(rows[:3], axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(rows[0], np.array([0, 1, 1, 0, 0]) / np.sqrt(2), rtol=1e-6)
    np.testing.assert_allclose(rows[2], [0, 0.5, 0.5, 0.5, 0.5], rtol=1e-6)
    assert rows[1:2].tobytes() == encoder.encode(["fast fast car"]).tobytes()
    assert encoder.encode([]).shape == (0, len(WORDS))


def test_a_text_model_of_one_row_reads_several(tmp_path: Path) -> None:
    folder = write_tiny_pack(tmp_path / "pack")
    several = load_pack(folder).text_encoder().encode(["calm sea", "fast car", "sea"])
    onnx.save(text_model(rows=1), folder / "text.onnx")
    write_manifest(folder, manifest(folder))
    assert (
        load_pack(folder).text_encoder().encode(["calm sea", "fast car", "sea"]).tobytes()
        == several.tobytes()
    )


def test_keys_that_came_later_leave_older_fingerprints_alone(pack: Pack) -> None:
    """Features, models and libraries of packs without these keys stay valid."""
    spec = pack.video_encoder().model.spec
    specification = json.dumps(
        {
            "crop_px": 8,
            "layout": "nchw",
            "mean": [0.0, 0.0, 0.0],
            "short_side_px": 10,
            "std": [255.0, 255.0, 255.0],
            "tensor": "image",
        }
    )
    assert pack.video_encoder().model.identity() == (spec.sha256, specification, "emb")
    assert not {"mel_scale", "resample", "fit"} & set(json.loads(pack.music_encoder().model.identity()[1]))
    other = ImageModel(pack.folder, replace(spec, input=replace(spec.input, resample="bicubic")))
    assert '"resample": "bicubic"' in other.identity()[1]


def test_a_picture_is_stretched_where_the_pack_says_so(pack: Pack) -> None:
    spec = replace(pack.video_encoder().model.input, fit="stretch", short_side_px=8)
    wide = np.zeros((10, 40, 3), np.uint8)
    wide[:, :20] = RED
    prepared = prepare_square(wide, spec) * 255
    np.testing.assert_allclose(prepared[:, 4, 1], RED, atol=1e-4)
    np.testing.assert_allclose(prepared[:, 4, 6], 0, atol=1e-4)
    with pytest.raises(ConfigError, match="stretch"):
        replace(spec, short_side_px=10)


@pytest.mark.slow
def test_slaney_triangles_are_those_of_librosa() -> None:
    librosa = pytest.importorskip("librosa")
    spec = LogMelInput(
        tensor="mel",
        rate_hz=48_000,
        n_fft=1024,
        hop_samples=480,
        window_samples=1024,
        mel_bands=64,
        low_hz=50,
        high_hz=14_000,
        log_floor=1e-10,
        patch_s=10,
        mel_scale="slaney",
        log="db_above_floor",
    )
    samples = np.random.default_rng(0).standard_normal(9_600).astype(np.float32)
    power = librosa.feature.melspectrogram(
        y=samples, sr=48_000, n_fft=1024, hop_length=480, n_mels=64, fmin=50, fmax=14_000, pad_mode="reflect"
    )
    expected = librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=None)
    np.testing.assert_allclose(log_mel(samples, spec), expected, atol=2e-3)
    with pytest.raises(ConfigError, match="slaney"):
        replace(spec, mel_triangles="mel")


def test_a_picture_is_resized_cropped_and_scaled(pack: Pack) -> None:
    spec = pack.video_encoder().model.input
    wide = np.zeros((10, 40, 3), np.uint8)
    wide[:, 16:24] = RED
    prepared = prepare_square(wide, spec)
    assert prepared.shape == (3, 8, 8)
    np.testing.assert_allclose(prepared[:, 4, 4] * 255, RED, atol=1e-4)
    np.testing.assert_allclose(prepared.mean(axis=(1, 2)) * 255, RED, atol=1e-4)


def test_log_mel_against_a_slow_reference(pack: Pack) -> None:
    """One transform, one band and one logarithm at a time."""
    spec = pack.tagger().input
    samples = np.random.default_rng(3).standard_normal(2_000).astype(np.float32)
    picture = log_mel(samples, spec)
    assert picture.shape == (spec.mel_bands, spec.num_frames(len(samples)))

    def hz(mel: float) -> float:
        return 700 * (np.exp(mel / 1127) - 1)

    top = 1127 * np.log(1 + spec.high_hz / 700)
    mirrored = np.pad(samples.astype(np.float64), spec.n_fft // 2, mode="reflect")
    for frame in (0, 7, picture.shape[1] - 1):
        piece = mirrored[frame * spec.hop_samples :][: spec.n_fft]
        offset = (spec.n_fft - spec.window_samples) // 2
        power = np.zeros(spec.n_fft // 2 + 1)
        n = np.arange(spec.window_samples)
        window = 0.5 - 0.5 * np.cos(2 * np.pi * n / spec.window_samples)
        for k in range(len(power)):
            turns = np.exp(-2j * np.pi * k * (n + offset) / spec.n_fft)
            power[k] = abs(np.sum(piece[offset : offset + spec.window_samples] * window * turns)) ** 2
        for band in range(spec.mel_bands):
            low, centre, high = (hz(top * (band + j) / (spec.mel_bands + 1)) for j in range(3))
            total = 0.0
            for k, p in enumerate(power):
                f = k * spec.rate_hz / spec.n_fft
                total += p * max(0.0, min((f - low) / (centre - low), (high - f) / (high - centre)))
            assert picture[band, frame] == pytest.approx(np.log(total + spec.log_floor), abs=2e-4)


@given(
    cuts=st.lists(st.integers(0, 60), max_size=6),
    centres=st.lists(st.integers(0, 70), max_size=8).map(sorted),
    length=st.integers(1, 80),
    num_samples=st.integers(1, 60),
)
def test_windows_do_not_depend_on_how_the_signal_is_cut(
    cuts: list[int], centres: list[int], length: int, num_samples: int
) -> None:
    signal = np.arange(1, num_samples + 1, dtype=np.float32)
    edges = sorted({0, num_samples, *(c for c in cuts if c < num_samples)})

    def blocks() -> Iterator[FloatArray]:
        for a, b in pairwise(edges):
            yield signal[a:b]

    windows = list(sample_windows(blocks(), centres, length=length))
    assert len(windows) == len(centres)
    for centre, (start, window) in zip(centres, windows, strict=True):
        assert start == max(0, min(centre - length // 2, num_samples - length))
        whole = np.pad(signal, (0, max(0, length - num_samples)))
        np.testing.assert_array_equal(window, whole[start : start + length])


def test_no_signal_gives_no_window() -> None:
    assert list(sample_windows([], [0, 1], length=3)) == []
