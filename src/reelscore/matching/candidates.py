"""Candidate tracks of a query in blocks of fixed size, so that no page depends on another."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from reelscore.library.storage.open import Searcher
from reelscore.types import FloatArray, Track

from .fusion import reciprocal_rank_fusion

Scored = tuple[Track, float]

BLOCK = 200
"""Number of tracks that are ranked by their moments together."""


def nearest_blocks(
    index: Searcher,
    embedding: FloatArray,
    *,
    where: str | None = None,
    size: int = BLOCK,
    also: Iterable[str] = (),
) -> Iterator[list[Scored]]:
    """Yield the tracks that pass a filter in blocks of descending cosine.

    Parameters
    ----------
    index : Searcher
    embedding : ndarray of float32, shape (D,)
    where : str, optional
        SQL condition.
    size : int
    also : iterable of str
        Keys of tracks that belong to the first block in any case.
    """
    seen: set[str] = set()
    for depth in range(size, len(index) + size, size):
        found = index.search(embedding, depth, where=where)
        block = [pair for pair in found if pair[0].key not in seen]
        seen.update(track.key for track, _ in block)
        if depth == size and (more := sorted(set(also) - seen)):
            rows, cosines = index.all_rows(), index.cosines(embedding)
            places = [row for key in more if (row := rows.row_of(key)) is not None]
            block += [(rows.track(row), float(cosines[row])) for row in places]
            seen.update(more)
        if block:
            yield block
        if len(found) < depth:
            return


def unscored_blocks(index: Searcher, allowed: Collection[str] | None = None) -> Iterator[list[Scored]]:
    """Yield the allowed tracks, by default all, in the order of their keys with score 0, as one block."""
    rows = index.all_rows()
    tracks = (rows.track(row) for row in range(len(rows)))
    yield [(track, 0.0) for track in tracks if allowed is None or track.key in allowed]


def tag_blocks(
    index: Searcher,
    tags: FloatArray,
    by_video: tuple[FloatArray, Sequence[str]] | None,
    *,
    text_weight: float,
    allowed: Collection[str] | None = None,
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
    allowed : collection of str, optional
        Keys of the tracks that pass a filter; by default all.
    size : int
    """
    rows = index.all_rows()
    keys = rows.text("key")
    by_text = index.tag_cosines(tags)

    def ranking(scores: npt.NDArray[np.float64]) -> list[int]:
        order = np.lexsort((np.arange(len(keys)), -scores))
        return [int(row) for row in order if allowed is None or keys[row] in allowed]

    text_ranking = [row for row in ranking(by_text) if not np.isnan(by_text[row])]
    if by_video is None:
        scored = [(row, float(by_text[row])) for row in text_ranking]
    else:
        embedding, first = by_video
        known = set(first)
        tail = (keys[row] for row in ranking(index.cosines(embedding)))
        video_ranking = [*first, *(key for key in tail if key not in known)]
        fused = reciprocal_rank_fusion(
            [video_ranking, [keys[row] for row in text_ranking]], [1 - text_weight, text_weight]
        )
        row_of = {key: row for row, key in enumerate(keys)}
        scored = [(row_of[key], score) for key, score in fused]
    for start in range(0, len(scored), size):
        yield [(rows.track(row), score) for row, score in scored[start : start + size]]
