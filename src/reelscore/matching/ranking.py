"""Rank tracks by their embeddings and their best moments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from reelscore.errors import InputError
from reelscore.library.storage.facts import TrackFacts
from reelscore.library.storage.open import Searcher
from reelscore.models.base import Embedder
from reelscore.types import FloatArray, Track

from .candidates import Candidate
from .hubness import corrected, fit_word, standardised
from .moments import best_moments

MOMENT_WEIGHT = 0.3
"""Weight of the best moment's score next to the whole track's, for a trained model; not tuned on any data set. The best
moment of a varied track matches any query, so without training it only says where to start."""

_LEAST_BANK = 16
"""Fewer unmatched queries give no deviation to compare with."""

_UNKNOWN = TrackFacts()


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """A track with its score and its best moment.

    Attributes
    ----------
    track : Track
    score : float
    start_s : float
        Start of the moment.
    embedding : ndarray of float32, shape (D,)
        Of the whole track.
    facts : TrackFacts
    inside : ndarray of float32, shape (M, D), optional
        Embeddings of the moments inside; None without a query embedding, where the moment is the start of the track.
    fit : str
        See `Match`.
    parts : Mapping of str to float
        What the score is made of: the cosines of the whole ``track`` and of its ``moment`` and what the ``hubness``
        correction adds, or the cosine of the ``text``, or the ``video rank`` and ``text rank`` that are fused.
    """

    track: Track
    score: float
    start_s: float
    embedding: FloatArray
    facts: TrackFacts = _UNKNOWN
    inside: FloatArray | None = None
    fit: str = ""
    parts: Mapping[str, float] = field(default_factory=dict)

    @property
    def moment(self) -> FloatArray | None:
        """Mean embedding of the moment, shape (D,)."""
        mean: FloatArray | None = None if self.inside is None else self.inside.mean(axis=0)
        return mean


def moment_weight(embedder: Embedder) -> float:
    """Return the weight of the best moment in the score of a model."""
    return MOMENT_WEIGHT if embedder.trained else 0.0


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
    candidates: Sequence[Candidate],
    query: FloatArray | None,
    index: Searcher,
    *,
    clip_s: float,
    moment_weight: float,
) -> list[Placed]:
    """Place the best moment of each candidate and rank by `rerank`. Without a query each track starts at 0."""
    keys = [candidate.track.key for candidate in candidates]
    embeddings, facts = index.embeddings(keys), index.facts(keys)
    if query is None:
        return [
            Placed(
                c.track,
                c.score,
                0.0,
                embeddings[c.track.key],
                facts.get(c.track.key, _UNKNOWN),
                parts=c.parts,
            )
            for c in candidates
        ]
    moments = index.moments(keys)
    starts: dict[str, float] = {}
    parts: dict[str, dict[str, float]] = {}
    scored = []
    best = best_moments(
        query, [moments[key] for key in keys], [c.track.duration_s for c in candidates], clip_s=clip_s
    )
    for (track, score, made_of), (start_s, moment_score) in zip(candidates, best, strict=True):
        starts[track.key] = start_s
        scored.append((track, score, moment_score))
        parts[track.key] = {**made_of, **({"moment": moment_score} if moment_weight else {})}
    placed = []
    for track, score in rerank(scored, moment_weight=moment_weight):
        rows, starts_s, ends_s = moments[track.key]
        start_s = starts[track.key]
        inside = rows[ends_s.searchsorted(start_s, "right") : starts_s.searchsorted(start_s + clip_s)]
        known = facts.get(track.key, _UNKNOWN)
        placed.append(
            Placed(track, score, start_s, embeddings[track.key], known, inside, parts=parts[track.key])
        )
    return placed


def calibrate(
    placed: Sequence[Placed], embedder: Embedder, bank: FloatArray | None, *, strength: float
) -> list[Placed]:
    """Correct scores for hubness, sort by them, and say how they compare with those of unmatched queries.

    Parameters
    ----------
    placed : sequence of Placed
    embedder : Embedder
    bank : ndarray of float32, shape (B, D), optional
        Its `bank` or `text_bank`.
    strength : float
        Strength of the correction, from 0 to 1.
    """
    if not placed:
        return []
    candidates = np.stack([p.embedding for p in placed])
    plain = np.array([p.score for p in placed])
    # The correction applies to the track as a whole, not to its moment.
    strength *= 1 - moment_weight(embedder)
    scores = corrected(plain, candidates, embedder, bank, strength=strength)
    fits = [""] * len(placed)
    if bank is not None and len(bank) >= _LEAST_BANK:
        whole = np.array([p.parts["track"] for p in placed])
        fits = [fit_word(z) for z in standardised(whole, candidates, bank)]
    order = sorted(range(len(placed)), key=lambda i: (-scores[i], placed[i].track.key))
    added = scores - plain
    return [
        replace(
            placed[i],
            score=float(scores[i]),
            fit=fits[i],
            parts={**placed[i].parts, **({"hubness": float(added[i])} if added[i] else {})},
        )
        for i in order
    ]
