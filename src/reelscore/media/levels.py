"""Loudness of samples after EBU R 128, and a true-peak limiter."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

import av
import numpy as np
import numpy.typing as npt

from reelscore.types import FloatArray

from .loudness import SILENT_LUFS, SILENT_PEAK_DB, Loudness, measure_frames

_BLOCK = 48_000
_OVERSAMPLING = 4
_TAPS = 12  # on each side of a sample, twice as many as ITU-R BS.1770
_LOOKAHEAD_S = 0.004
_RELEASE_S = 0.04


def loudness_of(samples: FloatArray, rate_hz: int, *, peak: bool = True) -> Loudness:
    """Measure stereo samples, shape (2, n), full scale 1; without `peak` as `measure_frames`.

    A sound shorter than one gating block of 0.4 s is repeated to fill it. The last 0.1 s is filled with silence, since
    the filter reports whole tenths of a second.

    References
    ----------
    EBU R 128 (2023); ITU-R BS.1770-5.
    """
    block = round(0.4 * rate_hz) + 1
    if 0 < samples.shape[1] < block:
        samples = np.tile(samples, -(-block // samples.shape[1]))
    samples = np.pad(samples, ((0, 0), (0, -samples.shape[1] % (rate_hz // 10))))
    starts = range(0, samples.shape[1], _BLOCK)
    frames = (stereo_frame(samples[:, start : start + _BLOCK], rate_hz, start) for start in starts)
    return measure_frames(frames, peak=peak) or Loudness(SILENT_LUFS, SILENT_PEAK_DB, 0.0)


def limit_peaks(samples: FloatArray, rate_hz: int, *, ceiling_db: float) -> FloatArray:
    """Lower the gain around peaks, so that no true peak exceeds a ceiling.

    The gain is the same for both channels. It falls before a peak and returns after it.

    Parameters
    ----------
    samples : ndarray of float32, shape (2, n)
    rate_hz : int
    ceiling_db : float
        Highest true peak, in dB relative to full scale, at 4x oversampling.

    Returns
    -------
    ndarray of float32, shape (2, n)
    """
    ceiling = 10 ** (ceiling_db / 20)
    peaks = _true_peaks(samples, ceiling)
    if not samples.shape[1] or peaks.max() <= ceiling:
        return samples
    needed = np.minimum(1.0, ceiling / np.maximum(peaks, 1e-9))
    half = max(1, round(_LOOKAHEAD_S * rate_hz))
    release = max(half, round(_RELEASE_S * rate_hz))
    # The smallest gain needed within the window, averaged over a window no wider: never above what a peak needs.
    lowest = _sliding_minimum(needed, half, release)
    gain = _moving_mean(_moving_mean(lowest, half), half)
    limited: FloatArray = (samples * gain).astype(np.float32)
    return limited


def stereo_frame(samples: FloatArray, rate_hz: int, start: int) -> av.AudioFrame:
    """Return samples of shape (2, n) as a planar float frame whose first sample has number `start`."""
    planes = np.ascontiguousarray(samples, dtype=np.float32)
    frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = rate_hz, start, Fraction(1, rate_hz)
    return frame


def _true_peaks(samples: FloatArray, ceiling: float) -> npt.NDArray[np.float64]:
    """Return the largest magnitude at and after each sample, over the channels, shape (n,).

    Only samples above half the ceiling are oversampled: peaks between lower ones reach the ceiling in test signals
    only.
    """
    peaks = np.abs(samples).max(axis=0, initial=0.0)
    near = peaks > 0.5 * ceiling
    near[:-1] |= near[1:]
    places = np.flatnonzero(near)
    for channel in samples:
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(channel, (_TAPS - 1, _TAPS)), 2 * _TAPS)
        for start in range(0, len(places), _BLOCK):
            at = places[start : start + _BLOCK]
            peaks[at] = np.maximum(peaks[at], np.abs(windows[at] @ _phases()).max(axis=1))
    found: npt.NDArray[np.float64] = peaks.astype(np.float64)
    return found


@lru_cache(maxsize=1)
def _phases() -> FloatArray:
    """Return the windowed sincs that interpolate at 1/4, 2/4 and 3/4 after a sample, shape (2 * _TAPS, 3)."""
    at = np.arange(-_TAPS + 1, _TAPS + 1)[:, None] - np.arange(1, _OVERSAMPLING) / _OVERSAMPLING
    kernels = np.sinc(at) * np.cos(np.pi * at / (2 * _TAPS + 1)) ** 2
    phases: FloatArray = (kernels / kernels.sum(axis=0)).astype(np.float32)
    return phases


def _sliding_minimum(values: npt.NDArray[np.float64], before: int, after: int) -> npt.NDArray[np.float64]:
    """Return the minimum from 2 * `before` samples ahead to `after` + 2 * `before` samples back."""
    ahead, back = 2 * before, after + 2 * before
    size = ahead + back + 1
    count = len(values)
    padded = np.pad(values, (back, ahead + (-(count + back + ahead)) % size), constant_values=1.0)
    # Van Herk: minima from the left and from the right inside blocks of the window's size.
    blocks = padded.reshape(-1, size)
    left = np.minimum.accumulate(blocks, axis=1).ravel()
    right = np.minimum.accumulate(blocks[:, ::-1], axis=1)[:, ::-1].ravel()
    return np.minimum(right[:count], left[size - 1 : size - 1 + count])


def _moving_mean(values: npt.NDArray[np.float64], half: int) -> npt.NDArray[np.float64]:
    """Return the mean of the 2 * `half` + 1 values around each."""
    padded = np.pad(values, (half + 1, half), mode="edge")
    total = np.cumsum(padded)
    mean: npt.NDArray[np.float64] = (total[2 * half + 1 :] - total[: -(2 * half + 1)]) / (2 * half + 1)
    return mean
