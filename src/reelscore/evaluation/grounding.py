"""Scores of tracks and moments found inside them enter, the figures of Music Grounding by Short Video leave.

Two questions are asked of each video: at which rank its track stands among the distinct tracks, and how well the
moment found *in the true track* covers the true moment. Composite figures ask both at once.

References
----------
Xin et al., "Music Grounding by Short Video", arXiv 2408.16990, and ``utils/util_test.py`` of xxayt/MGSV. What differs:
ties count against us here, where the published code takes them in the order of its sort; and figures are fractions,
where it prints percent.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reelscore.errors import InputError

from .metrics import median_rank, recall_at
from .ranks import FloatArray, IntArray, Scores, first_hit_ranks

RECALL_AT = (1, 3, 5, 10, 20, 25, 50, 100)
COMPOSITE_AT = (1, 10, 50, 100)
IOU_ABOVE = (0.3, 0.5, 0.7)
COMPOSITE_IOU_ABOVE = (0.5, 0.7)


def track_ranks(scores: Scores, query_track: IntArray, candidate_track: IntArray) -> IntArray:
    """Return for each query the rank of its track among the distinct tracks, counted from 1.

    A track that is listed several times counts once, at its best score. The rank is 1 + the other tracks that score
    at least as well: a tie counts against us.

    Parameters
    ----------
    scores : ndarray of float, shape (Q, N)
        Larger is better.
    query_track : ndarray of int64, shape (Q,)
    candidate_track : ndarray of int64, shape (N,)

    Returns
    -------
    ndarray of int64, shape (Q,)

    Raises
    ------
    InputError
        For NaN scores, other shapes, or a query whose track is no candidate.

    Examples
    --------
    >>> track_ranks(np.array([[0.9, 0.8, 0.7, 0.5]]), np.array([3]), np.array([1, 1, 2, 3]))
    array([3])
    """
    if scores.shape != (len(query_track), len(candidate_track)) or 0 in scores.shape:
        raise InputError(
            f"scores must have a row for each of {len(query_track)} queries and a column for each of "
            f"{len(candidate_track)} candidates, at least one of both, got {scores.shape}"
        )
    order = np.argsort(candidate_track, kind="stable")
    tracks, starts = np.unique(candidate_track[order], return_index=True)
    best = np.maximum.reduceat(scores[:, order], starts, axis=1)
    return first_hit_ranks(best, query_track[:, None] == tracks[None, :])


def moment_iou(
    found_s: npt.NDArray[np.floating], true_s: npt.NDArray[np.floating], duration_s: npt.NDArray[np.floating]
) -> FloatArray:
    """Return the intersection over union of found and true moments.

    IoU = |F ∩ T| / |F ∪ T|, the found moment F cut to [0, duration] first; 0 where the true one is empty.

    Parameters
    ----------
    found_s, true_s : ndarray of float, shape (Q, 2)
        Start and end in seconds.
    duration_s : ndarray of float, shape (Q,)
        Length of the track in seconds.

    Returns
    -------
    ndarray of float64, shape (Q,)
        In [0, 1].

    Raises
    ------
    InputError
        For other shapes or values that are not finite.

    Examples
    --------
    >>> moment_iou(np.array([[-5.0, 10.0]]), np.array([[5.0, 15.0]]), np.array([60.0])).round(3)
    array([0.333])
    """
    num = len(duration_s)
    if found_s.shape != (num, 2) or true_s.shape != (num, 2) or duration_s.shape != (num,):
        raise InputError(
            "moments need starts and ends (Q, 2), found and true, and durations (Q,), got "
            f"{found_s.shape}, {true_s.shape} and {duration_s.shape}"
        )
    if not all(np.isfinite(values).all() for values in (found_s, true_s, duration_s)):
        raise InputError(
            "moments and durations must be finite numbers of seconds; drop the rows that are not"
        )
    start = np.maximum(found_s[:, 0].astype(np.float64), 0.0)
    end = np.maximum(np.minimum(found_s[:, 1], duration_s), start)
    true_start, true_end = true_s[:, 0], np.maximum(true_s[:, 0], true_s[:, 1])
    shared = np.maximum(np.minimum(end, true_end) - np.maximum(start, true_start), 0.0)
    union = (end - start) + (true_end - true_start) - shared
    iou: FloatArray = np.divide(shared, union, out=np.zeros(num), where=union > 0)
    return iou


def moment_summary(ranks: IntArray, iou: FloatArray) -> dict[str, float]:
    """Return the published figures of queries given by rank of the track and IoU of the moment.

    Parameters
    ----------
    ranks : ndarray of int64, shape (Q,)
    iou : ndarray of float64, shape (Q,)

    Returns
    -------
    dict
        ``recall@k``, ``median_rank``, ``mean_rank``, ``mrr``; ``miou``, ``iou>t`` (the share of queries strictly above
        t); ``recall@k,iou>t`` (the share of all queries with both); ``miou@k`` (the mean over the queries of
        rank k or better, 0 where there are none).

    Raises
    ------
    InputError
        When there are no queries, or not as many of both.
    """
    if ranks.shape != iou.shape or ranks.ndim != 1 or len(ranks) == 0:
        raise InputError(
            f"a rank and an IoU are due for each query, at least one, got {ranks.shape} and {iou.shape}"
        )
    return {
        **{f"recall@{k}": recall_at(ranks, k) for k in RECALL_AT},
        "median_rank": median_rank(ranks),
        "mean_rank": float(ranks.mean()),
        "mrr": float((1.0 / ranks).mean()),
        "miou": float(iou.mean()),
        **{f"iou>{t}": float((iou > t).mean()) for t in IOU_ABOVE},
        **{
            f"recall@{k},iou>{t}": float(((ranks <= k) & (iou > t)).mean())
            for t in COMPOSITE_IOU_ABOVE
            for k in COMPOSITE_AT
        },
        **{f"miou@{k}": float(iou[ranks <= k].mean()) if (ranks <= k).any() else 0.0 for k in COMPOSITE_AT},
    }
