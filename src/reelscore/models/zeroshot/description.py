"""Genre, mood, instruments and vocals of a track, from the scores of vocabulary terms."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from reelscore.types import FloatArray

from .tag_scores import TagScorer
from .vocabulary import Kind, Vocabulary

# By column: kind of term, most terms, lowest score. Chosen by hand on 18 tracks of game music.
_COLUMNS: Mapping[str, tuple[Kind, int, float]] = {
    "genre": ("genre", 2, 0.27),
    "mood": ("mood", 3, 0.2),
    "instruments": ("instrument", 3, 0.2),
}
_VOCAL = re.compile(r"\b(vocals?|voices?|sing(ing|er)|choir|rap)\b", re.IGNORECASE)
VOCALS_FROM, VOCALS_BELOW = 0.5, 0.25
"""Tag scores from which a track has vocals, and below which it has none; between, it is unknown.

On the scale of `tag_scores.strength` with a floor of 0.01, they are mean probabilities of 10 % and 3 %.
"""


def vocal_terms(vocabulary: Vocabulary) -> npt.NDArray[np.bool_]:
    """Return a mask of the instruments that are voices, by their texts, shape (V,)."""
    voices = np.array([bool(_VOCAL.search(text)) for text in vocabulary.texts])
    vocal: npt.NDArray[np.bool_] = vocabulary.mask("instrument") & voices
    return vocal


def highest_scores(scorers: Sequence[TagScorer]) -> FloatArray:
    """Return the highest tag score that each term can reach, shape (V,); 0 for a term that no label means."""
    rows = [scorer.probabilities(np.zeros((1, scorer.num_columns), np.float32)) for scorer in scorers]
    scores = [scorer.term_scores(np.ones_like(row)) for scorer, row in zip(scorers, rows, strict=True)]
    highest: FloatArray = np.max(scores, axis=0)[0]
    return highest


def describe(
    vocabulary: Vocabulary, scores: FloatArray, tags: FloatArray, highest: FloatArray
) -> dict[str, str | tuple[str, ...]]:
    """Return the columns ``genre``, ``mood``, ``instruments`` and ``vocals``; absent where nothing is recognised.

    Parameters
    ----------
    vocabulary : Vocabulary
    scores : ndarray of float32, shape (V,)
        Scores of the terms, from affect and tags; the highest come first.
    tags : ndarray of float32, shape (V,)
        Tag scores, in [0, 1].
    highest : ndarray of float32, shape (V,)
        See `highest_scores`.
    """
    found: dict[str, str | tuple[str, ...]] = {}
    vocal = vocal_terms(vocabulary)
    for column, (kind, most, lowest) in _COLUMNS.items():
        eligible = np.where(vocabulary.mask(kind) & ~vocal, scores, -np.inf)
        order = np.argsort(-eligible, kind="stable")[:most]
        names = tuple(vocabulary.names[i].lower() for i in order if eligible[i] >= lowest)
        if names:
            found[column] = names
    heard = tags[vocal & (highest >= VOCALS_FROM)]
    if len(heard) and not VOCALS_BELOW <= heard.max() < VOCALS_FROM:
        found["vocals"] = "yes" if heard.max() >= VOCALS_FROM else "no"
    return found
