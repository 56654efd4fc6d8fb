"""Zero-shot matching of videos and music by the terms of a vocabulary.

The V terms (moods, scenes, genres, instruments) are the axes of the embedding space. Coordinate a_w of an item is the
score of term w:

    video  a = (1 - d max s) C r + s' + S s'  s: tag scores of scenes and moods, s' = s (s / max s)^p
    music  a = C r + t                        t: tag scores of moods, genres and instruments
    text   a = q + affect(q) + S q            q: scores of the terms that the query names
    e = u(K diag(k) a),      score = e(v) . e(m)

`affect.rules` estimate r in [-1, 1], the arousal, valence and pace of a video or a track. C (V, 3) holds the
vocabulary's affect of each term, S (V, V) which music a scene suggests. Tag scores come from a `TagScorer`: the labels
of classifiers, or captions in a joint embedding space. K lets terms of similar meaning overlap, k weighs the kinds of
terms, u scales to norm 1. What a picture shows outweighs its light and motion: d lowers the affect where a scene is
recognised. A scene counts by the quarter of the frames that show it best. A scene that is recognised less clearly than
the best one hardly counts, because a classifier that is unsure gives a little to many classes. A scene suggests moods
more surely than genres and instruments, and so does affect.

The video's text (title, description, subtitles, transcript, OCR) gives a second embedding w. It moves the embedding p
of the video: e = u(p + TEXT_WEIGHT m w), where m in [0, 1] is the highest score of a term.

Each weight is a choice made by hand. None was tuned on a test set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from reelscore.features.sampling import DEFAULT_NUM_SEGMENTS
from reelscore.models.affect.rules import rule_readings, squash
from reelscore.models.base import EncodeQuery, check_encoder, neighbour_means
from reelscore.types import FeatureSequence, FloatArray, Modality

from .description import describe, highest_scores
from .tag_scores import TagScorer
from .term_embeddings import TermEmbeddings
from .text_query import TextReading, read_query, score_chunks, score_query
from .vocabulary import Vocabulary

VERSION = "3"
AFFECT_WEIGHT = 0.8
MOOD_TAG_WEIGHT = 0.4
VIDEO_GENRE_WEIGHT = 0.3
"""Share of `AFFECT_WEIGHT` for genres and instruments of a video, which affect predicts less well than moods."""

MUSIC_STYLE_WEIGHT = 1.0
"""Weight of a track's genres and instruments next to its moods. The tags of a classifier differ less between tracks
than their affect: with a larger weight, tracks without strong affect are all *ambient, piano* and match alike."""

CONTENT_DAMPING = 0.8
"""d: share of a video's affect that a recognised scene replaces."""

DOMINANCE = 7
"""p: a scene with 80 % of the best one's score counts with a fifth of its own."""

SCENE_ROWS = 0.25
"""Share of a video's rows, those with the highest probability, that scores a scene."""

TYPICAL_AFFECT, AFFECT_SPREAD = (-0.1, 0.3, -0.2), 0.35
TYPICAL_SCENES = (0.4, 0.8)
"""Mean and spread of r over real videos, and usual scores of a scene: the generic videos of `bank`."""

SUGGESTION_WEIGHT = 0.8
STYLE_SUGGESTION = 0.75
"""Share of `SUGGESTION_WEIGHT` for the genres and instruments that a video's scenes suggest."""

SCENE_WEIGHT = 0.7
TEXT_WEIGHT = 0.7
"""Length of the text's embedding relative to the video's: the text turns the embedding by at most 44 degrees."""

MAX_OVERLAP, OVERLAP_MIN_COSINE = 0.3, 0.45
"""Largest entry of K off its diagonal, and the cosine above which an entry is positive."""

_MIN_REASON_SCORE = 0.01


class ZeroShotModel:
    """Match videos and music by the terms of a vocabulary, without training. Implements `Embedder`.

    Parameters
    ----------
    vocabulary : Vocabulary
    embeddings : TermEmbeddings
        Text embeddings of its terms.
    video_scorers, music_scorers : sequence of TagScorer
        Read the columns after those of the light encoder, in their order.
    num_light : tuple of int
        Number of columns of the light encoder in the video and in the music features.
    video_encoder, music_encoder : str
        Fingerprints of the encoders of both modalities.

    Attributes
    ----------
    encoder : TextEncoder
        Encodes the text of a video for `embed_video`.
    """

    name = "bridge"  # an identity: it is stored in libraries and in the JSON of a match, like the fingerprint's prefix
    trained = False
    default_hubness = 0.9

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        embeddings: TermEmbeddings,
        video_scorers: Sequence[TagScorer],
        music_scorers: Sequence[TagScorer],
        num_light: tuple[int, int],
        video_encoder: str,
        music_encoder: str,
    ) -> None:
        self.vocabulary = vocabulary
        self.video_encoder = video_encoder
        self.music_encoder = music_encoder
        self.num_segments = DEFAULT_NUM_SEGMENTS
        self.dim = len(vocabulary)
        self.encoder = embeddings.encoder
        self.text_encoder: str | None = embeddings.encoder.fingerprint
        self._embeddings = embeddings
        self._scorers: dict[Modality, Sequence[TagScorer]] = {"video": video_scorers, "music": music_scorers}
        scorers = (each.fingerprint for each in (*video_scorers, *music_scorers) if each.fingerprint)
        parts = (
            VERSION,
            vocabulary.fingerprint,
            embeddings.fingerprint,
            video_encoder,
            music_encoder,
            *scorers,
        )
        self.fingerprint = f"bridge-{hashlib.blake2b(chr(0).join(parts).encode(), digest_size=8).hexdigest()}"
        self._num_light: dict[Modality, int] = dict(zip(("video", "music"), num_light, strict=True))
        cosines = embeddings.vectors[0] @ embeddings.vectors[0].T
        overlap = MAX_OVERLAP * np.clip((cosines - OVERLAP_MIN_COSINE) / (1 - OVERLAP_MIN_COSINE), 0, 1)
        np.fill_diagonal(overlap, 1)
        weights = np.where(vocabulary.mask("scene"), np.float32(SCENE_WEIGHT), np.float32(1))
        self._overlap = (overlap * weights).astype(np.float32)

    def embed_video(self, sequence: FeatureSequence, text: FloatArray | None = None) -> FloatArray:
        """Return the embedding of a video, shape (V,).

        Parameters
        ----------
        sequence : FeatureSequence
        text : ndarray of float32, shape (W, E), optional
            Chunks of the video's text, encoded by `encoder`. Text that scores no term changes nothing.

        Raises
        ------
        ArtifactError
            If the features come from another encoder, or the text has another form.
        """
        affect, tags = self._measure(sequence, "video", whole=True)
        video: FloatArray = self._embed(self._video_scores(affect, tags))[0]
        if text is None:
            return video
        scores = score_chunks(self._embeddings.transform(text), self._embeddings.vectors, self.vocabulary)
        if not scores.any():
            return video
        moved: FloatArray = _unit(
            (video + TEXT_WEIGHT * scores.max() * self._embed_terms(scores[None])[0])[None]
        )[0]
        return moved

    def embed_music(self, sequence: FeatureSequence) -> FloatArray:
        """Return the embedding of a track, shape (V,)."""
        track: FloatArray = self._embed(self._music_scores(*self._measure(sequence, "music", whole=True)))[0]
        return track

    def describe_music(self, sequence: FeatureSequence) -> dict[str, str | tuple[str, ...]]:
        """Return genre, mood, instruments and vocals of a track where they are recognised; see `describe`."""
        affect, tags = self._measure(sequence, "music", whole=True)
        scores = self._music_scores(affect, tags)[0]
        return describe(self.vocabulary, scores, tags[0], highest_scores(self._scorers["music"]))

    def embed_moments(self, sequence: FeatureSequence) -> FloatArray:
        """Return one embedding for each row of a track, shape (T, V), from that row and its two neighbours."""
        return self._embed(self._music_scores(*self._measure(sequence, "music", whole=False)))

    def embed_text(self, text: str, _encode: EncodeQuery | None = None, /) -> FloatArray:
        """Return the embedding of a text query, shape (V,), by `score_query`.

        Raises
        ------
        InputError
            If the query is empty, too long, or matches no term.
        """
        scores = score_query(text, self._embeddings.encode, self._embeddings.vectors, self.vocabulary.names)
        return self.embed_scores(scores)

    def read_text(self, text: str) -> TextReading:
        """Return what a text query is understood as; see `read_query`."""
        return read_query(text, self._embeddings.encode, self._embeddings.vectors)

    def embed_scores(self, scores: FloatArray) -> FloatArray:
        """Return the embedding (V,) of the scores of a text query."""
        query: FloatArray = self._embed_terms(scores[None])[0]
        return query

    @cached_property
    def bank(self) -> FloatArray:
        """Embeddings of generic videos: every scene and none, at 27 points of affect around the typical one."""
        num_terms = len(self.vocabulary)
        scenes = np.eye(num_terms, dtype=np.float32)[self.vocabulary.mask("scene")]
        # As many videos without a recognised scene as with any five of them.
        contents = np.concatenate(
            [
                np.zeros((max(1, len(scenes) // 5), num_terms), np.float32),
                *(score * scenes for score in TYPICAL_SCENES),
            ]
        )
        steps = AFFECT_SPREAD * np.sqrt(1.5) * (np.indices((3, 3, 3)).reshape(3, -1).T - 1)
        affects = (np.array(TYPICAL_AFFECT) + steps).astype(np.float32)
        tags = np.tile(contents, (len(affects), 1))
        return self._embed(self._video_scores(np.repeat(affects, len(contents), axis=0), tags))

    @cached_property
    def text_bank(self) -> FloatArray:
        """Embeddings of the text queries that name one term, shape (V, V)."""
        return self._embed_terms(np.eye(len(self.vocabulary), dtype=np.float32))

    def reasons(self, query: FloatArray, embedding: FloatArray, /, *, most: int = 3) -> tuple[str, ...]:
        """Return the terms that contribute most to the score of a query and a track, the highest first."""
        shared = np.where((query > 0) & (embedding > 0), query * embedding, 0)
        order = np.argsort(-shared, kind="stable")[:most]
        return tuple(self.vocabulary.names[i] for i in order if shared[i] > _MIN_REASON_SCORE)

    def _measure(
        self, sequence: FeatureSequence, modality: Modality, *, whole: bool
    ) -> tuple[FloatArray, FloatArray]:
        """Return r (B, 3) and tag scores (B, V): of the whole item (B = 1), or of each row with its neighbours."""
        check_encoder(self, sequence, modality=modality)

        def pool(rows: FloatArray) -> FloatArray:
            mean: FloatArray = rows.mean(axis=0, keepdims=True) if whole else neighbour_means(rows)
            return mean

        pool_tags = _mean_of_best if modality == "video" else pool
        start, scores = self._num_light[modality], []
        for scorer in self._scorers[modality]:
            columns = sequence.values[:, start : start + scorer.num_columns]
            scores.append(scorer.term_scores(pool_tags(scorer.probabilities(columns))))
            start += scorer.num_columns
        affect = 2 * squash(pool(rule_readings(sequence, modality))) - 1
        tags: FloatArray = np.max(scores, axis=0)
        return affect, tags

    def _video_scores(self, affect: FloatArray, tags: FloatArray) -> FloatArray:
        mood, scene = self.vocabulary.mask("mood"), self.vocabulary.mask("scene")
        scenes = np.where(scene, tags, np.float32(0))
        shown = scenes.max(axis=1, keepdims=True)
        clear = (scenes / np.maximum(shown, np.float32(1e-6))) ** DOMINANCE
        tags = np.where(scene, scenes * clear, np.float32(MOOD_TAG_WEIGHT) * tags)
        weight = np.where(mood, np.float32(AFFECT_WEIGHT), np.float32(AFFECT_WEIGHT * VIDEO_GENRE_WEIGHT))
        weight = weight * (1 - np.float32(CONTENT_DAMPING) * shown)
        suggested = self._suggestions(tags) * np.where(mood, np.float32(1), np.float32(STYLE_SUGGESTION))
        scores: FloatArray = weight * (affect @ self.vocabulary.affect.T) + tags + suggested
        return scores

    def _music_scores(self, affect: FloatArray, tags: FloatArray) -> FloatArray:
        moods = AFFECT_WEIGHT * (affect @ self.vocabulary.affect.T) + MOOD_TAG_WEIGHT * tags
        scores = np.where(self.vocabulary.mask("mood"), moods, 0)
        for kind in ("genre", "instrument"):
            of_kind = self.vocabulary.mask(kind)
            if of_kind.any():
                # Some tags are active in every track, so a tag counts relative to the mean of its kind.
                mean = tags[:, of_kind].mean(axis=1, keepdims=True)
                scores = np.where(of_kind, np.float32(MUSIC_STYLE_WEIGHT) * (tags - mean), scores)
        return scores

    def _embed_terms(self, scores: FloatArray) -> FloatArray:
        """Return the embeddings of named terms (B, V), with their affect and what they suggest."""
        return self._embed(scores + self._affect_of(scores) + self._suggestions(scores))

    def _affect_of(self, scores: FloatArray) -> FloatArray:
        """Return scores (B, V) of the moods that share the mean affect of the named terms."""
        affect = self.vocabulary.affect
        weights = np.abs(scores) * (np.abs(affect).sum(axis=1) > 0)
        mean = scores @ affect / np.maximum(weights.sum(axis=1, keepdims=True), np.float32(1))
        moods: FloatArray = np.where(self.vocabulary.mask("mood"), mean @ affect.T, np.float32(0))
        return moods

    def _suggestions(self, scores: FloatArray) -> FloatArray:
        """Return scores (B, V) of the music that the scenes suggest."""
        scenes = np.where(self.vocabulary.mask("scene"), scores, 0)
        music: FloatArray = SUGGESTION_WEIGHT * (scenes @ self.vocabulary.suggestions.T)
        return music

    def _embed(self, scores: FloatArray) -> FloatArray:
        return _unit(scores @ self._overlap.T)


def _mean_of_best(rows: FloatArray) -> FloatArray:
    """Return the mean of each column over its highest `SCENE_ROWS`, shape (1, L)."""
    num = max(1, int(SCENE_ROWS * len(rows)))
    best: FloatArray = np.sort(rows, axis=0)[-num:].mean(axis=0, keepdims=True)
    return best


def _unit(points: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    # An item without any score has no direction. A fixed one keeps its norm at 1.
    default = np.full_like(points, 1 / np.sqrt(points.shape[1]))
    unit: FloatArray = np.where(lengths > 1e-6, points / np.maximum(lengths, 1e-6), default).astype(
        np.float32
    )
    return unit
