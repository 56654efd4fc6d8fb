"""Scores of a few judged candidates enter, expected precision and nDCG of the list they make leave.

Equal scores may stand in any order: what is given is the mean over all of them, so that no score gains by ties.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reelscore.evaluation.ranks import FloatArray


def expected_sum(
    scores: npt.NDArray[np.floating], relevant: npt.NDArray[np.bool_], weights: FloatArray
) -> float:
    """Return the expected sum, over the relevant candidates, of the weight of the place that each gets.

    Parameters
    ----------
    scores : ndarray, shape (N,)
    relevant : ndarray of bool, shape (N,)
    weights : ndarray of float64, shape (N,)
        Of the first place, the second ...

    Examples
    --------
    >>> expected_sum(np.array([2.0, 1, 1]), np.array([False, True, False]), np.array([1.0, 0.5, 0.0]))
    0.25
    """
    order = np.argsort(-scores, kind="stable")
    _, group = np.unique(-scores[order], return_inverse=True)
    mean = np.bincount(group, weights) / np.bincount(group)
    return float(mean[group][relevant[order]].sum())


def precision(scores: npt.NDArray[np.floating], relevant: npt.NDArray[np.bool_], k: int) -> float:
    """Return the expected share of relevant candidates among the first `k`."""
    return expected_sum(scores, relevant, (np.arange(len(scores)) < k) / k)


def ndcg(scores: npt.NDArray[np.floating], relevant: npt.NDArray[np.bool_]) -> float:
    """Return the expected nDCG of the whole list, at least one candidate being relevant.

    References
    ----------
    Jaervelin and Kekaelaeinen 2002, "Cumulated gain-based evaluation of IR techniques".
    """
    discount = 1 / np.log2(np.arange(len(scores)) + 2)
    return expected_sum(scores, relevant, discount) / float(discount[: int(relevant.sum())].sum())
