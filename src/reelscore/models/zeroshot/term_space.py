"""The space of zero-shot embeddings, whose axes are the terms of a vocabulary.

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

Each weight is a choice made by hand. None was tuned on a test set.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from reelscore.types import FloatArray

from .vocabulary import Vocabulary

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

TYPICAL_AFFECT, AFFECT_SPREAD = (-0.1, 0.3, -0.2), 0.35
TYPICAL_SCENES = (0.4, 0.8)
"""Mean and spread of r over real videos, and usual scores of a scene: the generic videos of `bank`."""

SUGGESTION_WEIGHT = 0.8
STYLE_SUGGESTION = 0.75
"""Share of `SUGGESTION_WEIGHT` for the genres and instruments that a video's scenes suggest."""

SCENE_WEIGHT = 0.7

MAX_OVERLAP, OVERLAP_MIN_COSINE = 0.3, 0.45
"""Largest entry of K off its diagonal, and the cosine above which an entry is positive."""


class TermSpace:
    """The space of embeddings, one axis for each of V terms.

    Parameters
    ----------
    vocabulary : Vocabulary
    vectors : ndarray of float32, shape (V, E)
        Text embeddings of the terms, of norm 1.
    """

    def __init__(self, vocabulary: Vocabulary, vectors: FloatArray) -> None:
        self.vocabulary = vocabulary
        cosines = vectors @ vectors.T
        overlap = MAX_OVERLAP * np.clip((cosines - OVERLAP_MIN_COSINE) / (1 - OVERLAP_MIN_COSINE), 0, 1)
        np.fill_diagonal(overlap, 1)
        weights = np.where(vocabulary.mask("scene"), np.float32(SCENE_WEIGHT), np.float32(1))
        self._overlap = (overlap * weights).astype(np.float32)

    def video_scores(self, affect: FloatArray, tags: FloatArray) -> FloatArray:
        """Return a (B, V) of videos from r (B, 3) and their tag scores (B, V)."""
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

    def music_scores(self, affect: FloatArray, tags: FloatArray) -> FloatArray:
        """Return a (B, V) of tracks from r (B, 3) and their tag scores (B, V)."""
        moods = AFFECT_WEIGHT * (affect @ self.vocabulary.affect.T) + MOOD_TAG_WEIGHT * tags
        scores = np.where(self.vocabulary.mask("mood"), moods, 0)
        for kind in ("genre", "instrument"):
            of_kind = self.vocabulary.mask(kind)
            if of_kind.any():
                # Some tags are active in every track, so a tag counts relative to the mean of its kind.
                mean = tags[:, of_kind].mean(axis=1, keepdims=True)
                scores = np.where(of_kind, np.float32(MUSIC_STYLE_WEIGHT) * (tags - mean), scores)
        return scores

    def embed_terms(self, scores: FloatArray) -> FloatArray:
        """Return the embeddings of named terms (B, V), with their affect and what they suggest."""
        return self.embed(scores + self._affect_of(scores) + self._suggestions(scores))

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

    def embed(self, scores: FloatArray) -> FloatArray:
        """Return the embeddings e (B, V) of scores a (B, V)."""
        return unit(scores @ self._overlap.T)

    @cached_property
    def bank(self) -> FloatArray:
        """Embeddings (N, V) of generic videos: every scene and none, at 27 points of affect around the typical one."""
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
        return self.embed(self.video_scores(np.repeat(affects, len(contents), axis=0), tags))


def unit(points: FloatArray) -> FloatArray:
    """Return points (B, V) scaled to norm 1."""
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    # An item without any score has no direction. A fixed one keeps its norm at 1.
    default = np.full_like(points, 1 / np.sqrt(points.shape[1]))
    scaled = np.where(lengths > 1e-6, points / np.maximum(lengths, 1e-6), default)
    return scaled.astype(np.float32)
