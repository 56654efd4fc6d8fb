"""An embedding that lies in one space with texts enters, what it says of each term of a vocabulary leaves.

A model such as CLIP or CLAP was trained to place a picture or a sound near its caption. So each term is asked for by
captions, as its authors ask: *a photo of waves.*, *This is a sound of jazz.* A row x has with the n terms of a kind the
cosines c_w, with the empty caption of that kind (*a photo.*) the cosine c_0, and, at the model's own scale s,

    p_w = exp(s c_w) / (n exp(s c_0) + sum_w' exp(s c_w'))        strength = log(p_w (n + 1)) / log(n + 1), at least 0

A row lies far from all captions alike (the gap between the modalities), which the softmax does not see. What is near
everything gains nothing by it, for the empty caption is near everything as well and weighs as much as all terms: only
what is nearer than that speaks. A SigLIP model says of each caption by itself how probable it is, sigmoid(s c_w + b).

References
----------
Radford et al. 2021, "Learning transferable visual models from natural language supervision": captions, and the mean
over several for one class. Wu et al. 2023, "Large-scale contrastive language-audio pretraining": *This is a sound of*.
Zhai et al. 2023, "Sigmoid loss for language image pre-training": *This is a photo of*. The words for moods are our own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from reelscore.errors import ConfigError
from reelscore.types import FloatArray, Modality

from .tag_scores import strength
from .vocabulary import Kind, Vocabulary

VERSION = "1"
"""Changes whenever the same cosines say something else."""

GUESS = 0.01
"""Probability that counts as nothing where each caption has its own."""


@dataclass(frozen=True, slots=True)
class Captions:
    """How terms of one kind are asked for: `worded` has a gap for the word, `empty` says nothing in particular."""

    worded: str
    empty: str


_SIGLIP: dict[Kind, Captions] = {
    "scene": Captions("This is a photo of {}.", "This is a photo."),
    "mood": Captions("This is a photo that feels {}.", "This is a photo."),
}
_SOUND = Captions("This is a sound of {}.", "This is a sound of music.")
CAPTIONS: dict[str, dict[Kind, Captions]] = {
    "clip": {
        "scene": Captions("a photo of {}.", "a photo."),
        "mood": Captions("a photo that feels {}.", "a photo."),
    },
    "siglip": _SIGLIP,
    "siglip2": _SIGLIP,
    "clap": {
        "mood": Captions("This is a sound of {} music.", "This is a sound of music."),
        "genre": _SOUND,
        "instrument": _SOUND,
    },
}
"""By the architecture of the model, which kinds of terms it is asked for and how."""


@dataclass(frozen=True, slots=True)
class Logits:
    """How a model makes probabilities of cosines: ``softmax(scale c)``, or with a bias ``sigmoid(scale c + bias)``."""

    scale: float
    bias: float | None = None


def caption_texts(vocabulary: Vocabulary, architecture: str, *, modality: Modality) -> tuple[str, ...]:
    """Return the captions that `Prompts` wants encoded, in its order.

    A term is asked for by each of the words of its text.

    Raises
    ------
    ConfigError
        When the vocabulary has no scene, and `modality` is ``"video"``, or nothing that can be heard.

    Examples
    --------
    >>> from .vocabulary import Term
    >>> words = Vocabulary((Term("sea", "scene", "sea, waves"), Term("jazz", "genre")))
    >>> caption_texts(words, "clip", modality="video")
    ('a photo of sea.', 'a photo of waves.', 'a photo.')
    """
    needed: tuple[Kind, ...] = ("scene",) if modality == "video" else ("mood", "genre", "instrument")
    if not vocabulary.of(*needed).any():
        raise ConfigError(
            f"the vocabulary has no term of the kind {' or '.join(needed)}, so there is nothing to look for in "
            f"{'pictures' if modality == 'video' else 'music'}; add such a term, or leave out --vocabulary"
        )
    return tuple(text for _, text in _asked(vocabulary, architecture))


class Prompts:
    """The captions of one model. Implements `TagScorer`.

    Parameters
    ----------
    vocabulary : Vocabulary
    architecture : str
        A key of `CAPTIONS`.
    rows : ndarray of float32, shape (C, E)
        The `caption_texts`, encoded by the model's own text tower, each of length 1.
    logits : Logits
    """

    def __init__(
        self, vocabulary: Vocabulary, architecture: str, *, rows: FloatArray, logits: Logits
    ) -> None:
        asked = [place for place, _ in _asked(vocabulary, architecture)]
        self.num_columns = rows.shape[1]
        self._logits = logits
        self._rows = np.zeros((len(vocabulary), rows.shape[1]), np.float32)
        for term in range(len(vocabulary)):
            mine = rows[[place == term for place in asked]]
            if len(mine):
                self._rows[term] = _unit(mine.mean(axis=0))
        self._kinds = [
            (vocabulary.of(kind), rows[asked.index(kind)])
            for kind in CAPTIONS[architecture]
            if vocabulary.of(kind).any()
        ]
        self._floors = np.ones(len(vocabulary), np.float32)
        for of_kind, _ in self._kinds:
            self._floors[of_kind] = 1 / (of_kind.sum() + 1) if logits.bias is None else GUESS
        captions = {kind: [each.worded, each.empty] for kind, each in CAPTIONS[architecture].items()}
        told = json.dumps([VERSION, captions, logits.scale, logits.bias], sort_keys=True)
        self.fingerprint = f"prompts-{hashlib.blake2b(told.encode(), digest_size=6).hexdigest()}"

    def probabilities(self, features: FloatArray) -> FloatArray:
        """Return p of each term for each row, shape (T, V); 0 for kinds that the model is not asked for."""
        units = _unit(features)
        logits = np.float32(self._logits.scale) * (units @ self._rows.T)
        found = np.zeros_like(logits)
        for of_kind, empty in self._kinds:
            mine = logits[:, of_kind]
            if self._logits.bias is not None:
                found[:, of_kind] = 1 / (1 + np.exp(-np.clip(mine + np.float32(self._logits.bias), -80, 80)))
                continue
            none = np.float32(self._logits.scale) * (units @ empty) + np.float32(np.log(mine.shape[1]))
            both = np.concatenate([mine, none[:, None]], axis=1)
            weights = np.exp(both - both.max(axis=1, keepdims=True))
            found[:, of_kind] = (weights / weights.sum(axis=1, keepdims=True))[:, :-1]
        return found

    def said(self, probabilities: FloatArray) -> FloatArray:
        """Return the strength of each term, shape (B, V)."""
        asked = self._floors < 1
        found = np.zeros_like(probabilities)
        found[:, asked] = strength(probabilities[:, asked], self._floors[asked])
        return found


def _asked(vocabulary: Vocabulary, architecture: str) -> Iterator[tuple[int | Kind, str]]:
    """Yield every caption with the term that it asks for, or the kind whose empty caption it is."""
    for kind, captions in CAPTIONS[architecture].items():
        places: Sequence[int] = np.flatnonzero(vocabulary.of(kind)).tolist()
        for place in places:
            for word in vocabulary.texts[place].split(","):
                if word.strip():
                    yield place, captions.worded.format(word.strip())
        if places:
            yield kind, captions.empty


def _unit(rows: FloatArray) -> FloatArray:
    unit: FloatArray = rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), np.float32(1e-12))
    return unit
