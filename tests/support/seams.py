"""Measures of how audible a seam in music is."""

from __future__ import annotations

import numpy as np

from reelscore.encoders.light.spectrum import CHROMA, FRAME, HOP, RATE_HZ, describe_frames

BURST_HZ = 9_000
_FRAME = 256


def burst_db(samples, rate_hz, at_s):
    """Return the largest energy above 9 kHz within 12 ms of a time, over the mean of the half second around."""
    middle, around, near = round(at_s * rate_hz), round(0.25 * rate_hz), round(0.012 * rate_hz)
    part = samples[max(0, middle - around) : middle + around]
    count = (len(part) - _FRAME) // 64 + 1
    frames = np.lib.stride_tricks.sliding_window_view(part, _FRAME)[::64][:count] * np.hanning(_FRAME)
    bins = np.fft.rfft(frames, axis=1)[:, int(BURST_HZ * _FRAME / rate_hz) + 1 :]
    energy = np.square(np.abs(bins)).sum(axis=1) + 1e-9
    centres = np.arange(count) * 64 + _FRAME // 2 - (middle - max(0, middle - around))
    return 10 * np.log10(energy[np.abs(centres) <= near].max() / energy.mean())


def phase_error_s(beats_s, at_s):
    """Return the difference of the beat interval across a time from the usual one."""
    index = int(np.searchsorted(beats_s, at_s - 1e-6))
    around = np.diff(beats_s[max(0, index - 5) : index + 5])
    across = beats_s[index] - beats_s[index - 1]
    return abs(across - np.median(around))


def harmony_distance(heard, source, rate_hz, *, at_s, source_s, context_s=1.0):
    """Return how much the chroma after a time differs from what the source plays after `source_s`.

    0 means equal, 1 the mean difference of two places of the source.
    """
    after = _chroma(heard, rate_hz)
    wanted = _chroma(source, rate_hz)
    frames = round(context_s * RATE_HZ / HOP)
    one = after[_frame(at_s) + 2 :][:frames].mean(axis=0)
    two = wanted[_frame(source_s) + 2 :][:frames].mean(axis=0)
    blocks = [wanted[i : i + frames].mean(axis=0) for i in range(0, len(wanted) - frames, frames)]
    usual = np.mean([np.linalg.norm(a - b) for a in blocks for b in blocks if a is not b])
    return np.linalg.norm(one - two) / usual


def _frame(time_s):
    return round(time_s * RATE_HZ / HOP)


def _chroma(samples, rate_hz):
    step = rate_hz / RATE_HZ
    low = np.interp(np.arange(0, len(samples), step), np.arange(len(samples)), samples).astype(np.float32)
    padded = np.pad(low, (FRAME // 2, FRAME))
    count = 1 + len(low) // HOP
    return describe_frames(padded[: (count - 1) * HOP + FRAME])[:, CHROMA]
