"""Columns of features enter, what they say of each term of a vocabulary leaves: the classes of classifiers.

`TagScorer` is what a `ZeroShotModel` asks. `ClassifierTags` answers it for a classifier, whose columns are probabilities of labels,
and `prompts.Prompts` for an embedding that lies in one space with texts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from reelscore.types import FloatArray

from .vocabulary import Kind, Vocabulary

NEAR = 0.9
"""Share of the best term's cosine from which on a label speaks for another term, too."""

MOST_TERMS = 12
"""A label that comes near more terms than so many says nothing."""


class TagScorer(Protocol):
    """What some columns of a medium's features say of V terms.

    Attributes
    ----------
    num_columns : int
        How many columns it reads.
    fingerprint : str
        Identity of all that shapes its numbers beside the features, the vocabulary and its text encoder.
    """

    @property
    def num_columns(self) -> int:
        """See the attributes."""
        ...

    @property
    def fingerprint(self) -> str:
        """See the attributes."""
        ...

    def probabilities(self, features: FloatArray) -> FloatArray:
        """Return how probably each of L things applies to each row (T, num_columns), shape (T, L)."""
        ...

    def said(self, probabilities: FloatArray) -> FloatArray:
        """Return what probabilities (B, L), of rows or means over rows, say of the terms: in [0, 1], shape (B, V)."""
        ...


def strength(probabilities: FloatArray, floor: float | FloatArray) -> FloatArray:
    """Return how surely things apply, in [0, 1], for probabilities (..., L).

    Parameters
    ----------
    floor : float or ndarray, shape (L,)
        Probability that counts as nothing; strength rises with its logarithm up to 1 at certainty.

    Examples
    --------
    >>> [round(float(s), 3) for s in strength(np.array([0.05, 0.1, 0.5, 1.0], np.float32), 0.1)]
    [0.0, 0.0, 0.699, 1.0]
    """
    least = np.float32(floor)
    seen = np.log(np.maximum(probabilities, least) / least)
    risen: FloatArray = np.minimum(seen / np.float32(-np.log(floor)), np.float32(1))
    return risen


@dataclass(frozen=True, slots=True)
class ClassifierTags:
    """The labels of one classifier. Implements `TagScorer`.

    A label l speaks for the terms whose text means what it means, R_wl = (cos(text_w, text_l) - r) / (1 - r), for those
    near the best of all terms alone, and a label that means a bit of everything (*Music*) for none.

    Attributes
    ----------
    links : ndarray of float32, shape (V, L)
        R.
    floor : float
        See `strength`.
    """

    links: FloatArray
    floor: float
    fingerprint = ""  # of nothing else: its columns are the encoder's, and their names go with them

    @property
    def num_columns(self) -> int:
        """L."""
        return int(self.links.shape[1])

    @classmethod
    def of_pictures(cls, rows: FloatArray, *, vocabulary: Vocabulary, terms: FloatArray) -> ClassifierTags:
        """Classes of things in pictures, one of which is there: below a tenth it is a guess.

        Parameters
        ----------
        rows : ndarray of float32, shape (L, E)
            Unit text embeddings of the labels.
        vocabulary : Vocabulary
        terms : ndarray of float32, shape (V, E)
            Unit text embeddings of its terms.
        """
        return cls(_links(rows, vocabulary, terms, kinds=("scene",), lowest=0.35), floor=0.1)

    @classmethod
    def of_sound(cls, rows: FloatArray, *, vocabulary: Vocabulary, terms: FloatArray) -> ClassifierTags:
        """Tags of sound, of which many apply at once, each with its own probability; see `of_pictures`."""
        links = _links(rows, vocabulary, terms, kinds=("mood", "genre", "instrument"), lowest=0.5)
        return cls(links, floor=0.01)

    def probabilities(self, features: FloatArray) -> FloatArray:
        """Return the features: a classifier's columns are probabilities."""
        return features

    def said(self, probabilities: FloatArray) -> FloatArray:
        """Return what the surest label of each term says, shape (B, V)."""
        return np.stack([(self.links * row).max(axis=1) for row in strength(probabilities, self.floor)])


def _links(
    rows: FloatArray, vocabulary: Vocabulary, terms: FloatArray, *, kinds: tuple[Kind, ...], lowest: float
) -> FloatArray:
    """Return R, shape (V, L), for terms of some kinds; `lowest` is r."""
    cosines = np.where(vocabulary.of(*kinds)[:, None], terms @ rows.T, np.float32(-1))
    meant = np.clip((cosines - lowest) / (1 - lowest), 0, 1)
    meant[cosines < NEAR * cosines.max(axis=0)] = 0
    meant[:, (cosines > 0.5).sum(axis=0) > MOST_TERMS] = 0
    linked: FloatArray = meant.astype(np.float32)
    return linked
