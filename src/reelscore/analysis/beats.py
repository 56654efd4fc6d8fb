"""Tempo and beats of an onset envelope.

References
----------
Dixon 2006, "Onset detection revisited" (spectral flux).
Ellis 2007, "Beat tracking by dynamic programming".
Lartillot et al. 2008, "Multi-feature modeling of pulse clarity" (height of the autocorrelation peak).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from reelscore.types import FloatArray

from .frames import FRAMES_HZ

Array = npt.NDArray[np.float64]

SLOWEST_BPM, FASTEST_BPM = 40.0, 240.0
USUAL_BPM, PRIOR_OCTAVES = 120.0, 0.7
"""Centre and standard deviation of the log-normal tempo prior."""
RANGE_DB = 80.0
"""Levels further below the loudest band are silence."""

_ONSET_DB = 1.0
_NUM_MULTIPLES = 4
_WINDOW_S = 12.0  # eight beats at the slowest tempo
_OCTAVE = 0.06  # distance from half or double the tempo, in octaves
# Four groups of bands, because a kick drum and a hi-hat repeat at different periods; low drums carry the beat.
_GROUP_WEIGHTS = np.array([3.0, 1.0, 1.0, 1.0])
_NUM_GROUPS = len(_GROUP_WEIGHTS)
_LOCAL_S = 1.5  # the period of the slowest tempo
_TIGHTNESS = 100.0  # Ellis's alpha
_ROWS = 8192


@dataclass(frozen=True, slots=True)
class Tempo:
    """Tempo, the better of half and double tempo, both in beats per minute, and beat strength in [0, 1].

    The beat strength is the mean correlation of the onsets with themselves one to four beats later.
    """

    bpm: float
    other_bpm: float
    strength: float


def onset_envelopes(mel_db: FloatArray) -> FloatArray:
    """Return the spectral flux of four groups of bands in dB, shape (F, 4), lowest group first.

    The flux is the mean increase of the bands since the previous frame, less its mean over 1.5 s.
    """
    flux = np.zeros((len(mel_db), _NUM_GROUPS), np.float32)
    if not len(mel_db):
        return flux
    floor = mel_db.max() - np.float32(RANGE_DB)
    # In parts: a two-hour track has 620,000 rows.
    for start in range(1, len(mel_db), _ROWS):
        part = np.maximum(mel_db[start - 1 : start + _ROWS], floor)
        rise = np.maximum(part[1:] - part[:-1], 0).reshape(len(part) - 1, _NUM_GROUPS, -1)
        flux[start : start + _ROWS] = rise.mean(axis=2)
    reach = round(_LOCAL_S * FRAMES_HZ / 2)
    sums = np.pad(np.cumsum(flux, axis=0, dtype=np.float64), ((1, 0), (0, 0)))
    at = np.arange(len(flux))
    low, high = np.maximum(at - reach, 0), np.minimum(at + reach + 1, len(flux))
    flux -= ((sums[high] - sums[low]) / (high - low)[:, None]).astype(np.float32)
    return flux


def find_tempo(envelopes: FloatArray) -> Tempo | None:
    """Estimate the tempo from onset envelopes of shape (F, 4).

    With a(l) the autocorrelation at lag l, a(0) = 1, averaged over windows of 12 s and the groups of bands, the lowest
    with weight 3, the tempo maximises

        prior(p) * mean_m a(m p),   m = 1 ... 4,   prior(p) = exp(-1/2 (log2(bpm(p) / 120) / 0.7)^2).

    Returns
    -------
    Tempo or None
        None without any onset, or with less than 3 s.
    """
    active = envelopes.max(axis=0, initial=0.0) >= _ONSET_DB
    if len(envelopes) < 3 * FRAMES_HZ or not active.any():
        return None
    correlations = [_autocorrelation(envelope) for envelope in envelopes.T[active]]
    correlation = np.average(correlations, axis=0, weights=_GROUP_WEIGHTS[active])
    bpm = _tempi()
    pulse = _pulse(correlation, 60 * FRAMES_HZ / bpm)
    score = pulse * np.exp(-0.5 * np.square(np.log2(bpm / USUAL_BPM) / PRIOR_OCTAVES))
    best = int(score.argmax())
    octaves = np.abs(np.log2(bpm / bpm[best]))
    other = int(np.where(np.abs(octaves - 1) < _OCTAVE, score, -np.inf).argmax())
    return Tempo(float(bpm[best]), float(bpm[other]), float(np.clip(pulse[best], 0, 1)))


def track_beats(envelopes: FloatArray, bpm: float) -> npt.NDArray[np.int64]:
    """Return the frames of the beats, ascending, from onset envelopes of shape (F, 4).

    The beats b maximise the sum of o(b_i) - 100 log(d_i / p)^2, where o is the weighted mean of the envelopes over its
    standard deviation, smoothed over 1/32 of the period p, and d_i = b_i - b_(i-1) is between p/2 and 2p (Ellis
    2007).
    """
    period = 60 * FRAMES_HZ / bpm
    reach = int(period)
    kernel = np.exp(-0.5 * np.square(32 * np.arange(-reach, reach + 1) / period))
    envelope = envelopes @ _GROUP_WEIGHTS
    local = np.convolve(envelope / max(float(envelope.std()), 1e-9), kernel, mode="same")
    total, before = _best_paths(local, period)
    last = _last_beat(total)
    beats = [last]
    while before[beats[-1]] >= 0:
        beats.append(int(before[beats[-1]]))
    return _without_weak_ends(np.array(beats[::-1], np.int64), local)


def _best_paths(local: Array, period: float) -> tuple[Array, npt.NDArray[np.int64]]:
    """Return the best score of a sequence that ends at each frame, and its last beat but one, or -1."""
    nearest, furthest = max(1, round(period / 2)), round(2 * period)
    lags = np.arange(nearest, furthest + 1)
    cost = _TIGHTNESS * np.square(np.log(lags / period))
    # The scores of frames t ... t + nearest - 1 depend on earlier ones only, so they are computed together.
    total = np.zeros(furthest + len(local))
    before = np.full(len(local), -1, np.int64)
    for start in range(0, len(local), nearest):
        end = min(start + nearest, len(local))
        at = np.arange(start, end)[:, None] - lags
        scores = total[at + furthest] - cost
        scores[at < 0] = -np.inf
        pick = scores.argmax(axis=1)
        best = scores[np.arange(end - start), pick]
        # A sequence may begin anywhere: an earlier beat is kept only if it adds to the score.
        joined = best > 0
        total[furthest + start : furthest + end] = local[start:end] + np.where(joined, best, 0)
        before[start:end] = np.where(joined, at[np.arange(end - start), pick], -1)
    return total[furthest:], before


def _last_beat(total: Array) -> int:
    """Return the last local maximum of at least half the median of all local maxima."""
    peaks = np.flatnonzero((total > np.roll(total, 1)) & (total >= np.roll(total, -1)))
    if not len(peaks):
        return int(total.argmax())
    return int(peaks[total[peaks] >= 0.5 * np.median(total[peaks])][-1])


def _without_weak_ends(beats: npt.NDArray[np.int64], local: Array) -> npt.NDArray[np.int64]:
    """Drop the beats before the first and after the last with half the usual onset strength."""
    strength = local[beats]
    strong = np.flatnonzero(strength >= 0.5 * np.sqrt(np.mean(np.square(strength))))
    return beats[strong[0] : strong[-1] + 1] if len(strong) else beats[:0]


def _autocorrelation(envelope: FloatArray) -> Array:
    """Return the unbiased autocorrelation of an envelope of mean 0, averaged over windows, a(0) = 1."""
    length = min(len(envelope), round(_WINDOW_S * FRAMES_HZ))
    starts = np.arange(0, len(envelope) - length + 1, max(1, length // 2))
    centred = envelope.astype(np.float64)
    total = np.zeros(length)
    for start in starts:
        spectrum = np.fft.rfft(centred[start : start + length], 2 * length)
        total += np.fft.irfft(np.square(spectrum.real) + np.square(spectrum.imag), 2 * length)[:length]
    unbiased: Array = total / np.arange(length, 0, -1) * (length / max(total[0], 1e-12))
    return unbiased


def _pulse(correlation: Array, period: Array) -> Array:
    """Return the mean correlation at the multiples of each period that fit."""
    at = np.arange(1, _NUM_MULTIPLES + 1) * period[:, None]
    fits = at <= 0.75 * len(correlation)
    values = np.interp(at, np.arange(len(correlation)), correlation)
    mean: Array = (values * fits).sum(axis=1) / np.maximum(fits.sum(axis=1), 1)
    return mean


@lru_cache(maxsize=1)
def _tempi() -> Array:
    """Return candidate tempi, half a percent apart."""
    return np.geomspace(SLOWEST_BPM, FASTEST_BPM, 360)
