"""Embeddings of candidates and a bank of queries enter, how much of a hub each candidate is leaves.

In spaces of many dimensions some candidates are near to everything and stand in every list (Radovanovic et al. 2010,
"Hubs in space"). Nearest-neighbour normalisation takes from each score what the candidate gets from queries that are
near to it anyway, from a bank that never holds the query itself:

    s'(q, c) = s(q, c) - alpha * b(c),      b(c) = mean of the k highest s(p, c) over p in the bank

Source: Chowdhury et al. 2024, "Nearest Neighbor Normalization Improves Multimodal Retrieval" (arXiv 2410.24114).
"""

from __future__ import annotations

import numpy as np

from reelscore.types import FloatArray

NEIGHBOURS = 16
"""k, at most: of a smaller bank a quarter."""

_BLOCK = 4096  # candidates at a time


def hubness(candidates: FloatArray, bank: FloatArray) -> FloatArray:
    """Return b of each candidate.

    Parameters
    ----------
    candidates : ndarray of float32, shape (N, D)
    bank : ndarray of float32, shape (B, D)
        Embeddings of queries of the kind that will come.

    Returns
    -------
    ndarray of float32, shape (N,)

    Examples
    --------
    >>> bank = np.eye(2, dtype=np.float32)
    >>> [f"{b:.1f}" for b in hubness(np.array([[1, 0], [0.6, 0.8]], np.float32), bank)]
    ['1.0', '0.8']
    """
    k = max(1, min(NEIGHBOURS, len(bank) // 4))
    found = np.empty(len(candidates), np.float32)
    for start in range(0, len(candidates), _BLOCK):
        block = slice(start, start + _BLOCK)
        scores = candidates[block] @ bank.T
        found[block] = np.partition(scores, -k, axis=1)[:, -k:].mean(axis=1)
    return found
