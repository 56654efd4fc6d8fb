"""Candidate tracks of a query in blocks of fixed size, so that no page depends on another."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from reelscore.library.storage.open import Searcher
from reelscore.types import FloatArray, Track

from .fusion import reciprocal_rank_fusion


class Candidate(NamedTuple):
    """A track, its score, and what the score is made of; see `Placed.parts`."""

    track: Track
    score: float
    parts: Mapping[str, float] = {}


BLOCK = 200
"""Number of tracks that are ranked by their moments together."""


def nearest_blocks(
    index: Searcher,
    embedding: FloatArray,
    *,
    where: str | None = None,
    size: int = BLOCK,
    also: Iterable[str] = (),
) -> Iterator[list[Candidate]]:
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
        block = [Candidate(track, score, {"track": score}) for track, score in found if track.key not in seen]
        seen.update(candidate.track.key for candidate in block)
        if depth == size and (more := sorted(set(also) - seen)):
            rows, cosines = index.all_rows(), index.cosines(embedding)
            places = [row for key in more if (row := rows.row_of(key)) is not None]
            block += [
                Candidate(rows.track(row), float(cosines[row]), {"track": float(cosines[row])})
                for row in places
            ]
            seen.update(more)
        if block:
            yield block
        if len(found) < depth:
            return


def unscored_blocks(index: Searcher, allowed: Collection[str] | None = None) -> Iterator[list[Candidate]]:
    """Yield the allowed tracks, by default all, in the order of their keys with score 0, as one block."""
    rows = index.all_rows()
    tracks = (rows.track(row) for row in range(len(rows)))
    yield [Candidate(track, 0.0) for track in tracks if allowed is None or track.key in allowed]


def tag_blocks(
    index: Searcher,
    tags: FloatArray,
    by_video: tuple[FloatArray, Sequence[str]] | None,
    *,
    text_weight: float,
    allowed: Collection[str] | None = None,
    size: int = BLOCK,
) -> Iterator[list[Candidate]]:
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
        scored = [(row, float(by_text[row]), {"text": float(by_text[row])}) for row in text_ranking]
    else:
        embedding, first = by_video
        known = set(first)
        tail = (keys[row] for row in ranking(index.cosines(embedding)))
        video_ranking = [*first, *(key for key in tail if key not in known)]
        rankings = {"video rank": video_ranking, "text rank": [keys[row] for row in text_ranking]}
        fused = reciprocal_rank_fusion([*rankings.values()], [1 - text_weight, text_weight])
        row_of = {key: row for row, key in enumerate(keys)}
        parts: dict[str, dict[str, float]] = {key: {} for key, _ in fused}
        for name, ranking_of in rankings.items():
            for rank, key in enumerate(ranking_of, start=1):
                parts[key][name] = rank
        scored = [(row_of[key], score, parts[key]) for key, score in fused]
    for start in range(0, len(scored), size):
        yield [
            Candidate(rows.track(row), score, made_of) for row, score, made_of in scored[start : start + size]
        ]
