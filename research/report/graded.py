"""Expected precision and nDCG of ranked lists with tied scores.

The value is the mean over all orders of the tied candidates, so ties give no advantage.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reelscore.evaluation.ranks import FloatArray


def expected_sum(
    scores: npt.NDArray[np.floating], relevant: npt.NDArray[np.bool_], weights: FloatArray
) -> float:
    """Return the expected sum of the rank weights of the relevant candidates.

    Parameters
    ----------
    scores : ndarray, shape (N,)
    relevant : ndarray of bool, shape (N,)
    weights : ndarray of float64, shape (N,)
        Weight of rank 1, rank 2, and so on.

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
    """Return the expected precision at `k`."""
    return expected_sum(scores, relevant, (np.arange(len(scores)) < k) / k)


def ndcg(scores: npt.NDArray[np.floating], relevant: npt.NDArray[np.bool_]) -> float:
    """Return the expected nDCG of the whole list; at least one candidate must be relevant.

    References
    ----------
    Jaervelin and Kekaelaeinen 2002, "Cumulated gain-based evaluation of IR techniques".
    """
    discount = 1 / np.log2(np.arange(len(scores)) + 2)
    return expected_sum(scores, relevant, discount) / float(discount[: int(relevant.sum())].sum())
