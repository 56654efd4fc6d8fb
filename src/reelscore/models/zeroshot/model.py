"""Zero-shot matching of videos and music by the terms of a vocabulary.

`TermSpace` has the formulas: an item's terms and their scores become its embedding, e = u(K diag(k) a).

The video's text (title, description, subtitles, transcript, OCR) gives a second embedding w. It moves the embedding p
of the video: e = u(p + TEXT_WEIGHT m w), where m in [0, 1] is the highest score of a term.

The weight is a choice made by hand, not tuned on a test set.
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
from .term_space import TermSpace, unit
from .text_query import TextReading, read_query, score_chunks, score_query
from .vocabulary import Vocabulary

VERSION = "3"
SCENE_ROWS = 0.25
"""Share of a video's rows, those with the highest probability, that scores a scene."""

TEXT_WEIGHT = 0.7
"""Length of the text's embedding relative to the video's: the text turns the embedding by at most 44 degrees."""

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
        self._space = TermSpace(vocabulary, embeddings.vectors[0])

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
        video: FloatArray = self._space.embed(self._space.video_scores(affect, tags))[0]
        if text is None:
            return video
        scores = score_chunks(self._embeddings.transform(text), self._embeddings.vectors, self.vocabulary)
        if not scores.any():
            return video
        moved: FloatArray = unit(
            (video + TEXT_WEIGHT * scores.max() * self._space.embed_terms(scores[None])[0])[None]
        )[0]
        return moved

    def embed_music(self, sequence: FeatureSequence) -> FloatArray:
        """Return the embedding of a track, shape (V,)."""
        track: FloatArray = self._space.embed(
            self._space.music_scores(*self._measure(sequence, "music", whole=True))
        )[0]
        return track

    def describe_music(self, sequence: FeatureSequence) -> dict[str, str | tuple[str, ...]]:
        """Return genre, mood, instruments and vocals of a track where they are recognised; see `describe`."""
        affect, tags = self._measure(sequence, "music", whole=True)
        scores = self._space.music_scores(affect, tags)[0]
        return describe(self.vocabulary, scores, tags[0], highest_scores(self._scorers["music"]))

    def embed_moments(self, sequence: FeatureSequence) -> FloatArray:
        """Return one embedding for each row of a track, shape (T, V), from that row and its two neighbours."""
        return self._space.embed(self._space.music_scores(*self._measure(sequence, "music", whole=False)))

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
        query: FloatArray = self._space.embed_terms(scores[None])[0]
        return query

    @property
    def bank(self) -> FloatArray:
        """Embeddings of generic videos, shape (N, V); see `TermSpace.bank`."""
        return self._space.bank

    @cached_property
    def text_bank(self) -> FloatArray:
        """Embeddings of the text queries that name one term, shape (V, V)."""
        return self._space.embed_terms(np.eye(len(self.vocabulary), dtype=np.float32))

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


def _mean_of_best(rows: FloatArray) -> FloatArray:
    """Return the mean of each column over its highest `SCENE_ROWS`, shape (1, L)."""
    num = max(1, int(SCENE_ROWS * len(rows)))
    best: FloatArray = np.sort(rows, axis=0)[-num:].mean(axis=0, keepdims=True)
    return best
