"""A matcher made of words: what classifiers and rules say of pictures and of sound enters, points in one space leave.

Both sides are told in the words of a vocabulary. V terms make the axes of the space, and an item's coordinate a_w says
how much term w applies to it:

    pictures  a = affect + s + suggested by s         s: names of what is seen that mean a scene
    sound     a = affect + t                          t: tags of what is heard that mean a mood, genre or instrument
    words     a = the terms that were named + their affect + what they suggest
    e = u(K diag(k) a),      score = e(v) . e(m)

*Affect* (`affect_rules`) reads arousal, valence and pace q in [-1, 1] from colour, movement, rhythm and timbre; a term
that says something of them gets c_w . q. A label l speaks for the terms whose text means what it means:
R_wl = (cos(text_w, text_l) - r) / (1 - r), for those near the best of all terms alone, and a label that means a bit of
everything (*Music*) for none. K lets terms of like meaning overlap a little; k weighs the kinds of terms.

Since the axes are words, a match says why: the terms that both sides share.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..domain import FeatureSequence, FloatArray, Modality
from ..sampling import DEFAULT_NUM_SEGMENTS
from .affect_rules import place, squash
from .embedder import check_encoder, no_text
from .phrases import Encode, read_phrase
from .vocabulary import Kind, Vocabulary

VERSION = "1"
NEAR = 0.9
"""Share of the best term's cosine from which on a label speaks for another term, too."""

MOST_TERMS = 12
"""A label that comes near more terms than so many says nothing."""

AFFECT, TAGGED, GENRES_OF_PICTURES, SUGGESTED = 0.8, 0.4, 0.7, 0.8
"""What affect, a mood's tag, affect's word for a genre, and a scene's suggestion weigh; set by hand, on no test."""

SCENES = 0.7
OVERLAP, OVERLAP_FROM = 0.3, 0.45
"""K's entries off the diagonal: at most, and the cosine at which they begin."""

_SHOWN = 0.01  # of a score; what adds less is no reason


@dataclass(frozen=True, slots=True)
class Classes:
    """What one classifier's columns are called and how its probabilities are read.

    Attributes
    ----------
    rows : ndarray of float32, shape (L, E)
        Unit text embeddings of the labels.
    kinds : tuple of str
        Kinds of terms that its labels may speak for.
    lowest : float
        r, the cosine from which on a label means a term.
    floor : float
        Probability that counts as nothing; strength rises with its logarithm up to 1 at certainty.
    """

    rows: FloatArray
    kinds: tuple[Kind, ...]
    lowest: float
    floor: float

    @classmethod
    def of_pictures(cls, rows: FloatArray) -> Classes:
        """Classes of things in pictures, one of which is there: below a tenth it is a guess."""
        return cls(rows, ("scene",), lowest=0.35, floor=0.1)

    @classmethod
    def of_sound(cls, rows: FloatArray) -> Classes:
        """Tags of sound, of which many apply at once, each with its own probability."""
        return cls(rows, ("mood", "genre", "instrument"), lowest=0.5, floor=0.01)

    def strength(self, probabilities: FloatArray) -> FloatArray:
        """Return how surely each label applies, in [0, 1], for probabilities (..., L)."""
        seen = np.log(np.maximum(probabilities, np.float32(self.floor)) / np.float32(self.floor))
        strength: FloatArray = np.minimum(seen / np.float32(-np.log(self.floor)), np.float32(1))
        return strength


class Bridge:
    """Matches through the words of a vocabulary, without any training. Implements `Embedder`.

    Parameters
    ----------
    vocabulary : Vocabulary
    encode : callable
        Texts -> unit rows (N, E).
    text_encoder : str
        Fingerprint of what encodes them.
    readings : ndarray of float32, shape (2, V, E)
        Unit rows of the terms' texts and of their names.
    video_classes, music_classes : sequence of Classes
        Of the label columns that stand behind the light encoder's columns, in their order.
    num_light : tuple of int
        How many columns of the video and of the music features are the light encoder's.
    video_encoder, music_encoder : str
        Fingerprints of the joined encoders.
    """

    name = "bridge"
    trained = False
    text_encoder: str | None = None
    hub_strength = 0.5

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        encode: Encode,
        text_encoder: str,
        readings: FloatArray,
        video_classes: Sequence[Classes],
        music_classes: Sequence[Classes],
        num_light: tuple[int, int],
        video_encoder: str,
        music_encoder: str,
    ) -> None:
        self.vocabulary = vocabulary
        self.video_encoder = video_encoder
        self.music_encoder = music_encoder
        self.num_segments = DEFAULT_NUM_SEGMENTS
        self.dim = len(vocabulary)
        parts = (VERSION, vocabulary.fingerprint, text_encoder, video_encoder, music_encoder)
        self.fingerprint = f"bridge-{hashlib.blake2b(chr(0).join(parts).encode(), digest_size=8).hexdigest()}"
        self._encode = encode
        self._readings = readings
        texts = (*vocabulary.texts, *vocabulary.names)
        self._known = dict(zip(texts, readings.reshape(len(texts), -1), strict=True))
        self._classes: dict[Modality, tuple[Classes, ...]] = {
            "video": tuple(video_classes),
            "music": tuple(music_classes),
        }
        self._links = {
            modality: [self._link(each) for each in classes] for modality, classes in self._classes.items()
        }
        self._num_light: dict[Modality, int] = dict(zip(("video", "music"), num_light, strict=True))
        cosines = readings[0] @ readings[0].T
        overlap = OVERLAP * np.clip((cosines - OVERLAP_FROM) / (1 - OVERLAP_FROM), 0, 1)
        np.fill_diagonal(overlap, 1)
        weights = np.where(vocabulary.of("scene"), np.float32(SCENES), np.float32(1))
        self._spread = (overlap * weights).astype(np.float32)

    def embed_video(self, sequence: FeatureSequence, text: FloatArray | None = None) -> FloatArray:
        """Return the embedding of a video, shape (V,); encoded text is for trained models, see `embed_text`."""
        no_text(self, text)
        placed: FloatArray = self._placed(self._pictures(self._read(sequence, "video", whole=True)))[0]
        return placed

    def embed_music(self, sequence: FeatureSequence) -> FloatArray:
        """Return the embedding of a track, shape (V,)."""
        placed: FloatArray = self._placed(self._sound(self._read(sequence, "music", whole=True)))[0]
        return placed

    def embed_moments(self, sequence: FeatureSequence) -> FloatArray:
        """Return one embedding for each row of a track, shape (T, V), from it and its two neighbours."""
        return self._placed(self._sound(self._read(sequence, "music", whole=False)))

    def embed_text(self, text: str) -> FloatArray:
        """Return the embedding of what somebody asks for in words, shape (V,); see `phrases.read_phrase`."""
        named = read_phrase(text, self._rows, self._readings, self.vocabulary.names)
        asked = named[None]
        placed: FloatArray = self._placed(asked + self._felt(asked) + self._suggested(asked))[0]
        return placed

    @property
    def bank(self) -> FloatArray:
        """What each term asks for by itself, shape (V, V)."""
        each = np.eye(len(self.vocabulary), dtype=np.float32)
        return self._placed(each + self._felt(each) + self._suggested(each))

    def reasons(self, query: FloatArray, embedding: FloatArray, *, most: int = 3) -> tuple[str, ...]:
        """Return the terms that a query and a track share, the weightiest first."""
        shared = np.where((query > 0) & (embedding > 0), query * embedding, 0)
        order = np.argsort(-shared, kind="stable")[:most]
        return tuple(self.vocabulary.names[i] for i in order if shared[i] > _SHOWN)

    def _read(
        self, sequence: FeatureSequence, modality: Modality, *, whole: bool
    ) -> tuple[FloatArray, list[FloatArray]]:
        """Return affect q (B, 3) and, for each classifier, what its labels say of the terms (B, V)."""
        check_encoder(self, sequence, modality=modality)
        light = self._num_light[modality]
        readings, seen = place(sequence, modality), sequence.values[:, light:]
        readings, seen = (
            (rows.mean(axis=0, keepdims=True) if whole else _with_neighbours(rows))
            for rows in (readings, seen)
        )
        said, start = [], 0
        for classes, links in zip(self._classes[modality], self._links[modality], strict=True):
            strength = classes.strength(seen[:, start : start + len(classes.rows)])
            said.append(np.stack([(links * row).max(axis=1) for row in strength]))
            start += len(classes.rows)
        return 2 * squash(readings) - 1, said

    def _pictures(self, read: tuple[FloatArray, list[FloatArray]]) -> FloatArray:
        felt, said = read
        scenes = np.max(said, axis=0)
        weight = np.where(self.vocabulary.of("mood"), AFFECT, AFFECT * GENRES_OF_PICTURES)
        placed: FloatArray = weight * (felt @ self.vocabulary.affect.T) + scenes + self._suggested(scenes)
        return placed

    def _sound(self, read: tuple[FloatArray, list[FloatArray]]) -> FloatArray:
        felt, said = read
        tagged = np.max(said, axis=0)
        mood = self.vocabulary.of("mood")
        placed = np.where(mood, AFFECT * (felt @ self.vocabulary.affect.T) + TAGGED * tagged, 0)
        for kind in ("genre", "instrument"):
            of_kind = self.vocabulary.of(kind)
            if of_kind.any():
                # Some tags are always half there: what counts is what stands out among its kind.
                usual = tagged[:, of_kind].mean(axis=1, keepdims=True)
                placed = np.where(of_kind, 1.5 * (tagged - usual), placed)
        return placed

    def _felt(self, named: FloatArray) -> FloatArray:
        """Return what the moods have in common with the feeling of the terms that were named, (B, V)."""
        affect = self.vocabulary.affect
        says = np.abs(named) * (np.abs(affect).sum(axis=1) > 0)
        felt = named @ affect / np.maximum(says.sum(axis=1, keepdims=True), np.float32(1))
        moods: FloatArray = np.where(self.vocabulary.of("mood"), felt @ affect.T, np.float32(0))
        return moods

    def _suggested(self, said: FloatArray) -> FloatArray:
        scenes = np.where(self.vocabulary.of("scene"), said, 0)
        suggested: FloatArray = SUGGESTED * (scenes @ self.vocabulary.suggestions.T)
        return suggested

    def _placed(self, coordinates: FloatArray) -> FloatArray:
        points = coordinates @ self._spread.T
        lengths = np.linalg.norm(points, axis=1, keepdims=True)
        # What no word applies to lies nowhere; any fixed point keeps the promise of norm 1.
        anywhere = np.full_like(points, 1 / np.sqrt(points.shape[1]))
        unit: FloatArray = np.where(lengths > 1e-6, points / np.maximum(lengths, 1e-6), anywhere).astype(
            np.float32
        )
        return unit

    def _rows(self, texts: Sequence[str]) -> FloatArray:
        """Encode texts; the vocabulary's own are encoded already."""
        new = [text for text in texts if text not in self._known]
        encoded = dict(zip(new, self._encode(new), strict=True)) if new else {}
        return np.stack([self._known[text] if text in self._known else encoded[text] for text in texts])

    def _link(self, classes: Classes) -> FloatArray:
        """Return R, shape (V, L)."""
        cosines = np.where(
            self.vocabulary.of(*classes.kinds)[:, None], self._readings[0] @ classes.rows.T, np.float32(-1)
        )
        meant = np.clip((cosines - classes.lowest) / (1 - classes.lowest), 0, 1)
        meant[cosines < NEAR * cosines.max(axis=0)] = 0
        meant[:, (cosines > 0.5).sum(axis=0) > MOST_TERMS] = 0
        linked: FloatArray = meant.astype(np.float32)
        return linked


def _with_neighbours(rows: FloatArray) -> FloatArray:
    padded = np.pad(rows, ((1, 1), (0, 0)), mode="edge")
    mean: FloatArray = (padded[:-2] + padded[1:-1] + padded[2:]) / np.float32(3)
    return mean
