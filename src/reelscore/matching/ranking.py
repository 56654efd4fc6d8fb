"""Rank tracks by their embeddings and their best moments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reelscore.errors import InputError
from reelscore.library.storage.open import Searcher
from reelscore.types import FloatArray, Track

from .moments import best_moment

MOMENT_WEIGHT = 0.3
"""Weight of the best moment's score next to the whole track's, for a trained model; not tuned on any data set. The best
moment of a varied track matches any query, so without training it only says where to start."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A track with its score, the start of its best moment, and the moment's mean embedding."""

    track: Track
    score: float
    start_s: float
    moment: FloatArray
    fit: str = ""


def rerank(
    scored: Iterable[tuple[Track, float, float]], *, moment_weight: float = MOMENT_WEIGHT
) -> list[tuple[Track, float]]:
    """Combine the score of each whole track and of its best moment, and sort by the result.

    Equation: ``score = (1 - w) * track_score + w * moment_score`` with w = `moment_weight`.

    Parameters
    ----------
    scored : iterable of (Track, track_score, moment_score)
        Cosines both.
    moment_weight : float
        From 0 (only the whole track) to 1 (only its best moment).

    Returns
    -------
    list of (Track, score)
        Descending; ties by key.

    Raises
    ------
    InputError
        When the weight lies outside [0, 1].
    """
    if not 0 <= moment_weight <= 1:
        raise InputError(f"moment_weight must lie in [0, 1], got {moment_weight!r}")
    w = moment_weight
    combined = [(track, (1 - w) * whole + w * moment) for track, whole, moment in scored]
    return sorted(combined, key=lambda pair: (-pair[1], pair[0].key))


def rank_by_moments(
    candidates: Sequence[tuple[Track, float]],
    query: FloatArray,
    index: Searcher,
    *,
    clip_s: float,
    moment_weight: float = MOMENT_WEIGHT,
) -> list[Placed]:
    """Place the best moment of each candidate and rank by `rerank`."""
    moments = index.moments([track.key for track, _ in candidates])
    starts: dict[str, float] = {}
    scored = []
    for track, score in candidates:
        rows, starts_s, ends_s = moments[track.key]
        starts[track.key], moment_score = best_moment(
            query, rows, starts_s, ends_s, clip_s=clip_s, duration_s=track.duration_s
        )
        scored.append((track, score, moment_score))
    placed = []
    for track, score in rerank(scored, moment_weight=moment_weight):
        rows, starts_s, ends_s = moments[track.key]
        start_s = starts[track.key]
        inside = (ends_s > start_s) & (starts_s < start_s + clip_s)
        placed.append(Placed(track, score, start_s, rows[inside].mean(axis=0)))
    return placed
