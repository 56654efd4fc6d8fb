"""Candidate tracks of a query in blocks of fixed size, so that no page depends on another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from reelscore.library.storage.open import Searcher
from reelscore.types import FloatArray, Track

from .fusion import reciprocal_rank_fusion

Scored = tuple[Track, float]

BLOCK = 200
"""Number of tracks that are ranked by their moments together."""


def nearest_blocks(
    index: Searcher, embedding: FloatArray, *, size: int = BLOCK, also: Iterable[str] = ()
) -> Iterator[list[Scored]]:
    """Yield all tracks in blocks of descending cosine.

    Parameters
    ----------
    index : Searcher
    embedding : ndarray of float32, shape (D,)
    size : int
    also : iterable of str
        Keys of tracks that belong to the first block in any case.
    """
    seen: set[str] = set()
    for depth in range(size, len(index) + size, size):
        block = [pair for pair in index.search(embedding, depth) if pair[0].key not in seen]
        seen.update(track.key for track, _ in block)
        if depth == size and (more := sorted(set(also) - seen)):
            rows, cosines = index.all_rows(), index.cosines(embedding)
            places = [row for key in more if (row := rows.row_of(key)) is not None]
            block += [(rows.track(row), float(cosines[row])) for row in places]
            seen.update(more)
        if block:
            yield block


def unscored_blocks(index: Searcher) -> Iterator[list[Scored]]:
    """Yield all tracks, in the order of their keys with score 0, as one block."""
    rows = index.all_rows()
    yield [(rows.track(row), 0.0) for row in range(len(rows))]


def tag_blocks(
    index: Searcher,
    tags: FloatArray,
    by_video: tuple[FloatArray, Sequence[str]] | None,
    *,
    text_weight: float,
    size: int = BLOCK,
) -> Iterator[list[Scored]]:
    """Yield tracks in blocks, ranked by the tag scores of a text, or by the fusion of that ranking and a video's.

    Parameters
    ----------
    index : Searcher
    tags : ndarray of float32, shape (V,)
        Embedding of the text in the space of the tag scores.
    by_video : (embedding, keys), optional
        Embedding of the video (D,), and the tracks that rank first for it; the others follow by their cosine.
    text_weight : float
        Weight of the text's ranking in the fusion, from 0 to 1.
    size : int
    """
    rows = index.all_rows()
    keys = rows.text("key")
    by_text = index.tag_cosines(tags)
    order = np.lexsort((np.arange(len(keys)), -by_text))
    text_ranking = [int(row) for row in order if not np.isnan(by_text[row])]
    if by_video is None:
        scored = [(row, float(by_text[row])) for row in text_ranking]
    else:
        embedding, first = by_video
        known = set(first)
        tail = np.lexsort((np.arange(len(keys)), -index.cosines(embedding)))
        video_ranking = [*first, *(keys[row] for row in tail if keys[row] not in known)]
        fused = reciprocal_rank_fusion(
            [video_ranking, [keys[row] for row in text_ranking]], [1 - text_weight, text_weight]
        )
        row_of = {key: row for row, key in enumerate(keys)}
        scored = [(row_of[key], score) for key, score in fused]
    for start in range(0, len(scored), size):
        yield [(rows.track(row), score) for row, score in scored[start : start + size]]
