"""One result per recording, and maximal marginal relevance.

    d* = argmax_{d in W} [ (1 - a) r(d) - a max_{s in S} cos(d, s) ],      S <- S + d*

with relevance r, the chosen tracks S and diversity a. Carbonell and Goldstein 1998, "The use of MMR, diversity-based
reranking for reordering documents and producing summaries", which writes lambda for 1 - a. The candidates W are the
next few tracks of the ranking, so the order does not depend on how many results are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from reelscore.types import FloatArray

DIVERSITY = 0.3
"""Default of a. Above it, the true track is lost from the first ten more often; see the page on choosing tracks."""

WINDOW = 50
"""Number of tracks of the ranking from which the next result is chosen."""

T = TypeVar("T")


def one_per_recording(
    items: Iterable[T], recording_of: Callable[[T], str | None], *, seen: Iterable[str] = ()
) -> Iterator[T]:
    """Yield the first item of each recording that is not in `seen`; items of an unknown recording are all different.

    Examples
    --------
    >>> list(one_per_recording(["a1", "b1", "a2", "?", "?"], lambda item: item[0] if item != "?" else None))
    ['a1', 'b1', '?', '?']
    """
    known = set(seen)
    for item in items:
        recording = recording_of(item)
        if recording is None:
            yield item
        elif recording not in known:
            known.add(recording)
            yield item


def diversified(
    items: Iterable[T],
    *,
    diversity: float,
    score_of: Callable[[T], float],
    embedding_of: Callable[[T], FloatArray],
    group_of: Callable[[T], object] = lambda _: None,
) -> Iterator[T]:
    """Yield items in the order of maximal marginal relevance.

    The relevance is the score, scaled so that the first window of a group spans 0 to 1.

    Parameters
    ----------
    items : iterable
        Best first.
    diversity : float
        a, from 0 (the order of `items`) to 1.
    score_of, embedding_of : callable
        Score, and embedding (D,) of norm 1.
    group_of : callable
        Items of different groups keep their order; those of one group are consecutive.
    """
    if diversity == 0:
        yield from items
        return
    chosen: list[FloatArray] = []
    for _, group in groupby(items, group_of):
        members = iter(group)
        window = list(islice(members, WINDOW))
        scores = np.array([score_of(item) for item in window])
        embeddings = np.array([embedding_of(item) for item in window])
        nearest = _nearest(embeddings, chosen)
        low, span = scores.min(), np.ptp(scores)
        places, left = np.arange(len(window)), np.ones(len(window), dtype=bool)
        while left.any():
            relevance = (scores - low) / span if span > 0 else np.zeros(len(scores))
            values = np.where(left, (1 - diversity) * relevance - diversity * nearest, -np.inf)
            equal = np.flatnonzero(values == values.max())
            best = int(equal[places[equal].argmin()])
            yield window[best]
            chosen.append(embeddings[best].copy())
            np.maximum(nearest, np.vecdot(embeddings, chosen[-1]), out=nearest)
            more = list(islice(members, 1))  # takes the place of the chosen one
            left[best] = bool(more)
            for item in more:
                window[best], scores[best], embeddings[best] = item, score_of(item), embedding_of(item)
                nearest[best] = _nearest(embeddings[best, None], chosen)[0]
                places[best] = places.max() + 1


def _nearest(embeddings: FloatArray, chosen: Sequence[FloatArray]) -> npt.NDArray[np.float64]:
    """Return the largest cosine of each embedding (W, D) with a chosen one, shape (W,); -1 without any."""
    if not chosen:
        return np.full(len(embeddings), -1.0)
    # Unlike a matrix product, `vecdot` gives equal embeddings equal cosines.
    nearest: npt.NDArray[np.float64] = np.vecdot(embeddings[:, None], np.array(chosen)).max(axis=1)
    return nearest.astype(np.float64)
