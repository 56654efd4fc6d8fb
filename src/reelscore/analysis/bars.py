"""Meter and downbeats of a track with known beats.

References
----------
Goto 2001, "An audio-based real-time beat tracking system for music with or without drum-sounds" (chord changes and
low drums mark the bar).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reelscore.types import FloatArray

from .frames import CHROMA_STEP, FRAMES_HZ

Array = npt.NDArray[np.float64]

METERS = (4, 3)
"""Beats in a bar; the first is assumed where the accents decide nothing."""
_NEAR_S = 0.07
_LARGEST_ACCENT = 3.0
_SLIP = 20.0  # cost of a bar of another length: more than three of the largest accents
_CHANCE = 0.5  # the advantage that the best of several choices has on random accents
_LEAST_ONSET_DB, _LEAST_CHANGE = 0.3, 0.01  # smaller deviations are noise, not accents
_WALTZ_GAIN = 1.15
_MIN_BARS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """Beats in a bar, the indices of the downbeats among the beats, and a confidence in [0, 1].

    The confidence is the mean accent of the downbeats less that of the next best choice, in standard deviations, less
    0.5 for chance.
    """

    meter: int
    downbeats: npt.NDArray[np.int64]
    confidence: float


def find_bars(beats: npt.NDArray[np.int64], low_envelope: FloatArray, chroma: FloatArray) -> Bars:
    """Estimate meter and downbeats from accents of the lowest bands and changes of chroma.

    Parameters
    ----------
    beats : ndarray of int64, shape (B,)
        Frames of the beats.
    low_envelope : ndarray of float32, shape (F,)
        Onset envelope of the lowest group of bands.
    chroma : ndarray of float32, shape (G, 12)
        One vector for every `CHROMA_STEP` frames.

    Returns
    -------
    Bars
        4/4 from the first beat with confidence 0 if there are less than four bars.
    """
    if len(beats) < _MIN_BARS * METERS[0]:
        return Bars(METERS[0], np.arange(0, len(beats), METERS[0]), 0.0)
    accents = _accents(beats, low_envelope, chroma)
    found = {meter: _best_bars(accents, meter) for meter in METERS}
    contrasts = {meter: _contrast(accents, positions == 0) for meter, positions in found.items()}
    meter = 3 if contrasts[3] > _WALTZ_GAIN * contrasts[4] else 4
    positions = found[meter]
    others = [_contrast(accents, positions == shift) for shift in range(1, meter)]
    confidence = float(np.clip(contrasts[meter] - max(others) - _CHANCE, 0, 1))
    return Bars(meter, np.flatnonzero(positions == 0), confidence)


def _accents(beats: npt.NDArray[np.int64], low_envelope: FloatArray, chroma: FloatArray) -> Array:
    """Return the sum of the standardised low onset and chroma change at each beat."""
    reach = round(_NEAR_S * FRAMES_HZ)
    padded = np.pad(low_envelope.astype(np.float64), reach)
    low = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)[beats].max(axis=1)
    sums = np.pad(np.cumsum(chroma, axis=0, dtype=np.float64), ((1, 0), (0, 0)))
    edges = np.minimum(np.append(beats, 2 * beats[-1] - beats[-2]) // CHROMA_STEP + 1, len(chroma))
    means = np.diff(sums[edges], axis=0)
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
    change = 1 - np.sum(means[1:] * means[:-1], axis=1)
    change = np.append(change.mean(), change)
    return _standardised(low, _LEAST_ONSET_DB) + _standardised(change, _LEAST_CHANGE)


def _standardised(values: Array, least: float) -> Array:
    scaled: Array = (values - values.mean()) / max(float(values.std()), least)
    return np.clip(scaled, -_LARGEST_ACCENT, _LARGEST_ACCENT)


def _best_bars(accents: Array, meter: int) -> npt.NDArray[np.int64]:
    """Return the position of each beat in its bar that puts most accents on position 0 (Viterbi).

    A beat that is not followed by the next position costs `_SLIP`, so that one beat too many or too few does not turn
    all later bars.
    """
    gain = np.full(meter, -1 / (meter - 1))
    gain[0] = 1.0
    score = accents[0] * gain
    came = np.empty((len(accents), meter), np.int64)
    for row, accent in enumerate(accents[1:], start=1):
        regular = np.roll(score, 1)
        slip = int(score.argmax())
        slipped = score[slip] - _SLIP > regular
        came[row] = np.where(slipped, slip, np.arange(-1, meter - 1) % meter)
        score = np.where(slipped, score[slip] - _SLIP, regular) + accent * gain
    positions = np.empty(len(accents), np.int64)
    positions[-1] = int(score.argmax())
    for row in range(len(accents) - 1, 0, -1):
        positions[row - 1] = came[row, positions[row]]
    return positions


def _contrast(accents: Array, down: npt.NDArray[np.bool_]) -> float:
    """Return the mean accent on the downbeats less that on the other beats, in standard deviations."""
    if not down.any() or down.all():
        return 0.0
    return float((accents[down].mean() - accents[~down].mean()) / max(float(accents.std()), 1e-9))
