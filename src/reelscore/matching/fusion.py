"""Reciprocal rank fusion of several rankings.

    score(d) = sum_i w_i / (k + rank_i(d)),      rank 1 is the best

Cormack, Clarke and Buettcher 2009, "Reciprocal Rank Fusion outperforms Condorcet and individual rank learning methods",
which has w_i = 1 and k = 60.
"""

from __future__ import annotations

from collections.abc import Sequence

K = 60
"""Larger values give lower ranks more influence; 60 is that of the paper."""


def reciprocal_rank_fusion(
    rankings: Sequence[Sequence[str]], weights: Sequence[float], *, k: float = K
) -> list[tuple[str, float]]:
    """Fuse rankings of the same items.

    Parameters
    ----------
    rankings : sequence of sequence of str
        Keys, best first. A key that a ranking lacks gets nothing from it.
    weights : sequence of float
        Weight of each ranking, at least 0.
    k : float

    Returns
    -------
    list of (key, score)
        Descending; ties by key.

    Examples
    --------
    >>> fused = reciprocal_rank_fusion([["a", "b", "c"], ["c", "b", "a"]], [1.0, 0.5])
    >>> [(key, f"{score:.5f}") for key, score in fused]
    [('a', '0.02433'), ('b', '0.02419'), ('c', '0.02407')]
    """
    scores: dict[str, float] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        for rank, key in enumerate(ranking, start=1):
            scores[key] = scores.get(key, 0.0) + weight / (k + rank)
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))
