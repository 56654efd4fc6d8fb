"""Loudness and true peak against signals with known values."""

from __future__ import annotations

import numpy as np
import pytest

from reelscore.errors import MediaError
from reelscore.media.loudness import measure_loudness
from reelscore.media.writer import write_audio
from tests.support.films import film, sound_file

RATE_HZ = 48_000


def sine(level_db, seconds, hz=1000.0, phase=0.0):
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return 10 ** (level_db / 20) * np.sin(2 * np.pi * hz * time_s + phase)


def test_the_reference_tone_of_ebu_tech_3341(tmp_path):
    write_audio(tmp_path / "a.wav", np.stack([sine(-23, 20)] * 2, axis=1), rate_hz=RATE_HZ)
    loudness = measure_loudness(tmp_path / "a.wav")
    assert loudness.integrated_lufs == pytest.approx(-23, abs=0.1)
    assert loudness.true_peak_db == pytest.approx(-23, abs=0.2)
    assert loudness.range_lu == pytest.approx(0, abs=0.1)


def test_the_loudness_range_of_two_levels_is_their_difference(tmp_path):
    # EBU Tech 3342, case 1: 20 s at -20 dB, 20 s at -30 dB.
    tone = np.concatenate([sine(-20, 20), sine(-30, 20)])
    write_audio(tmp_path / "a.wav", np.stack([tone] * 2, axis=1), rate_hz=RATE_HZ)
    assert measure_loudness(tmp_path / "a.wav").range_lu == pytest.approx(10, abs=1)


def test_the_true_peak_lies_between_samples(tmp_path):
    # At a quarter of the rate and 45 degrees every sample is 3 dB below the peak. A fade avoids ringing at the ends.
    tone = sine(-6, 5, hz=RATE_HZ / 4, phase=np.pi / 4)
    fade = np.minimum(1, np.minimum(np.arange(len(tone)), np.arange(len(tone))[::-1]) / RATE_HZ)
    write_audio(tmp_path / "a.wav", tone * fade, rate_hz=RATE_HZ)
    assert np.abs(tone).max() == pytest.approx(10 ** (-9.01 / 20), rel=0.01)
    assert measure_loudness(tmp_path / "a.wav").true_peak_db == pytest.approx(-6, abs=0.4)


@pytest.mark.parametrize(
    ("codec", "name", "channels"), [("aac", "a.m4a", 6), ("flac", "a.flac", 1), ("libopus", "a.opus", 2)]
)
def test_codecs_and_layouts(tmp_path, codec, name, channels):
    samples = np.stack([sine(-20, 5)] * channels).astype(np.float32)
    loudness = measure_loudness(sound_file(tmp_path / name, samples, RATE_HZ, codec=codec))
    # The loudness of equal channels adds up: 5.1 has weights 1, 1, 1, 0, 1.41 and 1.41.
    gain_db = {1: 0.0, 2: 3.01, 6: 10 * np.log10(5.82)}[channels]
    assert loudness.integrated_lufs == pytest.approx(-23 + gain_db, abs=0.5)
    if codec == "flac":  # a lossy codec adds peaks of its own
        assert loudness.true_peak_db == pytest.approx(-20, abs=0.5)


def test_eight_channels_are_measured(tmp_path):
    write_audio(tmp_path / "a.wav", np.stack([sine(-20, 5)] * 8, axis=1), rate_hz=RATE_HZ)
    assert -30 < measure_loudness(tmp_path / "a.wav").integrated_lufs < -10


@pytest.mark.parametrize("seconds", [0.05, 3])
def test_silence_and_short_sounds_are_finite(tmp_path, seconds):
    write_audio(tmp_path / "a.wav", 0 * sine(0, seconds), rate_hz=RATE_HZ)
    loudness = measure_loudness(tmp_path / "a.wav")
    assert (loudness.integrated_lufs, loudness.true_peak_db, loudness.range_lu) == (-70, -100, 0)


def test_pictures_have_no_loudness(tmp_path):
    with pytest.raises(MediaError, match="expected sound"):
        measure_loudness(film(tmp_path / "a.mp4"))
