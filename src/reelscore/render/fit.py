"""Shorten, lengthen or loop a track to an exact length, with its own ending."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from reelscore.errors import InputError
from reelscore.types import FloatArray

from .beat_features import Array, Beats, seam_costs
from .plan import Piece

MAX_COST = 1.5
"""Costs above this are audible: the music changes by more than from one beat to the next, and a half."""
SEAM_PENALTY = 0.2
"""Added for each seam, so that one seam is preferred to two slightly cheaper ones."""
MIN_PIECE_BEATS = 8
ALIGN_S = 0.005
_ALIGN_WINDOW_S = 0.02
_MAX_TARGETS = 32

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Fit:
    """Parts of a track whose lengths add up to the wanted length, and the cost of their seams with the penalties."""

    pieces: tuple[Piece, ...]
    cost: float


class NoFitError(InputError):
    """No version of a track has this length and good seams; `nearest_s` are the nearest lengths that have."""

    def __init__(self, message: str, nearest_s: tuple[float, ...]) -> None:
        super().__init__(message)
        self.nearest_s = nearest_s


def fit_length(beats: Beats, length_s: Fraction, *, start_s: float = 0.0) -> Fit:
    """Choose parts of a track that end with it and last exactly `length_s`.

    The first part starts inside the first bar from `start_s` on, and takes up what whole beats cannot: nothing is
    stretched. Jumps keep the position in the bar. Dynamic programming over the played beats, from the end of the track
    backwards, finds the least sum of seam costs.

    Parameters
    ----------
    beats : Beats
    length_s : Fraction
    start_s : float
        Earliest start in the track.

    Raises
    ------
    NoFitError
        If every version of this length has a seam above `MAX_COST`.

    References
    ----------
    Wenner et al. 2013, "Scalable music: automatic music retargeting and synthesis".
    """
    table = _Table(beats, _num_beats(beats, float(length_s)))
    starts = _starts(beats, start_s)
    wanted_s, best, ranges = float(length_s), None, []
    for start in starts:
        before_s = beats.times_s[start - 1] if start else 0.0
        room_s = beats.times_s[start] - max(before_s, start_s)
        played = np.flatnonzero(np.isfinite(table.first_cost[:, start]))
        shortest = table.first_length_s[played, start]
        ranges += [(low, low + room_s) for low in shortest.tolist()]
        for number in played[(shortest <= wanted_s) & (wanted_s <= shortest + room_s)].tolist():
            lead_s = wanted_s - float(table.first_length_s[number, start])
            key = (round(float(table.first_cost[number, start]), 9), lead_s, number, start)
            best = key if best is None else min(best, key)
    if best is None:
        raise _no_fit(wanted_s, ranges)
    cost, _, number, start = best
    return Fit(_pieces(beats, table.path(number, start), table.costs, length_s), cost)


class _Table:
    """Least costs of playing n beats to the end of the track, by n and the first beat.

    Attributes
    ----------
    costs : ndarray of float64, shape (B, B)
        Seam costs.
    cost, length_s : ndarray of float64, shape (N + 1, B)
        Least cost of n beats from beat i to the end, infinite where there is none, and the length of that path.
    first_cost, first_length_s : ndarray of float64, shape (N + 1, B)
        The same with at least `MIN_PIECE_BEATS` beats before the first jump.
    """

    def __init__(self, beats: Beats, num_beats: int) -> None:
        count = len(beats.times_s)
        self.costs = seam_costs(beats)
        targets, seams = _targets(self.costs, beats.positions)
        lengths = beats.lengths_s
        self.cost = np.full((num_beats + 1, count), np.inf)
        self.length_s = np.zeros((num_beats + 1, count))
        self.jump = np.full((num_beats + 1, count), -1, np.int64)
        self.first_cost = np.full((num_beats + 1, count), np.inf)
        self.first_length_s = np.zeros((num_beats + 1, count))
        piece = MIN_PIECE_BEATS
        natural_s = np.convolve(lengths, np.ones(piece))[piece - 1 :][: max(0, count - piece)]
        rows = np.arange(count)
        for number in range(1, num_beats + 1):
            if number == 1:
                self.cost[1, -1], self.length_s[1, -1] = 0.0, lengths[-1]
            else:
                self.cost[number, :-1] = self.cost[number - 1, 1:]
                self.length_s[number, :-1] = self.length_s[number - 1, 1:] + lengths[:-1]
                sums = seams + self.first_cost[number - 1][targets]
                best = sums.argmin(axis=1)
                least = sums[rows, best]
                better = least < self.cost[number]
                goal = targets[rows, best]
                self.cost[number, better] = least[better]
                self.length_s[number, better] = (lengths + self.first_length_s[number - 1][goal])[better]
                self.jump[number, better] = goal[better]
            if number > piece:
                self.first_cost[number, :-piece] = self.cost[number - piece, piece:]
                self.first_length_s[number, :-piece] = self.length_s[number - piece, piece:] + natural_s

    def path(self, number: int, start: int) -> list[tuple[int, int]]:
        """Return the parts [first, last) in beats of the best path of `number` beats from `start`."""
        parts, first, beat = [], start, start + MIN_PIECE_BEATS
        number -= MIN_PIECE_BEATS
        while number:
            goal = int(self.jump[number, beat])
            number, beat = number - 1, beat + 1
            if goal >= 0:
                parts.append((first, beat))
                first, beat, number = goal, goal + MIN_PIECE_BEATS, number - MIN_PIECE_BEATS
        return [*parts, (first, beat)]


def _targets(costs: Array, positions: Indices) -> tuple[Indices, Array]:
    """Return for each beat the cheapest beats to jump to after it and their costs with the penalty, shape (B, K)."""
    count = len(costs)
    after = np.full((count, count), np.inf)
    after[:-1] = np.where(positions[1:, None] == positions, costs[1:], np.inf)
    after[after > MAX_COST] = np.inf
    # The next beat is no jump, and its neighbours would stutter.
    near = np.abs(np.arange(1, count + 1)[:, None] - np.arange(count)) < MIN_PIECE_BEATS // 2
    after[near] = np.inf
    kept = min(_MAX_TARGETS, count)
    targets = np.argsort(after, axis=1, kind="stable")[:, :kept]
    return targets, np.take_along_axis(after, targets, axis=1) + SEAM_PENALTY


def _num_beats(beats: Beats, length_s: float) -> int:
    """Return more beats than any version of the length, and of the next longer ones, has."""
    usual_s = float(np.percentile(np.diff(beats.times_s), 10))
    return int(1.1 * length_s / usual_s) + len(beats.times_s) // 2 + 4 * MIN_PIECE_BEATS


def _starts(beats: Beats, start_s: float) -> list[int]:
    """Return the beats of the first bar from `start_s` on, and the one after it."""
    first = int(np.searchsorted(beats.times_s, start_s))
    if first >= len(beats.times_s):
        raise InputError(
            f"--start {start_s:g} is behind the last beat ({beats.times_s[-1]:.2f} s); choose an earlier one"
        )
    bar = int(beats.positions.max()) + 1
    return list(range(first, min(first + bar + 1, len(beats.times_s))))


def _pieces(
    beats: Beats, parts: list[tuple[int, int]], costs: Array, length_s: Fraction
) -> tuple[Piece, ...]:
    times = [_micro(float(time)) for time in (*beats.times_s, beats.end_s)]
    spans = [(times[first], times[last]) for first, last in parts]
    # The first part starts earlier than its first beat by what the whole beats lack.
    lead = length_s - sum((end - start for start, end in spans), Fraction(0))
    spans[0] = (max(spans[0][0] - lead, Fraction(0)), spans[0][1])
    seams = [None, *(float(round(costs[last, first], 3)) for (_, last), (first, _) in pairwise(parts))]
    return tuple(Piece(start, end, seam) for (start, end), seam in zip(spans, seams, strict=True))


def align_seams(pieces: tuple[Piece, ...], samples: FloatArray, rate_hz: int) -> tuple[Piece, ...]:
    """Move the part after each seam by at most `ALIGN_S`, so that the waveforms on both sides agree best.

    The start of the first part takes up the changes, so that the length stays.

    Parameters
    ----------
    pieces : tuple of Piece
    samples : ndarray of float32, shape (n,)
        The track.
    rate_hz : int
    """
    reach, half = round(ALIGN_S * rate_hz), round(_ALIGN_WINDOW_S * rate_hz)
    padded = np.pad(samples, reach + half)
    aligned, moved = [pieces[0]], Fraction(0)
    for before, piece in pairwise(pieces):
        here, there = (round(float(time) * rate_hz) for time in (before.end_s, piece.start_s))
        wanted = padded[here + reach : here + reach + 2 * half]
        windows = np.lib.stride_tricks.sliding_window_view(
            padded[there : there + 2 * (reach + half)], 2 * half
        )
        agreement = windows @ wanted / np.maximum(np.linalg.norm(windows, axis=1), 1e-6)
        lag = Fraction(int(agreement.argmax()) - reach, rate_hz)
        lag = Fraction(round(lag * 1_000_000), 1_000_000)
        if not (
            0 <= piece.start_s + lag < piece.end_s and 0 <= pieces[0].start_s - moved - lag < pieces[0].end_s
        ):
            lag = Fraction(0)
        moved += lag
        aligned.append(replace(piece, start_s=piece.start_s + lag))
    return (replace(aligned[0], start_s=aligned[0].start_s - moved), *aligned[1:])


def _no_fit(wanted_s: float, ranges: list[tuple[float, float]]) -> NoFitError:
    shorter = max((high for _, high in ranges if high < wanted_s), default=None)
    longer = min((low for low, _ in ranges if low > wanted_s), default=None)
    nearest = tuple(length for length in (shorter, longer) if length is not None)
    advice = " or ".join(f"{length:.1f} s" for length in nearest) or "none"
    return NoFitError(
        f"no good seam at this length ({wanted_s:.1f} s): every version would have a seam above cost {MAX_COST:g}. "
        f"Nearest good lengths: {advice}. Choose another track, or omit --fit for a part of this one",
        nearest,
    )


def _micro(time_s: float) -> Fraction:
    return Fraction(round(time_s * 1_000_000), 1_000_000)
