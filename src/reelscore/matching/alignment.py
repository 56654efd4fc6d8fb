"""Move the start of a moment within a bar, so that the video's cuts fall on beats.

References
----------
Gouyon and Dixon 2005, "A review of automatic rhythm description systems" (tolerance of beat positions).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from reelscore.analysis.rhythm import Rhythm

from .match import Moment

Array = npt.NDArray[np.float64]

MIN_CUTS = 5
"""Fewer cuts cannot be distinguished from random ones (power .63 at five cuts with 30 % off the beat)."""

_STEP_S = 0.01
_TOLERANCE_S = 0.05  # a frame at 25 Hz and the error of a beat
_DOWNBEAT_SHARE = 0.5
_NUM_RANDOM = 1000
_NUM_BINS = 64  # of a beat; half of the smallest tolerance
_PERCENTILE = 95
_SEED = 20


def align_start(
    start_s: float, cuts_s: Sequence[float], rhythm: Rhythm | None, *, clip_s: float, duration_s: float
) -> Moment:
    """Move a start by at most half a bar.

    With d(t) the distance of t to the nearest beat and e(t) to the nearest downbeat, both in units of 50 ms or an
    eighth of a beat, the start s maximises, over steps of 10 ms,

        mean_i exp(-d(s + c_i)^2 / 2) + 1/2 mean_i w_i exp(-e(s + c_i)^2 / 2),

    where the first cut has twice the weight of the others, and the second term is absent if the downbeats are a guess.
    Both exponentials are tabulated at these steps and interpolated in between. Beats are interchangeable: a start is
    right modulo a beat. With fewer than five cuts, or cuts that fall on beats no better than random ones, the start
    moves to the nearest downbeat or beat, and nothing is claimed. Without a steady beat it does not move.

    Parameters
    ----------
    start_s : float
        Start in the track from the model.
    cuts_s : sequence of float
        Cuts of the video, in seconds after its first frame.
    rhythm : Rhythm, optional
        Of the track, if it is known.
    clip_s, duration_s : float
        Lengths of video and track. The result is at most ``duration_s - clip_s``.
    """
    latest_s = max(0.0, duration_s - clip_s)
    start_s = min(max(0.0, start_s), latest_s)
    cuts = np.sort([cut for cut in cuts_s if 0 < cut < clip_s])

    def moment(at_s: float, num_on_beat: int = 0, score: float = 0.0, chance: float = 1.0) -> Moment:
        return Moment(at_s, min(at_s + clip_s, duration_s), len(cuts), num_on_beat, score, chance)

    if rhythm is None or not rhythm.is_steady:
        return moment(start_s)
    beats_s, downbeats_s = rhythm.beats_s, rhythm.downbeats_s
    has_bars = rhythm.knows_bars and len(downbeats_s) > 0
    period_s = 60 / rhythm.bpm
    reach_s = rhythm.meter * period_s / 2
    if len(cuts) >= MIN_CUTS:
        unit_s = min(_TOLERANCE_S, period_s / 8)
        shifts = np.arange(
            -int(min(reach_s, start_s) / _STEP_S), int(min(reach_s, latest_s - start_s) / _STEP_S) + 1
        )
        on_beat = _mean_closeness(start_s, shifts, cuts, beats_s, unit_s, np.ones(len(cuts)))
        total = on_beat
        if has_bars:
            weights = np.ones(len(cuts))
            weights[0] = 2.0
            on_downbeat = _mean_closeness(start_s, shifts, cuts, downbeats_s, unit_s, weights)
            total = on_beat + _DOWNBEAT_SHARE * on_downbeat
        best = _nearest_best(total, shifts)
        chance = _chance(len(cuts), round(unit_s / period_s, 2))
        if on_beat[best] > chance:
            at_s = start_s + float(shifts[best]) * _STEP_S
            near = int((_distance(at_s + cuts, beats_s) <= unit_s).sum())
            return moment(at_s, near, float(on_beat[best]), chance)
    targets = downbeats_s if has_bars else beats_s
    nearest = float(targets[np.abs(targets - start_s).argmin()])
    inside = 0 <= nearest <= latest_s and abs(nearest - start_s) <= reach_s
    return moment(nearest if inside else start_s)


def _mean_closeness(
    start_s: float,
    shifts: npt.NDArray[np.int64],
    cuts_s: Array,
    marks_s: Array,
    unit_s: float,
    weights: Array,
) -> Array:
    """Return the weighted mean of exp(-d^2 / 2) over the cuts at each shift, d the distance to a mark in units.

    A cut between two steps counts as a share of each. So the cost grows with the steps in the video at most, not with
    the number of cuts.
    """
    first = start_s + shifts[0] * _STEP_S
    steps = np.floor(cuts_s / _STEP_S).astype(np.int64)
    shares = cuts_s / _STEP_S - steps
    table = np.bincount(steps, weights * (1 - shares), minlength=int(steps.max()) + 2)
    table += np.bincount(steps + 1, weights * shares, minlength=len(table))
    used = np.flatnonzero(table)
    times_s = first + _STEP_S * np.arange(len(shifts) + len(table))
    closeness = np.exp(-0.5 * np.square(_distance(times_s, marks_s) / unit_s))
    sums: Array = closeness[np.arange(len(shifts))[:, None] + used] @ table[used]
    sums /= weights.sum()
    return sums


def _distance(times_s: Array, marks_s: Array) -> Array:
    """Return the distance of each of ascending times to the nearest mark."""
    ends = np.searchsorted(times_s, (marks_s[1:] + marks_s[:-1]) / 2)
    counts = np.diff(ends, prepend=0, append=len(times_s))
    distance: Array = np.abs(times_s - np.repeat(marks_s, counts))
    return distance


def _nearest_best(total: Array, shifts: npt.NDArray[np.int64]) -> int:
    """Return the row with the largest value; of equal ones, that with the smallest shift."""
    best = np.flatnonzero(total >= total.max() - 1e-9)
    return int(best[np.abs(shifts[best]).argmin()])


@lru_cache(maxsize=4096)
def _chance(num_cuts: int, unit: float) -> float:
    """Return the 95th percentile of the best score of random cuts; `unit` is the tolerance in beats.

    Cuts at random times have random phases in the beat, in any track. Each sample of phases, in bins, is shifted to
    its own best phase, as real cuts are.
    """
    counts = np.random.default_rng(_SEED).multinomial(
        num_cuts, np.full(_NUM_BINS, 1 / _NUM_BINS), _NUM_RANDOM
    )
    bins = np.arange(_NUM_BINS)
    gaps = (bins[:, None] - bins) % _NUM_BINS / _NUM_BINS
    closeness = np.exp(-0.5 * np.square(np.minimum(gaps, 1 - gaps) / unit))
    return float(np.percentile((counts @ closeness).max(axis=1) / num_cuts, _PERCENTILE))
