"""Metrics of Music Grounding by Short Video: track rank and moment IoU.

References
----------
Xin et al., "Music Grounding by Short Video", arXiv 2408.16990, and ``utils/util_test.py`` of xxayt/MGSV. Differences:
the IoU is measured in the true track; ties count as errors here, where the published code keeps the order of its sort;
metrics are fractions, not percent.
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
    """Return the rank of each query's track among the distinct tracks, counted from 1.

    A track with several candidates counts once, at its best score. The rank is 1 + the number of other tracks that
    score at least as well.

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
        For NaN scores, wrong shapes, or a query whose track is not among the candidates.

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
    predicted_s: npt.NDArray[np.floating],
    true_s: npt.NDArray[np.floating],
    duration_s: npt.NDArray[np.floating],
) -> FloatArray:
    """Return the intersection over union of predicted and true moments.

    IoU = |P ∩ T| / |P ∪ T| with the predicted moment P clipped to [0, duration]; 0 if the true moment T is empty.

    Parameters
    ----------
    predicted_s, true_s : ndarray of float, shape (Q, 2)
        Start and end in seconds.
    duration_s : ndarray of float, shape (Q,)
        Duration of the track in seconds.

    Returns
    -------
    ndarray of float64, shape (Q,)
        In [0, 1].

    Raises
    ------
    InputError
        For wrong shapes or values that are not finite.

    Examples
    --------
    >>> moment_iou(np.array([[-5.0, 10.0]]), np.array([[5.0, 15.0]]), np.array([60.0])).round(3)
    array([0.333])
    """
    num = len(duration_s)
    if predicted_s.shape != (num, 2) or true_s.shape != (num, 2) or duration_s.shape != (num,):
        raise InputError(
            "predicted and true moments must have shape (Q, 2) and durations (Q,), got "
            f"{predicted_s.shape}, {true_s.shape} and {duration_s.shape}"
        )
    if not all(np.isfinite(values).all() for values in (predicted_s, true_s, duration_s)):
        raise InputError("moments and durations must be finite numbers of seconds; drop the other rows")
    start = np.maximum(predicted_s[:, 0].astype(np.float64), 0.0)
    end = np.maximum(np.minimum(predicted_s[:, 1], duration_s), start)
    true_start, true_end = true_s[:, 0], np.maximum(true_s[:, 0], true_s[:, 1])
    overlap = np.maximum(np.minimum(end, true_end) - np.maximum(start, true_start), 0.0)
    union = (end - start) + (true_end - true_start) - overlap
    iou: FloatArray = np.divide(overlap, union, out=np.zeros(num), where=union > 0)
    return iou


def moment_summary(ranks: IntArray, iou: FloatArray) -> dict[str, float]:
    """Return the published metrics from the ranks of the tracks and the IoUs of the moments.

    Parameters
    ----------
    ranks : ndarray of int64, shape (Q,)
    iou : ndarray of float64, shape (Q,)

    Returns
    -------
    dict
        ``recall@k``, ``median_rank``, ``mean_rank``, ``mrr``; ``miou``, ``iou>t`` (the share of queries with an IoU
        above t); ``recall@k,iou>t`` (the share of queries with both); ``miou@k`` (the mean IoU of the queries with
        rank k or better, 0 if there are none).

    Raises
    ------
    InputError
        When there are no queries, or the lengths differ.
    """
    if ranks.shape != iou.shape or ranks.ndim != 1 or len(ranks) == 0:
        raise InputError(
            f"ranks and IoUs must both have shape (Q,) with Q >= 1, got {ranks.shape} and {iou.shape}"
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
