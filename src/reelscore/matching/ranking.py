"""Rank tracks by their embeddings and their best moments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from reelscore.errors import InputError
from reelscore.library.storage.entry import Moments
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

_FITS_AT_ONCE = 64
"""Tracks whose fit is found together; a page of ten results needs no more, see `diversity.WINDOW`."""

_UNKNOWN = TrackFacts()


class Placed(NamedTuple):
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
    moments : Moments, optional
        All moments of the track; None without a query embedding, where the moment is the start of the track.
    clip_s : float
        Length of the moment.
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
    moments: Moments | None = None
    clip_s: float = 0.0
    fit: str = ""
    parts: Mapping[str, float] = {}

    @property
    def moment(self) -> FloatArray | None:
        """Mean embedding of the moment, shape (D,)."""
        if self.moments is None:
            return None
        rows, starts_s, ends_s = self.moments
        first, last = (
            ends_s.searchsorted(self.start_s, "right"),
            starts_s.searchsorted(self.start_s + self.clip_s),
        )
        mean: FloatArray = rows[first:last].astype(np.float32).mean(axis=0)
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
    best = best_moments(
        query, [moments[key] for key in keys], [c.track.duration_s for c in candidates], clip_s=clip_s
    )
    scored = [(c.track, c.score, score) for c, (_, score) in zip(candidates, best, strict=True)]
    found = dict(zip(keys, zip(candidates, best, strict=True), strict=True))
    placed = []
    for track, score in rerank(scored, moment_weight=moment_weight):
        key = track.key
        candidate, (start_s, moment_score) = found[key]
        parts = {**candidate.parts, **({"moment": moment_score} if moment_weight else {})}
        known = facts.get(key, _UNKNOWN)
        placed.append(
            Placed(track, score, start_s, embeddings[key], known, moments[key], clip_s, parts=parts)
        )
    return placed


def calibrate(
    placed: Sequence[Placed], embedder: Embedder, bank: FloatArray | None, *, strength: float
) -> Iterator[Placed]:
    """Correct scores for hubness, yield by them, and say how they compare with those of unmatched queries.

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
        return
    candidates = np.array([p.embedding for p in placed])
    plain = np.array([p.score for p in placed])
    # The correction applies to the track as a whole, not to its moment.
    strength *= 1 - moment_weight(embedder)
    scores = corrected(plain, candidates, embedder, bank, strength=strength)
    added = (scores - plain).tolist()
    order = sorted(range(len(placed)), key=lambda i: (-scores[i], placed[i].track.key))
    for start in range(0, len(order), _FITS_AT_ONCE):
        part = order[start : start + _FITS_AT_ONCE]
        fits = [""] * len(part)
        if bank is not None and len(bank) >= _LEAST_BANK:
            whole = np.array([placed[i].parts["track"] for i in part])
            fits = [fit_word(z) for z in standardised(whole, candidates[part], bank)]
        for i, fit in zip(part, fits, strict=True):
            parts = placed[i].parts
            yield placed[i]._replace(
                score=float(scores[i]), fit=fit, parts={**parts, "hubness": added[i]} if added[i] else parts
            )
