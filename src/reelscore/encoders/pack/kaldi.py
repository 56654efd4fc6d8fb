"""Mono samples enter, Kaldi's logarithmic filter bank leaves, as AST and its relatives hear it.

Frames begin where the sound begins and end inside it; each loses its mean and is pre-emphasised by itself.

References
----------
Povey et al. 2011, "The Kaldi speech recognition toolkit" (feature-window.cc, mel-computations.cc).
Gong, Chung and Glass 2021, "AST: Audio spectrogram transformer", whose input this is (Hann window, floor 2^-23).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from reelscore.types import FloatArray

from .filterbank import FRAMES_AT_ONCE, hz_to_mel, triangles
from .input import FilterBankInput


def filter_bank(samples: FloatArray, spec: FilterBankInput) -> FloatArray:
    """Return the filter bank of samples, shape (frames, mel_bands).

    Frame k holds the samples from k hop on. Its mean is taken off, then y[n] = x[n] - c x[n - 1] with
    y[0] = (1 - c) x[0], the window, the power spectrum of `n_fft` and the triangles; the logarithm of at least
    `log_floor`. Rows of 0 follow fewer frames than ``spec.frames``, more are cut off; last (x - mean) / std.

    Parameters
    ----------
    samples : ndarray of float32, shape (n,)
        Mono sound at the input's `rate_hz`, n >= `window_samples`.
    spec : FilterBankInput
        The frames, the bands and the scale.
    """
    length = spec.window_samples
    frames = np.lib.stride_tricks.sliding_window_view(samples, length)[:: spec.hop_samples]
    frames = frames[: spec.frames or None]
    window, filters = _window_and_filters(spec)
    levels = np.zeros((spec.frames or len(frames), spec.mel_bands))
    for start in range(0, len(frames), FRAMES_AT_ONCE):
        # float64: the mean of a frame is often far larger than its quietest band.
        some = frames[start : start + FRAMES_AT_ONCE].astype(np.float64)
        some -= some.mean(axis=1, keepdims=True)
        before = np.concatenate((some[:, :1], some[:, :-1]), axis=1)
        spectrum = np.fft.rfft((some - spec.preemphasis * before) * window, spec.n_fft, axis=1)
        power = (spectrum.real**2 + spectrum.imag**2) @ filters
        levels[start : start + len(some)] = np.log(np.maximum(power, spec.log_floor))
    return np.ascontiguousarray((levels - spec.mean) / spec.std, np.float32)


@lru_cache(maxsize=4)
def _window_and_filters(spec: FilterBankInput) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the window, shape (window_samples,), and the triangles, straight in mel, shape (bins, bands)."""
    turns = np.arange(spec.window_samples) / (spec.window_samples - 1)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * turns)
    if spec.window == "povey":
        window = window**0.85
    bins = hz_to_mel(np.linspace(0.0, spec.rate_hz / 2, spec.n_fft // 2 + 1))
    corners = np.linspace(hz_to_mel(spec.low_hz), hz_to_mel(spec.high_hz), spec.mel_bands + 2)
    return window, triangles(bins, corners)
