"""Start time of the segment of a track that matches a query best."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from reelscore.errors import InputError
from reelscore.library.storage.entry import Moments
from reelscore.types import FloatArray

_TIE = 1e-12  # rounding error of the cumulative sums of equal windows


def best_moment(
    query: FloatArray,
    moments: FloatArray,
    moment_starts_s: npt.NDArray[np.float64],
    moment_ends_s: npt.NDArray[np.float64],
    *,
    clip_s: float,
    duration_s: float,
) -> tuple[float, float]:
    """Return the best start of a window of length `clip_s` in a track, and the window's score.

    A window starts at a moment, or earlier where it would end after the track. Its score is the mean cosine of the
    moments whose middle is inside, or of the nearest moment if the window is shorter than one.

    Parameters
    ----------
    query : ndarray of float32, shape (D,)
        Norm 1.
    moments : ndarray of float32, shape (T, D)
        Norm 1 each, T >= 1, in order of time.
    moment_starts_s, moment_ends_s : ndarray of float64, shape (T,)
        In seconds.
    clip_s : float
        Duration of the video, positive.
    duration_s : float
        Duration of the track, positive.

    Returns
    -------
    start_s : float
        At most ``duration_s - min(clip_s, duration_s)``; the earliest of equal windows.
    score : float
        Mean cosine in the window.

    Raises
    ------
    InputError
        When the track has no moments, shapes disagree or a duration is not positive.

    Examples
    --------
    >>> rows = np.array([[1, 0], [0, 1], [0, 1], [1, 0]], dtype=np.float32)
    >>> starts = np.array([0.0, 5.0, 10.0, 15.0])
    >>> best_moment(np.array([0, 1], np.float32), rows, starts, starts + 5, clip_s=10.0, duration_s=20.0)
    (5.0, 1.0)
    """
    ((start_s, score),) = best_moments(
        query, [(moments, moment_starts_s, moment_ends_s)], [duration_s], clip_s=clip_s
    )
    return start_s, score


def best_moments(
    query: FloatArray, tracks: Sequence[Moments], durations_s: Sequence[float], *, clip_s: float
) -> list[tuple[float, float]]:
    """Return `best_moment` of several tracks.

    Parameters
    ----------
    query : ndarray of float32, shape (D,)
    tracks : sequence of (moments (T, D), starts_s (T,), ends_s (T,))
    durations_s : sequence of float
    clip_s : float
    """
    for (moments, starts, ends), duration_s in zip(tracks, durations_s, strict=True):
        num = len(moments)
        if num == 0 or moments.shape != (num, len(query)) or not len(starts) == len(ends) == num:
            raise InputError(
                f"moments must have shape (T, {len(query)}) with T >= 1, and T starts and ends, got "
                f"{moments.shape}, {len(starts)} and {len(ends)}"
            )
        if not (clip_s > 0 and duration_s > 0):
            raise InputError(f"clip_s and duration_s must be positive, got {clip_s!r} and {duration_s!r}")
    found = [(0.0, 0.0)] * len(tracks)
    exact = query.astype(np.float64)
    by_length: dict[int, list[int]] = {}
    for place, (moments, _, _) in enumerate(tracks):
        by_length.setdefault(len(moments), []).append(place)
    for num, places in by_length.items():
        # Tracks with as many moments share each NumPy call but this one, which is faster in the processor's cache.
        # Unlike a matrix product, `vecdot` gives equal moments of two tracks equal cosines.
        cosines = np.array([np.vecdot(tracks[i][0].astype(np.float64), exact) for i in places])
        moment_starts_s, moment_ends_s = (
            np.concatenate([tracks[i][column] for i in places]).reshape(-1, num) for column in (1, 2)
        )
        middles_s = (moment_starts_s + moment_ends_s) / 2
        latest_s = np.maximum(0.0, np.array([durations_s[i] for i in places]) - clip_s)
        starts_s = np.minimum(moment_starts_s, latest_s[:, None])
        # Cumulative sums score all windows in one pass.
        first = np.minimum(_num_before(middles_s, starts_s), num - 1)
        last = np.maximum(_num_before(middles_s, starts_s + clip_s), first + 1)
        sums = np.concatenate([np.zeros((len(places), 1)), np.cumsum(cosines, axis=1)], axis=1)
        rows = np.arange(len(places))[:, None]
        scores = (sums[rows, last] - sums[rows, first]) / (last - first)
        best = np.argmax(scores >= scores.max(axis=1, keepdims=True) - _TIE, axis=1)
        chosen = (values[rows[:, 0], best].tolist() for values in (starts_s, scores))
        for place, start_s, score in zip(places, *chosen, strict=True):
            found[place] = start_s, score
    return found


def _num_before(times_s: npt.NDArray[np.float64], limits_s: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return how many of the times (G, T) of each track are before each of its limits (G, T), which ascend."""
    num = limits_s.shape[1]
    # A stable sort has a limit before an equal time.
    order = np.argsort(np.concatenate([limits_s, times_s], axis=1), axis=1, kind="stable")
    places: npt.NDArray[np.int64] = np.nonzero(order < num)[1].reshape(limits_s.shape)
    return places - np.arange(num)
