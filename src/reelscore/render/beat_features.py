"""Features of each beat of a track, and the cost of a seam between any two beats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reelscore.analysis.frames import CHROMA_HZ, FRAMES_HZ, Frames
from reelscore.encoders.light.spectrum import mfcc
from reelscore.errors import InputError
from reelscore.types import FloatArray

Array = npt.NDArray[np.float64]

CONTEXT_BEATS = 4
"""Beats that are compared on each side of a seam."""
_ONSET_BINS = 8
_LEAST_BEAT_S = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Beats:
    """Beats of a track and their features.

    Attributes
    ----------
    times_s : ndarray of float64, shape (B,)
        Measured times, ascending.
    positions : ndarray of int64, shape (B,)
        Position in the bar, 0 for a downbeat.
    end_s : float
        End of the audible sound.
    features : ndarray of float32, shape (B, 12 + 13 + 8)
        Unit-norm chroma, standardised MFCC, and unit-norm onset pattern inside the beat.
    """

    times_s: Array
    positions: npt.NDArray[np.int64]
    end_s: float
    features: FloatArray

    @property
    def lengths_s(self) -> Array:
        """Length of each beat; the last one reaches to the end of the sound."""
        return np.diff(self.times_s, append=self.end_s)


def describe_beats(frames: Frames, beats_s: Array, is_downbeat: npt.NDArray[np.bool_]) -> Beats:
    """Compute the features of a track's beats.

    Parameters
    ----------
    frames : Frames
        Features of the whole track.
    beats_s : ndarray of float64, shape (B,)
        Times of the beats, ascending.
    is_downbeat : ndarray of bool, shape (B,)
        Whether a bar starts at the beat.

    Raises
    ------
    InputError
        If there are fewer than two contexts of beats.
    """
    decibels = frames.mel_db
    end_s = _audible_end_s(decibels, frames.duration_s)
    inside = beats_s < end_s - _LEAST_BEAT_S
    times = np.asarray(beats_s[inside], np.float64)
    if len(times) < 4 * CONTEXT_BEATS:
        raise InputError(
            f"the track has {len(times)} beats, expected at least {4 * CONTEXT_BEATS}; choose another track, or omit "
            "--fit for a part of this one"
        )
    flux = np.maximum(np.diff(decibels, axis=0, prepend=decibels[:1]), 0).mean(axis=1)
    edges = np.append(times, min(end_s, times[-1] + float(np.median(np.diff(times)))))
    chroma = _unit(_means(frames.chroma, edges * CHROMA_HZ))
    timbre = _means(mfcc(decibels), edges * FRAMES_HZ)
    timbre = (timbre - timbre.mean(axis=0)) / np.maximum(timbre.std(axis=0), 1e-6)
    parts = edges[:-1, None] + np.diff(edges)[:, None] * np.arange(_ONSET_BINS) / _ONSET_BINS
    onsets = _means(flux[:, None], np.append(parts.ravel(), edges[-1]) * FRAMES_HZ).reshape(-1, _ONSET_BINS)
    features = np.concatenate([chroma, timbre, _unit(onsets)], axis=1).astype(np.float32)
    return Beats(times, _positions(np.asarray(is_downbeat, bool)[inside]), end_s, features)


def seam_costs(beats: Beats) -> Array:
    """Return the cost of playing beat j in place of beat i, given what precedes and follows both, shape (B, B).

    The cost is the distance of the contexts of `CONTEXT_BEATS` beats on both sides, relative to the median distance of
    neighbouring contexts: 0 where the music repeats exactly, 1 where it changes as much as from one beat to the next.

    References
    ----------
    Wenner et al. 2013, "Scalable music: automatic music retargeting and synthesis". Features and scale are ours.
    """
    distance = _distances(beats.features)
    count = len(distance)
    missing = float(np.percentile(distance, 90))
    total = np.zeros((count, count))
    for step in range(-CONTEXT_BEATS, CONTEXT_BEATS):
        shifted = np.full((count, count), missing)
        low, high = max(0, -step), min(count, count - step)
        shifted[low:high, low:high] = distance[low + step : high + step, low + step : high + step]
        total += shifted / (2 * CONTEXT_BEATS)
    natural = float(np.median(np.diagonal(total, 1)))
    costs: Array = total / max(natural, 1e-9)
    return costs


def _positions(is_downbeat: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return the number of beats since the last downbeat; those before the first one count down to it."""
    at = np.arange(len(is_downbeat))
    downbeats = np.flatnonzero(is_downbeat)
    if not len(downbeats):
        return np.zeros(len(is_downbeat), np.int64)
    meter = round(float(np.median(np.diff(downbeats)))) if len(downbeats) > 1 else 1
    last = np.searchsorted(downbeats, at, side="right") - 1
    positions: npt.NDArray[np.int64] = (at - downbeats[last]) % max(meter, 1)
    return positions


def _distances(features: FloatArray) -> Array:
    """Return distances of beats: chroma, timbre and onset pattern, each with a mean of 1, equally weighted."""
    total = np.zeros((len(features), len(features)))
    for part in (slice(0, 12), slice(12, -_ONSET_BINS), slice(-_ONSET_BINS, None)):
        columns = features[:, part].astype(np.float64)
        squares = np.square(columns).sum(axis=1)
        distance = np.sqrt(np.maximum(squares[:, None] + squares - 2 * columns @ columns.T, 0))
        # The floor keeps the noise of a constant feature, such as the pattern of a steady pulse, small.
        total += distance / max(float(distance.mean()), 0.1) / 3
    np.fill_diagonal(total, 0)
    return total


def _audible_end_s(mel_db: FloatArray, duration_s: float) -> float:
    """Return the time after which every frame is 60 dB below the loudest."""
    level = mel_db.max(axis=1, initial=-np.inf)
    loud = np.flatnonzero(level > level.max(initial=-np.inf) - 60)
    return min(duration_s, (int(loud[-1]) + 2) / FRAMES_HZ) if len(loud) else 0.0


def _means(values: FloatArray, edges: Array) -> Array:
    """Return means of the rows between successive places; a short interval takes its nearest row."""
    places = np.clip(np.round(edges).astype(int), 0, len(values) - 1)
    total = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0, dtype=np.float64)])
    low, high = places[:-1], np.maximum(places[1:], places[:-1] + 1)
    means: Array = (total[high] - total[low]) / (high - low)[:, None]
    return means


def _unit(values: Array) -> Array:
    unit: Array = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-9)
    return unit
