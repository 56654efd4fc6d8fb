"""Scores of vocabulary terms from a classifier's labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from reelscore.types import FloatArray

from .vocabulary import NUM_IMAGENET_CLASSES, Kind, Vocabulary

NEAR_BEST = 0.9
"""A label also scores the terms whose cosine reaches this share of the best term's."""

MAX_TERMS = 12
"""A label that is near to more terms than this scores none."""


_LABEL_COSINES = (0.35, 0.5)
"""Cosines from which on a class means a term a little, and fully."""

_SMOOTHING, _GUESS_SHARE = 0.01, 0.15
"""A probability that proves little, and the share of the scale that noise reaches."""


class TagScorer(Protocol):
    """Scores of V terms from some columns of an item's features.

    Attributes
    ----------
    num_columns : int
        Number of columns that it reads.
    fingerprint : str
        Identity of everything that affects the scores besides the features, the vocabulary and its text encoder.
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
        """Return the probabilities of L labels for each row (T, num_columns), shape (T, L)."""
        ...

    def term_scores(self, probabilities: FloatArray) -> FloatArray:
        """Return the scores of the terms, in [0, 1], shape (B, V), for probabilities (B, L) of rows or their means."""
        ...


def strength(probabilities: FloatArray, floor: float | FloatArray) -> FloatArray:
    """Map probabilities (..., L) to [0, 1] on a logarithmic scale.

    Parameters
    ----------
    probabilities : ndarray of float32, shape (..., L)
    floor : float or ndarray, shape (L,)
        Probability that maps to 0; a probability of 1 maps to 1.

    Examples
    --------
    >>> [round(float(s), 3) for s in strength(np.array([0.05, 0.1, 0.5, 1.0], np.float32), 0.1)]
    [0.0, 0.0, 0.699, 1.0]
    """
    lowest = np.float32(floor)
    logs = np.log(np.maximum(probabilities, lowest) / lowest)
    scaled: FloatArray = np.minimum(logs / np.float32(-np.log(floor)), np.float32(1))
    return scaled


@dataclass(frozen=True, slots=True)
class ClassifierTags:
    """Term scores from the labels of an audio tagger. Implements `TagScorer`.

    Label l scores term w by R_wl = (cos(text_w, text_l) - r) / (1 - r). It scores only terms that are nearly as close
    as the closest one. A generic label (*Music*), close to many terms, scores none.

    Attributes
    ----------
    links : ndarray of float32, shape (V, L)
        R.
    floor : float
        See `strength`.
    """

    links: FloatArray
    floor: float
    fingerprint = ""  # the encoder's fingerprint covers the labels, and nothing else matters

    @property
    def num_columns(self) -> int:
        """L."""
        return int(self.links.shape[1])

    @classmethod
    def for_music(cls, rows: FloatArray, *, vocabulary: Vocabulary, terms: FloatArray) -> ClassifierTags:
        """Return the scorer of an audio tagger, whose tags have independent probabilities.

        Parameters
        ----------
        rows : ndarray of float32, shape (L, E)
            Unit text embeddings of the labels.
        vocabulary : Vocabulary
        terms : ndarray of float32, shape (V, E)
            Unit text embeddings of its terms.
        """
        links = _links(rows, vocabulary, terms, kinds=("mood", "genre", "instrument"), lowest=0.5)
        return cls(links, floor=0.01)

    def probabilities(self, features: FloatArray) -> FloatArray:
        """Return the features: the columns of a classifier are probabilities."""
        return features

    def term_scores(self, probabilities: FloatArray) -> FloatArray:
        """Return the score of each term by its strongest label, shape (B, V)."""
        return np.stack([(self.links * row).max(axis=1) for row in strength(probabilities, self.floor)])


@dataclass(frozen=True, slots=True)
class ImageClassTags:
    """Term scores from an image classifier, one of whose classes applies. Implements `TagScorer`.

    The probability of term w is the sum over the classes that mean it, p_w = sum_l R_wl p_l: a picture of a bird shares
    its probability out among many kinds of bird. With c_w the probability of a classifier that guesses and a = 0.01,

        score = log((p_w + a) / (c_w + a)) / log((max_l R_wl + a) / (c_w + a))

    less a share that guessing reaches.

    Attributes
    ----------
    links : ndarray of float32, shape (V, L)
        R.
    """

    links: FloatArray
    fingerprint = "image-classes-2"

    @property
    def num_columns(self) -> int:
        """L."""
        return int(self.links.shape[1])

    @classmethod
    def of_imagenet(cls, labels: Sequence[str], vocabulary: Vocabulary) -> ImageClassTags | None:
        """Return the scorer of the classes of ImageNet-1k; None for other labels, or without `Term.classes`.

        Similarity of words is no guide to its labels: *tick* and *crane* are more than animals. R is 1 where the
        vocabulary says that a class shows a scene. Labels may start with a class for the background.
        """
        background = len(labels) - NUM_IMAGENET_CLASSES
        ends = [label.split(",")[0].lower() for label in (*labels[max(background, 0) :][:1], *labels[-1:])]
        if background not in (0, 1) or ends != ["tench", "toilet tissue"] or not vocabulary.imagenet.any():
            return None
        return cls(np.pad(vocabulary.imagenet, ((0, 0), (background, 0))))

    @classmethod
    def of_labels(cls, rows: FloatArray, *, vocabulary: Vocabulary, terms: FloatArray) -> ImageClassTags:
        """Return the scorer of a classifier's labels; see `ClassifierTags.for_music`."""
        links = _links(rows, vocabulary, terms, kinds=("scene",), lowest=_LABEL_COSINES[0])
        full = (_LABEL_COSINES[1] - _LABEL_COSINES[0]) / (1 - _LABEL_COSINES[0])
        return cls(np.minimum(links / np.float32(full), np.float32(1)))

    def probabilities(self, features: FloatArray) -> FloatArray:
        """Return p of each term for each row, shape (T, V)."""
        summed: FloatArray = features @ self.links.T
        return summed

    def term_scores(self, probabilities: FloatArray) -> FloatArray:
        """Return the score of each term, shape (B, V); 0 for a term without classes."""
        guess = self.links.mean(axis=1) + np.float32(_SMOOTHING)
        full = np.log((self.links.max(axis=1) + np.float32(_SMOOTHING)) / guess)
        evidence = np.log((probabilities + np.float32(_SMOOTHING)) / guess) / np.maximum(
            full, np.float32(1e-6)
        )
        scores = np.clip((evidence - np.float32(_GUESS_SHARE)) / np.float32(1 - _GUESS_SHARE), 0, 1)
        known: FloatArray = np.where(full > 1e-3, scores, np.float32(0)).astype(np.float32)
        return known


def _links(
    rows: FloatArray, vocabulary: Vocabulary, terms: FloatArray, *, kinds: tuple[Kind, ...], lowest: float
) -> FloatArray:
    """Return R, shape (V, L), for terms of some kinds; `lowest` is r."""
    cosines = np.where(vocabulary.mask(*kinds)[:, None], terms @ rows.T, np.float32(-1))
    links = np.clip((cosines - lowest) / (1 - lowest), 0, 1)
    links[cosines < NEAR_BEST * cosines.max(axis=0)] = 0
    links[:, (cosines > 0.5).sum(axis=0) > MAX_TERMS] = 0
    return links.astype(np.float32)
