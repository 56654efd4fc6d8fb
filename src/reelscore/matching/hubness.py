"""Hubness of candidates, and nearest-neighbour normalisation of their scores.

In high-dimensional spaces some candidates are near to every query (Radovanovic et al. 2010, "Hubs in space").
Nearest-neighbour normalisation lowers each score by the candidate's mean score over its nearest queries in a bank,
which does not hold the query itself:

    s'(q, c) = s(q, c) - alpha * b(c),      b(c) = mean of the k highest s(p, c) over p in the bank

Chowdhury et al. 2024, "Nearest Neighbor Normalization Improves Multimodal Retrieval" (arXiv 2410.24114).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reelscore.errors import ConfigError
from reelscore.library.storage.open import Searcher
from reelscore.models.base import Embedder
from reelscore.types import FloatArray, Track

NEIGHBOURS = 16
"""k; a quarter of a bank with fewer than 64 queries."""

_BLOCK = 4096  # candidates at a time


def hubness(candidates: FloatArray, bank: FloatArray) -> FloatArray:
    """Return b(c) of each candidate.

    Parameters
    ----------
    candidates : ndarray of float32, shape (N, D)
    bank : ndarray of float32, shape (B, D)
        Embeddings of queries like those to come.

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
    b = np.empty(len(candidates), np.float32)
    for start in range(0, len(candidates), _BLOCK):
        block = slice(start, start + _BLOCK)
        scores = candidates[block] @ bank.T
        b[block] = np.partition(scores, -k, axis=1)[:, -k:].mean(axis=1)
    return b


def corrected(
    candidates: Sequence[tuple[Track, float]], index: Searcher, embedder: Embedder, *, strength: float
) -> list[tuple[Track, float]]:
    """Return candidates with their normalised scores.

    Parameters
    ----------
    candidates : sequence of (Track, score)
    index : Searcher
        Holds the candidates' embeddings.
    embedder : Embedder
        Its `bank` holds the queries.
    strength : float
        alpha, from 0 to 1.

    Raises
    ------
    ConfigError
        When the model has no bank.
    """
    if strength == 0:
        return list(candidates)
    bank = embedder.bank
    if bank is None or len(bank) == 0:
        raise ConfigError(
            f"the model {embedder.name!r} was stored without the queries that the hubness correction needs. Train it "
            "again, or switch the correction off (--hubness 0)"
        )
    embeddings = index.embeddings([track.key for track, _ in candidates])
    reductions = strength * hubness(np.stack([embeddings[track.key] for track, _ in candidates]), bank)
    return [
        (track, score - float(reduction))
        for (track, score), reduction in zip(candidates, reductions, strict=True)
    ]
