"""Move the start of a moment within a bar, so that the video's cuts fall on beats.

References
----------
Gouyon and Dixon 2005, "A review of automatic rhythm description systems" (tolerance of beat positions).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from reelscore.analysis.rhythm import Rhythm

Array = npt.NDArray[np.float64]

MIN_CUTS = 5
"""Fewer cuts cannot be distinguished from random ones (power .63 at five cuts with 30 % off the beat)."""

_STEP_S = 0.01
_TOLERANCE_S = 0.05  # a frame at 25 Hz and the error of a beat
_DOWNBEAT_SHARE = 0.5
_NUM_RANDOM = 400
_PERCENTILE = 95
_SEED = 20


@dataclass(frozen=True, slots=True)
class Alignment:
    """A start in a track and how well the cuts fall on its beats.

    Attributes
    ----------
    start_s : float
        Start in the track.
    score : float
        Mean closeness of the cuts to beats, 0 to 1; 0 where nothing is claimed.
    chance : float
        95th percentile of the best score of as many random cuts; 1 where nothing can be claimed.
    """

    start_s: float
    score: float
    chance: float

    @property
    def is_on_beat(self) -> bool:
        """Whether the cuts fall on beats more than random cuts would."""
        return self.score > self.chance

    @property
    def gain(self) -> float:
        """Score above chance, 0 where nothing is claimed."""
        return max(0.0, self.score - self.chance)


def align_start(
    start_s: float, cuts_s: Sequence[float], rhythm: Rhythm, *, clip_s: float, duration_s: float
) -> Alignment:
    """Move a start by at most half a bar.

    With d(t) the distance of t to the nearest beat and e(t) to the nearest downbeat, both in units of 50 ms or an
    eighth of a beat, the start s maximises, over steps of 10 ms,

        mean_i exp(-d(s + c_i)^2 / 2) + 1/2 mean_i w_i exp(-e(s + c_i)^2 / 2),

    where the first cut has twice the weight of the others, and the second term is absent if the downbeats are a guess.
    Beats are interchangeable: a start is right modulo a beat. With fewer than five cuts, or cuts that fall on beats no
    better than random ones, the start moves to the nearest downbeat or beat, and nothing is claimed. Without a steady
    beat it does not move.

    Parameters
    ----------
    start_s : float
        Start in the track from the model.
    cuts_s : sequence of float
        Cuts of the video, in seconds after its first frame.
    rhythm : Rhythm
        Of the track.
    clip_s, duration_s : float
        Lengths of video and track. The result is at most ``duration_s - clip_s``.
    """
    latest_s = max(0.0, duration_s - clip_s)
    start_s = min(max(0.0, start_s), latest_s)
    if not rhythm.is_steady:
        return Alignment(start_s, 0.0, 1.0)
    beats_s, downbeats_s = rhythm.beats_s, rhythm.downbeats_s
    period_s = 60 / rhythm.bpm
    reach_s = rhythm.meter * period_s / 2
    starts = np.clip(start_s + _steps(reach_s), 0.0, latest_s)
    cuts = np.array([cut for cut in cuts_s if 0 < cut < clip_s])
    if len(cuts) >= MIN_CUTS:
        unit_s = min(_TOLERANCE_S, period_s / 8)
        positions = starts[:, None] + cuts
        on_beat = _closeness(positions, beats_s, unit_s).mean(axis=1)
        total = on_beat
        if rhythm.knows_bars and len(downbeats_s):
            weights = np.ones(len(cuts))
            weights[0] = 2.0
            on_downbeat = _closeness(positions, downbeats_s, unit_s) @ (weights / weights.sum())
            total = on_beat + _DOWNBEAT_SHARE * on_downbeat
        best = _nearest_best(total, starts, start_s)
        chance = _chance(len(cuts), round(unit_s / period_s, 2))
        if on_beat[best] > chance:
            return Alignment(float(starts[best]), float(on_beat[best]), chance)
    targets = downbeats_s if rhythm.knows_bars and len(downbeats_s) else beats_s
    nearest = float(targets[np.abs(targets - start_s).argmin()])
    inside = 0 <= nearest <= latest_s and abs(nearest - start_s) <= reach_s
    return Alignment(nearest if inside else start_s, 0.0, 1.0)


def _steps(reach_s: float) -> Array:
    """Return shifts from -reach to reach."""
    count = int(reach_s / _STEP_S)
    return np.linspace(-count * _STEP_S, count * _STEP_S, 2 * count + 1)


def _closeness(positions_s: Array, marks_s: Array, unit_s: float) -> Array:
    """Return exp(-d^2 / 2) with d the distance to the nearest mark in units."""
    after = np.searchsorted(marks_s, positions_s).clip(1, max(1, len(marks_s) - 1))
    before = np.abs(positions_s - marks_s[after - 1])
    distance = np.minimum(before, np.abs(positions_s - marks_s[np.minimum(after, len(marks_s) - 1)]))
    closeness: Array = np.exp(-0.5 * np.square(distance / unit_s))
    return closeness


def _nearest_best(total: Array, starts: Array, start_s: float) -> int:
    """Return the row with the largest value; of equal ones, that nearest to the start."""
    best = np.flatnonzero(total >= total.max() - 1e-9)
    return int(best[np.abs(starts[best] - start_s).argmin()])


@lru_cache(maxsize=4096)
def _chance(num_cuts: int, unit: float) -> float:
    """Return the 95th percentile of the best score of random cuts; `unit` is the tolerance in beats.

    Cuts at random times have random phases in the beat, in any track. Each sample is shifted to its own best
    phase, as real cuts are.
    """
    phases = np.random.default_rng(_SEED).random((_NUM_RANDOM, num_cuts))
    best = np.zeros(_NUM_RANDOM)
    for shift in np.arange(0, 1, unit / 4):
        distance = np.abs((phases + shift) % 1 - 0.5)  # to a beat at phase 1/2
        best = np.maximum(best, np.exp(-0.5 * np.square(distance / unit)).mean(axis=1))
    return float(np.percentile(best, _PERCENTILE))
