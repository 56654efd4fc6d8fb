"""Log-mel spectrograms and Kaldi log filter banks as network inputs.

References
----------
Povey et al. 2011, "The Kaldi speech recognition toolkit" (feature-window.cc, mel-computations.cc).
Gong, Chung and Glass 2021, "AST: Audio spectrogram transformer" (Kaldi filter bank with a Hann window, floor 2^-23).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from reelscore.encoders.mel import mel_filters
from reelscore.types import FloatArray

from .inputs import FilterBankInput, LogMelInput, SpectrumInput

_BLOCK_FRAMES = 64
"""Frames transformed at once. Their spectra stay in the processor's cache, which is a third faster."""


def log_mel(samples: FloatArray, spec: LogMelInput) -> FloatArray:
    """Return the log-mel spectrogram of samples, shape (mel_bands, frames).

    Frame k is centred on sample k * `hop_samples`; half of `n_fft` is reflected at both ends. The power spectrum is
    multiplied by the mel filters, then come the logarithm and (x - mean) / std.
    """
    signal = np.asarray(samples, np.float32)
    if spec.preemphasis:
        signal = signal[1:] - np.float32(spec.preemphasis) * signal[:-1]
    signal = np.pad(signal, spec.n_fft // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(signal, spec.n_fft)[:: spec.hop_samples]
    window, filters = _log_mel_tables(spec)
    mel = np.empty((len(frames), spec.mel_bands), np.float32)
    for start in range(0, len(frames), _BLOCK_FRAMES):
        block = slice(start, start + _BLOCK_FRAMES)
        spectrum = np.fft.rfft(frames[block] * window, axis=1)
        mel[block] = (spectrum.real**2 + spectrum.imag**2) @ filters
    if spec.log == "ln_plus_floor":
        level = np.log(mel + np.float32(spec.log_floor))
    else:
        level = 10 * np.log10(np.maximum(mel, np.float32(spec.log_floor)))
    return np.ascontiguousarray(((level - np.float32(spec.mean)) / np.float32(spec.std)).T, np.float32)


def log_filter_bank(samples: FloatArray, spec: FilterBankInput) -> FloatArray:
    """Return Kaldi's log filter bank of samples, shape (frames, mel_bands).

    Frame k starts at sample k * `hop_samples`. Each frame loses its mean and is pre-emphasised on its own:
    y[n] = x[n] - c x[n - 1] with y[0] = (1 - c) x[0]. The power spectrum of `n_fft` is multiplied by the mel filters,
    then come ln(max(x, `log_floor`)) and (x - mean) / std. Frames are cut, or padded with level 0, to ``spec.frames``.

    Parameters
    ----------
    samples : ndarray of float32, shape (n,)
        Mono samples at `rate_hz`, n >= `window_samples`.
    spec : FilterBankInput
    """
    length = spec.window_samples
    frames = np.lib.stride_tricks.sliding_window_view(samples, length)[:: spec.hop_samples]
    frames = frames[: spec.frames or None]
    window, filters = _filter_bank_tables(spec)
    levels = np.zeros((spec.frames or len(frames), spec.mel_bands))
    for start in range(0, len(frames), _BLOCK_FRAMES):
        # float64, because the mean of a frame is often far larger than its quietest band.
        block = frames[start : start + _BLOCK_FRAMES].astype(np.float64)
        block -= block.mean(axis=1, keepdims=True)
        previous = np.concatenate((block[:, :1], block[:, :-1]), axis=1)
        spectrum = np.fft.rfft((block - spec.preemphasis * previous) * window, spec.n_fft, axis=1)
        power = (spectrum.real**2 + spectrum.imag**2) @ filters
        levels[start : start + len(block)] = np.log(np.maximum(power, spec.log_floor))
    return np.ascontiguousarray((levels - spec.mean) / spec.std, np.float32)


@lru_cache(maxsize=4)
def _log_mel_tables(spec: LogMelInput) -> tuple[FloatArray, FloatArray]:
    """Return the Hann window, shape (n_fft,), and the mel filters, shape (bins, bands)."""
    period = spec.window_samples if spec.window == "hann" else spec.window_samples - 1
    before = (spec.n_fft - spec.window_samples) // 2
    window = np.zeros(spec.n_fft)
    window[before : before + spec.window_samples] = 0.5 - 0.5 * np.cos(
        2 * np.pi * np.arange(spec.window_samples) / period
    )
    filters = _mel_filters(spec, scale=spec.mel_scale, linear_in=spec.mel_triangles)
    return window.astype(np.float32), filters.astype(np.float32)


@lru_cache(maxsize=4)
def _filter_bank_tables(spec: FilterBankInput) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the window, shape (window_samples,), and the mel filters, shape (bins, bands)."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(spec.window_samples) / (spec.window_samples - 1)))
    if spec.window == "povey":
        window = window**0.85
    return window, _mel_filters(spec, scale="htk", linear_in="mel")


def _mel_filters(
    spec: SpectrumInput, *, scale: Literal["htk", "slaney"], linear_in: Literal["hz", "mel"]
) -> npt.NDArray[np.float64]:
    return mel_filters(
        spec.mel_bands,
        rate_hz=spec.rate_hz,
        n_fft=spec.n_fft,
        low_hz=spec.low_hz,
        high_hz=spec.high_hz,
        scale=scale,
        linear_in=linear_in,
    )
