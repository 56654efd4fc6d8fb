"""Start time of the segment of a track that matches a query best."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reelscore.errors import InputError
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
    num = len(moments)
    if (
        num == 0
        or moments.shape != (num, len(query))
        or not len(moment_starts_s) == len(moment_ends_s) == num
    ):
        raise InputError(
            f"moments must have shape (T, {len(query)}) with T >= 1, and T starts and ends, got "
            f"{moments.shape}, {len(moment_starts_s)} and {len(moment_ends_s)}"
        )
    if not (clip_s > 0 and duration_s > 0):
        raise InputError(f"clip_s and duration_s must be positive, got {clip_s!r} and {duration_s!r}")
    # Cumulative sums score all windows in one pass.
    cosines = (moments.astype(np.float64) * query.astype(np.float64)).sum(axis=1)
    latest_s = max(0.0, duration_s - clip_s)
    starts_s = np.minimum(moment_starts_s, latest_s)
    middles_s = (moment_starts_s + moment_ends_s) / 2
    first = np.minimum(np.searchsorted(middles_s, starts_s, side="left"), num - 1)
    last = np.maximum(np.searchsorted(middles_s, starts_s + clip_s, side="left"), first + 1)
    sums = np.concatenate([[0.0], np.cumsum(cosines)])
    scores = (sums[last] - sums[first]) / (last - first)
    best = int(np.argmax(scores >= scores.max() - _TIE))
    return float(starts_s[best]), float(scores[best])
