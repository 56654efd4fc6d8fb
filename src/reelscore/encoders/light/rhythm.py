"""Onsets, tempo and beat strength of a log-mel spectrogram.

References
----------
Dixon 2006, "Onset detection revisited" (spectral flux, peak picking).
Ellis 2007, "Beat tracking by dynamic programming" (autocorrelation of the onset envelope with a log-normal
tempo prior around 120 beats per minute).
Lartillot et al. 2008, "Multi-feature modeling of pulse clarity" (height of the autocorrelation peak).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from reelscore.types import FloatArray

from .spectrum import FRAMES_HZ

USUAL_BPM = 120.0
"""Centre of the tempo prior, and the tempo without a beat (with beat strength 0)."""

SLOWEST_BPM, FASTEST_BPM = 40.0, 240.0
RANGE_DB = 80.0
"""Levels further below the loudest band are silence."""

_ONSET_DB = 1.0
_NUM_BEATS = 4
_MIN_BEATS = 3


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Onsets per second, mean and deviation of the onset envelope in dB, tempo in bpm, beat strength in [0, 1]."""

    onset_rate_hz: float
    onset_mean_db: float
    onset_std_db: float
    tempo_bpm: float
    beat_strength: float


def describe_rhythm(mel_db: FloatArray) -> Rhythm:
    """Compute the rhythm of a log-mel spectrogram of shape (F, bands) with `FRAMES_HZ` frames per second.

    The result does not depend on the level while the audio is above the floor.
    """
    envelope = onset_envelope(mel_db)
    tempo_bpm, strength = tempo(envelope)
    onsets = pick_onsets(envelope)
    return Rhythm(
        onset_rate_hz=len(onsets) * FRAMES_HZ / len(envelope),
        onset_mean_db=float(envelope.mean()),
        onset_std_db=float(envelope.std()),
        tempo_bpm=tempo_bpm,
        beat_strength=strength,
    )


def onset_envelope(mel_db: FloatArray) -> FloatArray:
    """Return the spectral flux in dB, shape (F,): the mean increase of the bands since the previous frame."""
    floored = np.maximum(mel_db, mel_db.max() - np.float32(RANGE_DB))
    envelope = np.zeros(len(mel_db), np.float32)
    envelope[1:] = np.maximum(floored[1:] - floored[:-1], 0).mean(axis=1)
    return envelope


def pick_onsets(envelope: FloatArray) -> npt.NDArray[np.int64]:
    """Return the frames of the onsets.

    An onset is the maximum within 30 ms, exceeds the mean within 100 ms by at least 1 dB and 7 % of the highest peak,
    and comes at least 30 ms after the previous one.
    """
    near = max(1, math.ceil(0.03 * FRAMES_HZ))
    wide = max(1, math.ceil(0.1 * FRAMES_HZ))
    maxima = _neighbours(envelope, near, -np.inf).max(axis=1)
    means = np.nanmean(_neighbours(envelope, wide, np.nan), axis=1)
    threshold = means + max(_ONSET_DB, 0.07 * float(envelope.max()))
    chosen: list[int] = []
    for frame in np.flatnonzero((envelope >= maxima) & (envelope >= threshold)):
        if not chosen or frame - chosen[-1] > near:
            chosen.append(int(frame))
    return np.array(chosen, np.int64)


def tempo(envelope: FloatArray) -> tuple[float, float]:
    """Return the tempo in beats per minute and the beat strength in [0, 1] of an onset envelope of shape (F,).

    With a(l) the autocorrelation of the centred envelope at lag l, a(0) = 1, a period p has the score

        s(p) = prior(p) * (mean_m a(m p) - 1/2 mean_m a((m - 1/2) p)),   m = 1 ... 4,
        prior(p) = exp(-1/2 log2(bpm(p) / 120)^2),

    so that a beat at half the tempo is penalised for the beats that it skips. The tempo maximises s, and the beat
    strength is mean_m a(m p) there. With fewer than three beats, or no onset, they are 120 and 0.
    """
    bpm = _tempi(len(envelope))
    centred = envelope.astype(np.float64) - float(envelope.mean())
    energy = float(centred @ centred)
    if not len(bpm) or float(envelope.max()) < _ONSET_DB or energy == 0:
        return USUAL_BPM, 0.0
    correlation = _autocorrelation(centred)
    on, off = _pulse(correlation, bpm)
    score = (on - 0.5 * off) * np.exp(-0.5 * np.square(np.log2(bpm / USUAL_BPM)))
    best = int(score.argmax())
    if score[best] <= 0:
        return USUAL_BPM, 0.0
    return float(bpm[best]), float(np.clip(on[best], 0.0, 1.0))


def _autocorrelation(centred: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the unbiased autocorrelation: each lag is divided by its number of products."""
    size = len(centred)
    spectrum = np.fft.rfft(centred, 2 * size)
    raw = np.fft.irfft(np.square(spectrum.real) + np.square(spectrum.imag), 2 * size)[:size]
    unbiased: npt.NDArray[np.float64] = raw / np.arange(size, 0, -1) * (size / raw[0])
    return unbiased


def _pulse(
    correlation: npt.NDArray[np.float64], bpm: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the mean correlation at whole and at half multiples of each period, over the multiples that fit."""
    period = 60 * FRAMES_HZ / bpm[:, None]
    longest = 0.75 * len(correlation)
    lags = np.arange(len(correlation))
    beats = np.arange(1, _NUM_BEATS + 1)
    out = []
    for multiples in (beats, beats - 0.5):
        at = multiples * period
        fits = at <= longest
        values = np.interp(at, lags, correlation)
        out.append((values * fits).sum(axis=1) / np.maximum(fits.sum(axis=1), 1))
    return out[0], out[1]


@lru_cache(maxsize=64)
def _tempi(num_frames: int) -> npt.NDArray[np.float64]:
    """Return candidate tempi, half a percent apart, with at least `_MIN_BEATS` beats in `num_frames`."""
    grid = np.geomspace(SLOWEST_BPM, FASTEST_BPM, 360)
    return grid[60 * FRAMES_HZ / grid * _MIN_BEATS <= num_frames]


def _neighbours(values: FloatArray, reach: int, fill: float) -> FloatArray:
    padded = np.pad(values, reach, constant_values=fill)
    windows: FloatArray = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    return windows
