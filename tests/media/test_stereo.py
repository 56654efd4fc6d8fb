"""Decoding sound as stereo at known positions."""

from __future__ import annotations

import wave
from fractions import Fraction

import av
import numpy as np
import pytest

from reelscore.errors import MediaError
from reelscore.media.stereo import read_stereo
from support.films import encode_sound, film, sound_file, tone

RATE_HZ = 48_000


def wav(path, samples, rate_hz=RATE_HZ):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(samples))
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes((samples.T * 32767).astype("<i2").tobytes())
    return path


def test_a_part_equals_that_part_of_the_whole(tmp_path):
    path = wav(tmp_path / "a.wav", np.random.default_rng(0).uniform(-0.5, 0.5, (2, 3 * RATE_HZ)))
    whole = read_stereo(path, rate_hz=RATE_HZ)
    assert whole.shape == (2, 3 * RATE_HZ)
    part = read_stereo(path, rate_hz=RATE_HZ, start_s=1.25, length_s=0.5)
    assert np.array_equal(part, whole[:, 60_000:84_000])
    assert read_stereo(path, rate_hz=RATE_HZ, start_s=2.5, length_s=9).shape == (2, 24_000)
    assert read_stereo(path, rate_hz=RATE_HZ, start_s=5, length_s=1).shape == (2, 0)


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8])
def test_any_number_of_channels_becomes_two(tmp_path, channels):
    path = wav(tmp_path / "a.wav", np.stack([tone(1.0, 44_100)[0]] * channels), 44_100)
    samples = read_stereo(path, rate_hz=RATE_HZ)
    assert samples.shape == (2, RATE_HZ)
    assert np.abs(samples).max() == pytest.approx(0.5, abs=0.01)


def test_surround_sound_with_a_layout_is_mixed_down(tmp_path):
    path = sound_file(tmp_path / "a.flac", np.tile(tone(1.0, RATE_HZ), (6, 1)), RATE_HZ, codec="flac")
    samples = read_stereo(path, rate_hz=RATE_HZ)
    assert samples.shape == (2, RATE_HZ)
    assert np.abs(samples).max() > 0.3


def late_sound(path, *, picture_ms: int, sound_ms: int, gap_ms: int = 0):
    """Write an mkv whose sound is two halves of one second, with stamps as given."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", rate=25)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        picture.codec_context.time_base = Fraction(1, 1000)
        sound = container.add_stream("pcm_s16le", rate=RATE_HZ, layout="stereo")
        for number in range(75):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            frame.pts, frame.time_base = picture_ms + 40 * number, Fraction(1, 1000)
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        values = (8000 * np.ones((1, 2 * 4800))).astype(np.int16)
        for number in range(20):
            frame = av.AudioFrame.from_ndarray(values, format="s16", layout="stereo")
            frame.sample_rate, frame.time_base = RATE_HZ, Fraction(1, RATE_HZ)
            frame.pts = 48 * sound_ms + 4800 * number + (48 * gap_ms if number >= 10 else 0)
            container.mux(sound.encode(frame))
    return path


@pytest.mark.parametrize(("picture_ms", "sound_ms"), [(0, 0), (0, 200), (300, 0), (200, 700)])
def test_sound_is_placed_by_its_time_stamps(tmp_path, picture_ms, sound_ms):
    path = late_sound(tmp_path / "a.mkv", picture_ms=picture_ms, sound_ms=sound_ms)
    samples = read_stereo(path, rate_hz=RATE_HZ, length_s=5, synchronised=True)
    heard = np.flatnonzero(samples[0] > 0.1)
    start = 48 * (sound_ms - picture_ms)
    assert heard[0] == max(0, start)
    assert heard[-1] + 1 == start + 2 * RATE_HZ


def test_a_gap_in_the_sound_stays(tmp_path):
    path = late_sound(tmp_path / "a.mkv", picture_ms=0, sound_ms=0, gap_ms=500)
    samples = read_stereo(path, rate_hz=RATE_HZ, synchronised=True)
    assert (samples[0, 48_100:71_900] == 0).all()
    assert samples[0, 72_100:] == pytest.approx(8000 / 32768, abs=1e-3)
    assert read_stereo(path, rate_hz=RATE_HZ).shape == (2, 2 * RATE_HZ)


def test_a_file_without_sound_is_an_error(tmp_path):
    with pytest.raises(MediaError, match="expected sound"):
        read_stereo(film(tmp_path / "a.mp4"), rate_hz=RATE_HZ)


def test_aac_starts_without_the_encoders_delay(tmp_path):
    click = np.zeros((2, RATE_HZ), np.float32)
    click[:, 12_000] = 0.9
    with av.open(str(tmp_path / "a.m4a"), "w") as container:
        encode_sound(
            container, container.add_stream("aac", rate=RATE_HZ, layout="stereo"), click, RATE_HZ, "stereo"
        )
    assert np.abs(read_stereo(tmp_path / "a.m4a", rate_hz=RATE_HZ)[0]).argmax() == 12_000
