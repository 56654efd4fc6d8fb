"""A matcher made of words: what classifiers and rules say of pictures and of sound enters, points in one space leave.

Both sides are told in the words of a vocabulary. V terms make the axes of the space, and an item's coordinate a_w says
how much term w applies to it:

    pictures  a = affect + s + suggested by s         s: what is seen that means a scene or a mood
    sound     a = affect + t                          t: what is heard that means a mood, genre or instrument
    words     a = the terms that were named + their affect + what they suggest
    e = u(K diag(k) a),      score = e(v) . e(m)

*Affect* (`affect_rules`) reads arousal, valence and pace q in [-1, 1] from colour, movement, rhythm and timbre; a term
that says something of them gets c_w . q. What is seen and heard is told by `evidence`, the labels of classifiers or the
captions of a model that knows texts. K lets terms of like meaning overlap a little; k weighs the kinds of terms.

Words that lie beside a video or in it (`pieces`) are a second point w, which moves the pictures' point p, but never
further than WORDS allows: e = u(p + WORDS m w), where m in [0, 1] is the most that is said of any term.

Since the axes are words, a match says why: the terms that both sides share.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from reelscore.features.sampling import DEFAULT_NUM_SEGMENTS
from reelscore.models.affect.rules import place, squash
from reelscore.models.base import EncodeQuery, check_encoder
from reelscore.types import FeatureSequence, FloatArray, Modality

from .pieces import read_pieces
from .tag_scores import TagScorer
from .term_embeddings import TermEmbeddings
from .text_query import read_phrase
from .vocabulary import Vocabulary

VERSION = "1"
AFFECT, TAGGED, GENRES_OF_PICTURES, SUGGESTED = 0.8, 0.4, 0.7, 0.8
"""What affect, a mood's tag, affect's word for a genre, and a scene's suggestion weigh; set by hand, on no test."""

SCENES = 0.7
WORDS = 0.7
"""How far a video's own words move it, as a share of what its pictures say: by 44 degrees at most."""

OVERLAP, OVERLAP_FROM = 0.3, 0.45
"""K's entries off the diagonal: at most, and the cosine at which they begin."""

_SHOWN = 0.01  # of a score; what adds less is no reason


class ZeroShotModel:
    """Matches through the words of a vocabulary, without any training. Implements `Embedder`.

    Parameters
    ----------
    vocabulary : Vocabulary
    texts : TermEmbeddings
        Its terms' texts, and what reads others.
    video_evidence, music_evidence : sequence of Evidence
        What tells the columns that stand behind the light encoder's, in their order.
    num_light : tuple of int
        How many columns of the video and of the music features are the light encoder's.
    video_encoder, music_encoder : str
        Fingerprints of the joined encoders.

    Attributes
    ----------
    words : TextEncoder
        What encodes the words of a video for `embed_video`.
    """

    name = "bridge"
    trained = False
    default_hubness = 0.5

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        texts: TermEmbeddings,
        video_evidence: Sequence[TagScorer],
        music_evidence: Sequence[TagScorer],
        num_light: tuple[int, int],
        video_encoder: str,
        music_encoder: str,
    ) -> None:
        self.vocabulary = vocabulary
        self.video_encoder = video_encoder
        self.music_encoder = music_encoder
        self.num_segments = DEFAULT_NUM_SEGMENTS
        self.dim = len(vocabulary)
        self.words = texts.encoder
        self.text_encoder: str | None = texts.encoder.fingerprint
        self._texts = texts
        self._evidence: dict[Modality, tuple[TagScorer, ...]] = {
            "video": tuple(video_evidence),
            "music": tuple(music_evidence),
        }
        told = (each.fingerprint for each in (*video_evidence, *music_evidence) if each.fingerprint)
        parts = (VERSION, vocabulary.fingerprint, texts.fingerprint, video_encoder, music_encoder, *told)
        self.fingerprint = f"bridge-{hashlib.blake2b(chr(0).join(parts).encode(), digest_size=8).hexdigest()}"
        self._num_light: dict[Modality, int] = dict(zip(("video", "music"), num_light, strict=True))
        cosines = texts.readings[0] @ texts.readings[0].T
        overlap = OVERLAP * np.clip((cosines - OVERLAP_FROM) / (1 - OVERLAP_FROM), 0, 1)
        np.fill_diagonal(overlap, 1)
        weights = np.where(vocabulary.of("scene"), np.float32(SCENES), np.float32(1))
        self._spread = (overlap * weights).astype(np.float32)

    def embed_video(self, sequence: FeatureSequence, text: FloatArray | None = None) -> FloatArray:
        """Return the embedding of a video, shape (V,).

        Parameters
        ----------
        sequence : FeatureSequence
        text : ndarray of float32, shape (W, E), optional
            The pieces of what is said of the video, by `words`. Where they say nothing of any term the embedding is
            that of the pictures alone.

        Raises
        ------
        ArtifactError
            For features of another encoder, or text of another form.
        """
        shown: FloatArray = self._placed(self._pictures(self._read(sequence, "video", whole=True)))[0]
        if text is None:
            return shown
        said = read_pieces(self._texts.placed(text), self._texts.readings, self.vocabulary)
        if not said.any():
            return shown
        moved: FloatArray = _unit((shown + WORDS * said.max() * self._asked(said[None])[0])[None])[0]
        return moved

    def embed_music(self, sequence: FeatureSequence) -> FloatArray:
        """Return the embedding of a track, shape (V,)."""
        placed: FloatArray = self._placed(self._sound(self._read(sequence, "music", whole=True)))[0]
        return placed

    def embed_moments(self, sequence: FeatureSequence) -> FloatArray:
        """Return one embedding for each row of a track, shape (T, V), from it and its two neighbours."""
        return self._placed(self._sound(self._read(sequence, "music", whole=False)))

    def embed_text(self, text: str, _encode: EncodeQuery | None = None, /) -> FloatArray:
        """Return the embedding of what somebody asks for in words, shape (V,); see `phrases.read_phrase`."""
        named = read_phrase(text, self._texts.rows, self._texts.readings, self.vocabulary.names)
        placed: FloatArray = self._asked(named[None])[0]
        return placed

    @property
    def bank(self) -> FloatArray:
        """What each term asks for by itself, shape (V, V)."""
        return self._asked(np.eye(len(self.vocabulary), dtype=np.float32))

    def reasons(self, query: FloatArray, embedding: FloatArray, *, most: int = 3) -> tuple[str, ...]:
        """Return the terms that a query and a track share, the weightiest first."""
        shared = np.where((query > 0) & (embedding > 0), query * embedding, 0)
        order = np.argsort(-shared, kind="stable")[:most]
        return tuple(self.vocabulary.names[i] for i in order if shared[i] > _SHOWN)

    def _read(
        self, sequence: FeatureSequence, modality: Modality, *, whole: bool
    ) -> tuple[FloatArray, list[FloatArray]]:
        """Return affect q (B, 3) and what each piece of evidence says of the terms, (B, V) each."""
        check_encoder(self, sequence, modality=modality)
        seen, evidence = sequence.values[:, self._num_light[modality] :], self._evidence[modality]
        parts, start = [], 0
        for each in evidence:
            parts.append(each.probabilities(seen[:, start : start + each.num_columns]))
            start += each.num_columns
        readings, probabilities = (
            (rows.mean(axis=0, keepdims=True) if whole else _with_neighbours(rows))
            for rows in (place(sequence, modality), np.concatenate(parts, axis=1))
        )
        ends = np.cumsum([part.shape[1] for part in parts])[:-1]
        said = [
            each.said(mine)
            for each, mine in zip(evidence, np.split(probabilities, ends, axis=1), strict=True)
        ]
        return 2 * squash(readings) - 1, said

    def _pictures(self, read: tuple[FloatArray, list[FloatArray]]) -> FloatArray:
        felt, said = read
        mood = self.vocabulary.of("mood")
        seen = np.max(said, axis=0)
        seen = np.where(mood, np.float32(TAGGED) * seen, seen)
        weight = np.where(mood, AFFECT, AFFECT * GENRES_OF_PICTURES)
        placed: FloatArray = weight * (felt @ self.vocabulary.affect.T) + seen + self._suggested(seen)
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

    def _asked(self, named: FloatArray) -> FloatArray:
        """Return the points of terms that were named, (B, V): theirs, their feeling's and what they suggest."""
        return self._placed(named + self._felt(named) + self._suggested(named))

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
        return _unit(coordinates @ self._spread.T)


def _with_neighbours(rows: FloatArray) -> FloatArray:
    padded = np.pad(rows, ((1, 1), (0, 0)), mode="edge")
    mean: FloatArray = (padded[:-2] + padded[1:-1] + padded[2:]) / np.float32(3)
    return mean


def _unit(points: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    # What no word applies to lies nowhere; any fixed point keeps the promise of norm 1.
    anywhere = np.full_like(points, 1 / np.sqrt(points.shape[1]))
    unit: FloatArray = np.where(lengths > 1e-6, points / np.maximum(lengths, 1e-6), anywhere).astype(
        np.float32
    )
    return unit
