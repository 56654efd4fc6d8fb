"""Loudness and the true-peak limiter against signals of known level."""

from __future__ import annotations

import numpy as np
import pytest

from reelscore.media.levels import limit_peaks, loudness_of
from reelscore.media.loudness import SILENT_LUFS

RATE_HZ = 48_000


def sine(level_db, seconds=5.0, frequency_hz=997.0, phase=0.0):
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    wave = 10 ** (level_db / 20) * np.sin(2 * np.pi * frequency_hz * time_s + phase)
    return np.stack([wave, wave]).astype(np.float32)


@pytest.mark.parametrize("level_db", [-33.0, -23.0])
def test_the_tones_of_ebu_3341_have_their_loudness(level_db):
    assert loudness_of(sine(level_db, 20.0), RATE_HZ).integrated_lufs == pytest.approx(level_db, abs=0.1)


@pytest.mark.parametrize("seconds", [0.01, 0.39, 0.41, 1.23])
def test_short_sounds_have_a_loudness(seconds):
    assert loudness_of(sine(-20.0, seconds), RATE_HZ).integrated_lufs == pytest.approx(-20.0, abs=1.5)


def test_silence_is_silent():
    assert loudness_of(np.zeros((2, RATE_HZ), np.float32), RATE_HZ).integrated_lufs <= SILENT_LUFS
    assert loudness_of(sine(-60.0), RATE_HZ).integrated_lufs > SILENT_LUFS


def test_peaks_between_samples_are_seen():
    # All samples of this tone are 3 dB below its peaks.
    loudness = loudness_of(sine(0.0, 1.0, RATE_HZ / 4, np.pi / 4), RATE_HZ)
    assert loudness.true_peak_db == pytest.approx(0.0, abs=0.7)


def test_a_peak_in_the_last_instant_is_seen():
    samples = sine(-30.0, 1.23)
    samples[:, -20] = 0.9
    assert loudness_of(samples, RATE_HZ).true_peak_db > -1.5


@pytest.mark.parametrize("kind", ["noise", "drums", "between samples"])
def test_limited_peaks_stay_below_the_ceiling(kind):
    rng = np.random.default_rng(0)
    time_s = np.arange(4 * RATE_HZ) / RATE_HZ
    samples = {
        "noise": 0.5 * rng.standard_normal((2, len(time_s))),
        "drums": rng.standard_normal((2, len(time_s))) * np.exp(-20 * (time_s % 0.5)),
        "between samples": sine(0.0, 4.0, RATE_HZ / 4, np.pi / 4) * np.minimum(1, time_s),
    }[kind].astype(np.float32)
    assert loudness_of(samples, RATE_HZ).true_peak_db > -0.5
    assert loudness_of(limit_peaks(samples, RATE_HZ, ceiling_db=-1.0), RATE_HZ).true_peak_db < -0.8


def test_sounds_below_the_ceiling_are_unchanged():
    quiet = sine(-6.0)
    assert limit_peaks(quiet, RATE_HZ, ceiling_db=-1.0) is quiet


def test_the_gain_falls_before_a_peak_and_returns():
    samples = np.full((2, RATE_HZ), 0.1, np.float32)
    samples[0, 24_000] = 2.0
    limited = limit_peaks(samples, RATE_HZ, ceiling_db=-1.0)
    gain = limited[1] / samples[1]
    assert gain[:20_000] == pytest.approx(1.0)
    assert gain[30_000:] == pytest.approx(1.0)
    assert limited[0, 24_000] <= 10 ** (-1 / 20)
    assert np.abs(np.diff(gain)).max() < 0.02


def test_a_limiter_like_the_slow_definition():
    rng = np.random.default_rng(1)
    samples = rng.standard_normal((2, 3000)).astype(np.float32)
    limited = limit_peaks(samples, 1000, ceiling_db=-6.0)
    gain = limited / samples
    assert np.allclose(gain[0], gain[1], atol=1e-5)
    # A gain is never above what a sample within the window needs.
    needed = np.minimum(1.0, 10 ** (-6 / 20) / np.abs(samples).max(axis=0))
    assert (gain[0] <= needed + 1e-5).all()
