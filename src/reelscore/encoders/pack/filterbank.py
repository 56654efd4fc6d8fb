"""Mono samples enter, the log-mel picture of centred frames that a sound network wants leaves."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from reelscore.types import FloatArray

from .input import AudioInput

FRAMES_AT_ONCE = 64
"""Frames transformed together: their spectra stay in the processor's cache, which saves a third of the time."""


def log_mel(samples: FloatArray, spec: AudioInput) -> FloatArray:
    """Return the log-mel picture of samples, shape (mel_bands, frames).

    Frames are centred on multiples of `hop_samples`; the signal is mirrored at both ends by half of
    `n_fft`. Power spectrum, mel triangles, logarithm, then (x - mean) / std.
    """
    signal = np.asarray(samples, np.float32)
    if spec.preemphasis:
        signal = signal[1:] - np.float32(spec.preemphasis) * signal[:-1]
    signal = np.pad(signal, spec.n_fft // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(signal, spec.n_fft)[:: spec.hop_samples]
    window, filters = _window_and_filters(spec)
    mel = np.empty((len(frames), spec.mel_bands), np.float32)
    for start in range(0, len(frames), FRAMES_AT_ONCE):
        some = slice(start, start + FRAMES_AT_ONCE)
        spectrum = np.fft.rfft(frames[some] * window, axis=1)
        mel[some] = (spectrum.real**2 + spectrum.imag**2) @ filters
    if spec.log == "ln_plus_floor":
        level = np.log(mel + np.float32(spec.log_floor))
    else:
        level = 10 * np.log10(np.maximum(mel, np.float32(spec.log_floor)))
    return np.ascontiguousarray(((level - np.float32(spec.mean)) / np.float32(spec.std)).T, np.float32)


@lru_cache(maxsize=4)
def _window_and_filters(spec: AudioInput) -> tuple[FloatArray, FloatArray]:
    """Return the Hann window, shape (n_fft,), and the mel triangles, shape (bins, bands)."""
    period = spec.window_samples if spec.window == "hann" else spec.window_samples - 1
    before = (spec.n_fft - spec.window_samples) // 2
    window = np.zeros(spec.n_fft)
    window[before : before + spec.window_samples] = 0.5 - 0.5 * np.cos(
        2 * np.pi * np.arange(spec.window_samples) / period
    )
    bins = np.linspace(0.0, spec.rate_hz / 2, spec.n_fft // 2 + 1)
    if spec.mel_scale == "slaney":
        return window.astype(np.float32), _slaney_filters(bins, spec)
    corners = np.linspace(hz_to_mel(spec.low_hz), hz_to_mel(spec.high_hz), spec.mel_bands + 2)
    if spec.mel_triangles == "mel":
        bins = hz_to_mel(bins)
    else:
        corners = 700.0 * np.expm1(corners / 1127.0)
    return window.astype(np.float32), triangles(bins, corners).astype(np.float32)


def triangles(bins: npt.NDArray[np.float64], corners: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the triangles between each three neighbours of `corners`, peak 1, shape (bins, bands)."""
    low, centre, high = corners[:-2], corners[1:-1], corners[2:]
    rising = (bins[:, np.newaxis] - low) / (centre - low)
    falling = (high - bins[:, np.newaxis]) / (high - centre)
    return np.maximum(0.0, np.minimum(rising, falling))


def _slaney_filters(bins_hz: npt.NDArray[np.float64], spec: AudioInput) -> FloatArray:
    """Return Slaney's triangles: corners linear up to 1 kHz and logarithmic above, each of area 1 over Hz.

    mel = 3 hz / 200 below 1000 Hz, else 15 + 27 ln(hz / 1000) / ln 6.4 (Auditory Toolbox, 1998; librosa's default).
    """
    low, high = (
        3.0 * hz / 200.0 if hz < 1000.0 else 15.0 + 27.0 * np.log(hz / 1000.0) / np.log(6.4)
        for hz in (spec.low_hz, spec.high_hz)
    )
    mel = np.linspace(low, high, spec.mel_bands + 2)
    corners = np.where(mel < 15.0, 200.0 * mel / 3.0, 1000.0 * np.exp((mel - 15.0) * np.log(6.4) / 27.0))
    area = (corners[2:] - corners[:-2]) / 2.0
    return np.asarray(triangles(bins_hz, corners) / area, np.float32)


def hz_to_mel(hz: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return O'Shaughnessy's mel, 1127 ln(1 + hz / 700): the HTK and Kaldi scale."""
    return 1127.0 * np.log1p(np.asarray(hz, np.float64) / 700.0)
