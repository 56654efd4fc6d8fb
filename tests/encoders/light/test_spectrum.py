"""Frame features against librosa."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from reelscore.encoders.light import spectrum as sp
from reelscore.encoders.light.spectrum import FRAME, HOP, NUM_MEL, RATE_HZ
from support.sounds import frames_of, noise, tone, tune


@pytest.fixture(scope="module")
def sound():
    return tune(4.0, seed=3)


@pytest.fixture(scope="module")
def rows(sound):
    return frames_of(sound)


@pytest.fixture(scope="module")
def power(sound):
    """Power spectrogram of librosa, (bins, F)."""
    return np.abs(librosa.stft(sound, n_fft=FRAME, hop_length=HOP, pad_mode="constant")) ** 2


def test_mel_filters_are_librosas():
    np.testing.assert_allclose(
        sp.mel_filters(), librosa.filters.mel(sr=RATE_HZ, n_fft=FRAME, n_mels=NUM_MEL), atol=1e-7
    )


def test_chroma_filters_are_librosas_within_55_to_5000_hz():
    expected = librosa.filters.chroma(sr=RATE_HZ, n_fft=FRAME, tuning=0.0, octwidth=None)
    bins_hz = librosa.fft_frequencies(sr=RATE_HZ, n_fft=FRAME)
    inside = (bins_hz >= 55) & (bins_hz <= 5000)
    np.testing.assert_allclose(sp.chroma_filters(), expected * inside, atol=1e-6)


def test_as_many_frames_as_librosa(rows, power):
    assert len(rows) == power.shape[1]


def test_mel_bands_are_librosas(rows, power):
    mel = librosa.feature.melspectrogram(S=power, sr=RATE_HZ, n_mels=NUM_MEL)
    np.testing.assert_allclose(rows[:, sp.MEL], 10 * np.log10(np.maximum(mel, 1e-10)).T, atol=0.02)


def test_mfcc_are_librosas(rows):
    expected = librosa.feature.mfcc(S=rows[:, sp.MEL].T, n_mfcc=13)
    np.testing.assert_allclose(sp.mfcc(rows[:, sp.MEL]), expected.T, atol=1e-3)


def test_chroma_is_librosas(rows, power):
    bins_hz = librosa.fft_frequencies(sr=RATE_HZ, n_fft=FRAME)
    notes = np.sqrt(power) * ((bins_hz >= 55) & (bins_hz <= 5000))[:, None]
    expected = librosa.feature.chroma_stft(S=notes, sr=RATE_HZ, tuning=0.0, octwidth=None)
    np.testing.assert_allclose(rows[:, sp.CHROMA], expected.T, atol=1e-3)


@pytest.mark.parametrize(
    ("column", "reference", "atol"),
    [
        (sp.CENTROID, lambda S: librosa.feature.spectral_centroid(S=S, sr=RATE_HZ), 0.5),
        (sp.BANDWIDTH, lambda S: librosa.feature.spectral_bandwidth(S=S, sr=RATE_HZ), 0.5),
        (sp.FLATNESS, lambda S: 10 * np.log10(librosa.feature.spectral_flatness(S=S)), 0.02),
    ],
    ids=["centroid", "bandwidth", "flatness"],
)
def test_shape_is_librosas(rows, power, column, reference, atol):
    np.testing.assert_allclose(rows[:, column], reference(np.sqrt(power))[0], atol=atol)


def test_rolloff_is_librosas(rows, power):
    expected = librosa.feature.spectral_rolloff(S=np.sqrt(power), sr=RATE_HZ)[0]
    off = np.abs(rows[:, sp.ROLLOFF] - expected) / (RATE_HZ / FRAME)
    assert (off < 0.01).mean() > 0.99  # one bin off where the sum is 85 % up to rounding
    assert off.max() < 1.01


def test_level_is_librosas(rows, sound):
    expected = librosa.feature.rms(y=sound, frame_length=FRAME, hop_length=HOP)[0]
    np.testing.assert_allclose(np.sqrt(rows[:, sp.LEVEL]), expected, atol=1e-5)


def test_contrast_against_a_loop_over_sorted_bins(rows, power):
    bins_hz = np.arange(FRAME // 2 + 1) * RATE_HZ / FRAME
    edges = [0, *(200 * 2**k for k in range(6)), np.inf]
    for frame in (0, 17, len(rows) - 1):
        for band in range(7):
            inside = np.sort(power[(bins_hz >= edges[band]) & (bins_hz < edges[band + 1]), frame])
            count = max(1, round(0.02 * len(inside)))
            peak, valley = inside[-count:].mean(), inside[:count].mean()
            expected = 10 * np.log10(peak / max(valley, 1e-8 * peak))
            assert rows[frame, sp.CONTRAST][band] == pytest.approx(expected, abs=0.05)


def test_contrast_tells_tones_from_noise():
    of_tones, of_noise = (
        frames_of(s)[20:60, sp.CONTRAST].mean() for s in (tone([330, 1000, 4000], 2), noise(2))
    )
    assert of_tones > of_noise + 10


def test_silence_is_finite():
    rows = frames_of(np.zeros(RATE_HZ, np.float32))
    assert np.isfinite(rows).all()
    assert not rows[:, sp.CHROMA].any()
    np.testing.assert_allclose(rows[:, sp.MEL], -100, atol=1e-4)
