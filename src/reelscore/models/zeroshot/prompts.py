"""Scores of vocabulary terms from captions in a joint embedding space.

A model such as CLIP or CLAP embeds an image or a sound near its caption. Each term becomes a caption in the wording of
the model's authors: *a photo of waves.*, *This is a sound of jazz.* For a row x, let c_w be the cosines with the
captions of the n terms of a kind, c_0 the cosine with the empty caption of that kind (*a photo.*), and s the model's
logit scale:

    p_w = exp(s c_w) / (n exp(s c_0) + sum_w' exp(s c_w'))        strength = log(p_w (n + 1)) / log(n + 1), at least 0

The softmax cancels the modality gap, the common distance of x to all captions. The empty caption weighs as much as all
terms together, so that only terms nearer than it get a score, and a row near to everything gets none. A SigLIP model
gives each caption its own probability, sigmoid(s c_w + b).

References
----------
Radford et al. 2021, "Learning transferable visual models from natural language supervision": captions, and the mean
over several for one class. Wu et al. 2023, "Large-scale contrastive language-audio pretraining": *This is a sound of*.
Zhai et al. 2023, "Sigmoid loss for language image pre-training": *This is a photo of*. The captions of moods have no
source.
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
"""Part of the fingerprint. Change it whenever the same cosines give other scores."""

SIGMOID_FLOOR = 0.01
"""Probability that maps to score 0 for a model with sigmoid probabilities."""


@dataclass(frozen=True, slots=True)
class Captions:
    """Captions for terms of one kind: a template with a place for the word, and the empty caption."""

    template: str
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
"""Captions by model architecture and kind of term; a kind that is absent gets no score from the model."""


@dataclass(frozen=True, slots=True)
class Logits:
    """Map from cosines c to probabilities: ``softmax(scale c)``, or with a bias ``sigmoid(scale c + bias)``."""

    scale: float
    bias: float | None = None


def caption_texts(vocabulary: Vocabulary, architecture: str, *, modality: Modality) -> tuple[str, ...]:
    """Return the captions that `PromptTags` needs encoded, in its order.

    A term gets one caption for each comma-separated word of its text.

    Raises
    ------
    ConfigError
        If the vocabulary has no term for the modality: scenes for ``"video"``, any other kind for ``"music"``.

    Examples
    --------
    >>> from .vocabulary import Term
    >>> words = Vocabulary((Term("sea", "scene", "sea, waves"), Term("jazz", "genre")))
    >>> caption_texts(words, "clip", modality="video")
    ('a photo of sea.', 'a photo of waves.', 'a photo.')
    """
    needed: tuple[Kind, ...] = ("scene",) if modality == "video" else ("mood", "genre", "instrument")
    if not vocabulary.mask(*needed).any():
        raise ConfigError(
            f"the vocabulary has no term of the kind {' or '.join(needed)}, so there is nothing to look for in "
            f"{'videos' if modality == 'video' else 'music'}; add such a term, or omit --vocabulary"
        )
    return tuple(text for _, text in _captions(vocabulary, architecture))


class PromptTags:
    """Term scores from the captions of one model. Implements `TagScorer`.

    Parameters
    ----------
    vocabulary : Vocabulary
    architecture : str
        A key of `CAPTIONS`.
    rows : ndarray of float32, shape (C, E)
        Unit embeddings of `caption_texts` by the model's text tower.
    logits : Logits
    """

    def __init__(
        self, vocabulary: Vocabulary, architecture: str, *, rows: FloatArray, logits: Logits
    ) -> None:
        targets = [target for target, _ in _captions(vocabulary, architecture)]
        self.num_columns = rows.shape[1]
        self._logits = logits
        self._rows = np.zeros((len(vocabulary), rows.shape[1]), np.float32)
        for term in range(len(vocabulary)):
            own = rows[[target == term for target in targets]]
            if len(own):
                self._rows[term] = _unit(own.mean(axis=0))
        self._kinds = [
            (vocabulary.mask(kind), rows[targets.index(kind)])
            for kind in CAPTIONS[architecture]
            if vocabulary.mask(kind).any()
        ]
        self._floors = np.ones(len(vocabulary), np.float32)
        for of_kind, _ in self._kinds:
            self._floors[of_kind] = 1 / (of_kind.sum() + 1) if logits.bias is None else SIGMOID_FLOOR
        captions = {kind: [each.template, each.empty] for kind, each in CAPTIONS[architecture].items()}
        identity = json.dumps([VERSION, captions, logits.scale, logits.bias], sort_keys=True)
        self.fingerprint = f"prompts-{hashlib.blake2b(identity.encode(), digest_size=6).hexdigest()}"

    def probabilities(self, features: FloatArray) -> FloatArray:
        """Return p of each term for each row, shape (T, V); 0 for kinds without captions."""
        units = _unit(features)
        logits = np.float32(self._logits.scale) * (units @ self._rows.T)
        probabilities = np.zeros_like(logits)
        for of_kind, empty in self._kinds:
            own = logits[:, of_kind]
            if self._logits.bias is not None:
                biased = np.clip(own + np.float32(self._logits.bias), -80, 80)
                probabilities[:, of_kind] = 1 / (1 + np.exp(-biased))
                continue
            none = np.float32(self._logits.scale) * (units @ empty) + np.float32(np.log(own.shape[1]))
            both = np.concatenate([own, none[:, None]], axis=1)
            weights = np.exp(both - both.max(axis=1, keepdims=True))
            probabilities[:, of_kind] = (weights / weights.sum(axis=1, keepdims=True))[:, :-1]
        return probabilities

    def term_scores(self, probabilities: FloatArray) -> FloatArray:
        """Return the `strength` of each term, shape (B, V)."""
        with_captions = self._floors < 1
        scores = np.zeros_like(probabilities)
        scores[:, with_captions] = strength(probabilities[:, with_captions], self._floors[with_captions])
        return scores


def _captions(vocabulary: Vocabulary, architecture: str) -> Iterator[tuple[int | Kind, str]]:
    """Yield every caption with the index of its term, or with the kind whose empty caption it is."""
    for kind, captions in CAPTIONS[architecture].items():
        terms: Sequence[int] = np.flatnonzero(vocabulary.mask(kind)).tolist()
        for term in terms:
            for word in vocabulary.texts[term].split(","):
                if word.strip():
                    yield term, captions.template.format(word.strip())
        if terms:
            yield kind, captions.empty


def _unit(rows: FloatArray) -> FloatArray:
    unit: FloatArray = rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), np.float32(1e-12))
    return unit
