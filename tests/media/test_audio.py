"""Tests of block-wise audio decoding across codecs, channels and block sizes."""

from __future__ import annotations

import subprocess
import sys
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reelscore.errors import InputError, NotFoundError
from reelscore.media import audio
from reelscore.media.audio import audio_blocks, keep_audio
from reelscore.media.probe import probe
from reelscore.media.writer import write_audio
from support.films import grey, sound_file, tone
from support.sounds import noise


def decode(path: Path, rate_hz: int, block_s: float = 10.0) -> np.ndarray:
    return np.concatenate(list(audio_blocks(path, rate_hz=rate_hz, block_s=block_s)))


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(5)
    samples = np.stack([tone(3.3, 44_100)[0] * 0.5, rng.normal(0, 0.1, 145_530).astype(np.float32)])
    return sound_file(tmp_path_factory.mktemp("sound") / "music.flac", samples, 44_100, codec="flac")


@pytest.mark.parametrize(
    ("suffix", "codec", "rate_hz"),
    [
        ("wav", "pcm_s16le", 44_100),
        ("wav", "pcm_f32le", 44_100),
        ("wav", "pcm_u8", 44_100),
        ("wav", "pcm_s24le", 44_100),
        ("flac", "flac", 44_100),
        ("mp3", "libmp3lame", 44_100),
        ("m4a", "aac", 44_100),
        ("ogg", "libopus", 48_000),
        ("webm", "libopus", 48_000),
    ],
)
def test_any_codec_gives_the_tone_that_went_in(suffix: str, codec: str, rate_hz: int, tmp_path: Path) -> None:
    path = sound_file(tmp_path / f"tone.{suffix}", tone(2.0, rate_hz, channels=2), rate_hz, codec=codec)
    samples = decode(path, 16_000)
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(32_000, abs=16_000 * 0.06)
    middle = samples[8_000:24_000]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert np.argmax(spectrum) == 440
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.06)


def test_the_same_rate_changes_nothing(tmp_path: Path) -> None:
    samples = tone(0.5, 16_000)
    path = sound_file(tmp_path / "float.wav", samples, 16_000, codec="pcm_f32le")
    assert (decode(path, 16_000) == samples[0]).all()


def test_channels_are_mixed_by_their_mean(tmp_path: Path) -> None:
    six = np.stack([np.full(4_800, v, np.float32) for v in (0.6, 0.2, 0.0, -0.2, 0.4, 0.2)])
    path = sound_file(tmp_path / "six.wav", six, 48_000, codec="pcm_f32le")
    assert decode(path, 48_000) == pytest.approx(np.full(4_800, 0.2), abs=1e-6)


@pytest.mark.parametrize(
    ("from_hz", "to_hz"), [(44_100, 16_000), (16_000, 44_100), (48_000, 22_050), (8_000, 16_000)]
)
def test_the_count_of_samples_is_length_times_rate(from_hz: int, to_hz: int, tmp_path: Path) -> None:
    path = sound_file(tmp_path / "t.wav", tone(2.5, from_hz), from_hz, codec="pcm_s16le")
    assert abs(len(decode(path, to_hz)) - 2.5 * to_hz) <= to_hz / 1000


@settings(max_examples=15, deadline=None)
@given(block_s=st.floats(0.003, 5.0))
def test_the_block_size_only_moves_the_cuts(music: Path, block_s: float) -> None:
    whole = decode(music, 16_000)
    blocks = list(audio_blocks(music, rate_hz=16_000, block_s=block_s))
    length = max(1, round(block_s * 16_000))
    assert all(len(b) == length for b in blocks[:-1])
    assert 0 < len(blocks[-1]) <= length
    assert (np.concatenate(blocks) == whole).all()


def test_no_seam_between_pieces(tmp_path: Path) -> None:
    path = sound_file(tmp_path / "long.wav", tone(5.0, 44_100), 44_100, codec="pcm_s16le")
    samples = decode(path, 16_000, block_s=0.7)
    time_s = np.arange(len(samples)) / 16_000
    ideal = 0.5 * np.sin(2 * np.pi * 440 * time_s)
    assert np.abs(samples - ideal)[200:-200].max() < 2e-3


def test_a_tenth_of_a_second_and_silence(tmp_path: Path) -> None:
    short = sound_file(tmp_path / "short.mp3", tone(0.1, 44_100, channels=2), 44_100, codec="libmp3lame")
    assert len(decode(short, 16_000)) == pytest.approx(1_600, abs=800)
    silence = sound_file(tmp_path / "s.wav", np.zeros((1, 8_000), np.float32), 8_000, codec="pcm_s16le")
    assert not decode(silence, 16_000).any()


def test_damage_is_stepped_over(tmp_path: Path) -> None:
    path = sound_file(tmp_path / "hurt.mp3", tone(4.0, 44_100, channels=2), 44_100, codec="libmp3lame")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 1500] = b"\x55" * 1500
    path.write_bytes(content)
    samples = decode(path, 16_000)
    assert np.isfinite(samples).all()
    assert 3.5 * 16_000 < len(samples) < 4.3 * 16_000


@pytest.mark.parametrize(
    "wrong", [{"rate_hz": 0}, {"rate_hz": 8000, "block_s": 0.0}, {"rate_hz": 8000, "block_s": float("nan")}]
)
def test_wrong_options_are_refused_at_once(wrong: dict[str, float], music: Path) -> None:
    with pytest.raises(InputError):
        audio_blocks(music, **wrong)  # type: ignore[arg-type]


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(1_000)
        minute = (tone(60.0, 1_000).T * 20_000).astype("<i2").tobytes()
        for _ in range(60):
            out.writeframes(minute)
    script = (
        "import resource, sys\n"
        "from reelscore.media.audio import audio_blocks\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "blocks = audio_blocks(sys.argv[1], rate_hz=500)\n"
        "n, early = len(next(blocks)), peak()\n"
        "n += sum(map(len, blocks))\n"
        "print(n, early, peak())\n"
    )
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    num_samples, early, peak = map(int, done.stdout.split())
    assert abs(num_samples - 3600 * 500) < 100
    unit = 1 if sys.platform == "darwin" else 1024
    # All samples are 7 MB as float32. Later blocks must not need more memory than the first.
    assert (peak - early) * unit < 4e6


def test_real_music(shared: Path) -> None:
    for path in sorted((shared / "media" / "music").glob("*.*"))[:4]:
        if path.suffix in {".mp3", ".ogg"}:
            blocks = list(audio_blocks(path, rate_hz=16_000))
            assert len(blocks) >= 3
            assert 0.001 < np.abs(np.concatenate(blocks)).max() < 2


@pytest.mark.parametrize("opposite", [1.0, 0.95])
@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_u8", "pcm_f32le"])
def test_channels_that_cancel_fall_back_to_one(opposite: float, codec: str, tmp_path: Path) -> None:
    left = tone(3.0, 22_050)[0]
    path = sound_file(tmp_path / "anti.wav", np.stack([left, -opposite * left]), 22_050, codec=codec)
    assert decode(path, 22_050) == pytest.approx(left, abs=0.01)


def test_six_channels_that_cancel_fall_back_to_one(tmp_path: Path) -> None:
    loud = tone(2.0, 48_000)[0]
    six = np.stack([loud, -loud, 0 * loud, 0 * loud, 0.3 * loud, -0.3 * loud])
    path = sound_file(tmp_path / "six.wav", six, 48_000, codec="pcm_f32le")
    assert decode(path, 48_000) == pytest.approx(loud, abs=1e-4)


def test_one_channel_alone_and_a_quiet_mix_are_still_averaged(tmp_path: Path) -> None:
    loud = tone(2.0, 48_000)[0]
    six = np.stack([loud, *[0 * loud] * 5])
    path = sound_file(tmp_path / "one.wav", six, 48_000, codec="pcm_f32le")
    assert decode(path, 48_000) == pytest.approx(loud / 6, abs=1e-4)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("late_s", [0.0, 3.0])
def test_sound_that_starts_late_follows_silence(late_s: float, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"late.{suffix}"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = container.add_stream("aac", rate=44_100, layout="mono")
        for number in range(200):
            frame = av.VideoFrame.from_ndarray(grey(number), format="rgb24")
            frame.pts = number
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        samples = tone(4.0, 44_100)
        for start in range(0, samples.shape[1], 1024):
            part = np.ascontiguousarray(samples[:, start : start + 1024])
            sound = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
            sound.sample_rate, sound.time_base = 44_100, Fraction(1, 44_100)
            sound.pts = start + round(late_s * 44_100)
            container.mux(audio.encode(sound))
        container.mux(audio.encode(None))
    heard = decode(path, 8000)
    begin_s = int(np.argmax(np.abs(heard) > 0.2)) / 8000
    assert begin_s == pytest.approx(late_s, abs=0.1)
    assert len(heard) / 8000 == pytest.approx(late_s + 4.0, abs=0.15)
    info = probe(path)
    assert info.audio is not None
    assert info.audio.start_s == pytest.approx(late_s, abs=0.1)
    assert info.audio.duration_s == pytest.approx(late_s + 4.0, abs=0.15)
    assert bool(info.repairs) == bool(late_s)


def test_kept_audio_is_not_decoded_again_and_has_the_same_samples(tmp_path):
    path = tmp_path / "a.wav"
    write_audio(path, noise(3.3), rate_hz=22_050)
    first, other = (list(audio_blocks(path, rate_hz=rate_hz, block_s=0.7)) for rate_hz in (16_000, 8_000))
    frames = []
    with keep_audio(path):
        read = list(audio_blocks(path, rate_hz=16_000, on_frame=frames.append))
        path.rename(tmp_path / "b.wav")
        for rate_hz, expected in ((16_000, first), (8_000, other)):
            again = list(audio_blocks(path, rate_hz=rate_hz, block_s=0.7))
            assert [block.tobytes() for block in again] == [block.tobytes() for block in expected]
        with pytest.raises(NotFoundError):  # what needs every channel is decoded again
            list(audio_blocks(path, rate_hz=16_000, on_frame=frames.append))
    assert len(frames) > 1
    assert np.concatenate(read).tobytes() == np.concatenate(first).tobytes()
    with pytest.raises(NotFoundError):
        list(audio_blocks(path, rate_hz=16_000))


def test_long_audio_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(audio, "_MOST_KEPT", 22_050)
    path = tmp_path / "a.wav"
    write_audio(path, noise(1.2), rate_hz=22_050)
    with keep_audio(path):
        assert sum(map(len, audio_blocks(path, rate_hz=22_050))) == round(1.2 * 22_050)
        path.unlink()
        with pytest.raises(NotFoundError):
            list(audio_blocks(path, rate_hz=22_050))
