"""A trained model and the bridge enter; one embedder, whose score is the weighted mean of theirs, leaves.

    e = [sqrt(1 - w) e_model ; sqrt(w) e_bridge]
    score = e(v) . e(m) = (1 - w) s_model + w s_bridge

e has norm 1 where both halves have. So a library, moments, hubs and a rerank need not know that there are two. The
features are those of the model's encoder and the bridge's, side by side (`features.joined`). Reasons come from the
bridge's half, and words are asked of it alone, [0 ; e_bridge], unless the model reads text as well.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any, Protocol

import numpy as np

from ..domain import FeatureSequence, FloatArray, Modality
from .embedder import Embedder, PieceEmbedder, WordEmbedder, check_encoder

VERSION = "1"


class WordModel(Embedder, WordEmbedder, Protocol):
    """An embedder that reads words, such as the `Bridge`; `words` encodes those of a video."""

    @property
    def words(self) -> Any:
        """A `features.protocol.WordEncoder`, which this room does not know."""
        ...


class Blend:
    """Two models as one. Implements `Embedder` and `WordEmbedder`.

    Parameters
    ----------
    model : Embedder
        The trained one.
    bridge : WordModel
    weight : float
        w in (0, 1], what the bridge counts.
    num_columns : tuple of int
        How many columns of the video and of the music features are the model's; they stand first.
    video_encoder, music_encoder : str
        Fingerprints of the joined encoders.
    queries : pair of ndarray of float32, shapes (B, E) and (B, V), optional
        What model and bridge make of the same B videos, for `bank`.
    """

    trained = True

    def __init__(
        self,
        model: Embedder,
        bridge: WordModel,
        *,
        weight: float,
        num_columns: tuple[int, int],
        video_encoder: str,
        music_encoder: str,
        queries: tuple[FloatArray, FloatArray] | None = None,
    ) -> None:
        assert 0 < weight <= 1
        self.model = model
        self.bridge = bridge
        self.weight = weight
        self.name = model.name
        self.dim = model.dim + bridge.dim
        self.num_segments = model.num_segments
        self.video_encoder = video_encoder
        self.music_encoder = music_encoder
        self.text_encoder = bridge.text_encoder
        self.words = bridge.words
        self.hub_strength = model.hub_strength
        parts = (VERSION, model.fingerprint, bridge.fingerprint, repr(weight), video_encoder, music_encoder)
        self.fingerprint = f"blend-{hashlib.blake2b(chr(0).join(parts).encode(), digest_size=8).hexdigest()}"
        self._num_columns: dict[Modality, int] = dict(zip(("video", "music"), num_columns, strict=True))
        self._queries = queries

    def embed_video(self, sequence: FeatureSequence, text: FloatArray | None = None) -> FloatArray:
        """Return the embedding of a video, shape (E + V,).

        `text` is by the bridge's encoder of words, `words`. The model's half takes it where that is its own, too.
        """
        seen, named = self._halves(sequence, "video")
        told = text if self.model.text_encoder == self.text_encoder else None
        return self._joined(self.model.embed_video(seen, told), self.bridge.embed_video(named, text))

    def embed_music(self, sequence: FeatureSequence) -> FloatArray:
        """Return the embedding of a track, shape (E + V,)."""
        heard, named = self._halves(sequence, "music")
        return self._joined(self.model.embed_music(heard), self.bridge.embed_music(named))

    def embed_moments(self, sequence: FeatureSequence) -> FloatArray:
        """Return one embedding for each row of a track, shape (T, E + V), from it and its two neighbours."""
        heard, named = self._halves(sequence, "music")
        return self._joined(self.model.embed_moments(heard), self.bridge.embed_moments(named))

    def embed_text(self, text: str, pieces: FloatArray | None = None) -> FloatArray:
        """Return the embedding of what somebody asks for in words, shape (E + V,), norm 1.

        `pieces` are the same words encoded, shape (W, D'), for a model that takes text: then both halves are asked.
        """
        asked = self.bridge.embed_text(text)
        reads = isinstance(self.model, PieceEmbedder) and self.model.text_encoder == self.text_encoder
        if pieces is None or not isinstance(self.model, PieceEmbedder) or not reads:
            return self._asked(asked)
        return self._joined(self.model.embed_pieces(pieces), asked)

    def asked_with(self, video: FloatArray, words: FloatArray, *, text_weight: float) -> FloatArray:
        """Ask for a video and for words at once.

        Words that only the bridge reads have norm 1 in half of the space, so that their scores are sqrt(w) of what the
        bridge gives them. Beside a video they shall count what the caller says, whatever w is.

        Parameters
        ----------
        video, words : ndarray of float32, shape (E + V,)
            From `embed_video` and `embed_text`.
        text_weight : float
            In [0, 1].

        Returns
        -------
        ndarray of float32, shape (E + V,)
            Along (1 - text_weight) video + text_weight words, or words / sqrt(w); norm 1.
        """
        scale = math.sqrt(self.weight) if self._bridge_alone(words) else 1.0
        both = (1 - text_weight) * video + text_weight / scale * words
        length = float(np.linalg.norm(both))
        return (both / length).astype(np.float32) if length > 0 else video

    def reasons(self, query: FloatArray, embedding: FloatArray, *, most: int = 3) -> tuple[str, ...]:
        """Return what the bridge's halves of a query and a track have in common."""
        asked, found = query[self.model.dim :], embedding[self.model.dim :]
        length = float(np.linalg.norm(asked))
        if length == 0:
            return ()
        return self.bridge.reasons(asked / length, found / math.sqrt(self.weight), most=most)

    @property
    def bank(self) -> FloatArray | None:
        """The videos that the weight was chosen on, shape (B, E + V); None where they were not kept."""
        return None if self._queries is None else self._joined(*self._queries)

    def bank_for(self, query: FloatArray) -> FloatArray | None:
        """Return queries like this one: the bridge's own for words that only it reads, else `bank`."""
        if not self._bridge_alone(query):
            return self.bank
        words = self.bridge.bank
        return None if words is None else self._asked(words)

    def _bridge_alone(self, query: FloatArray) -> bool:
        return self.weight < 1 and not query[: self.model.dim].any()

    def _halves(
        self, sequence: FeatureSequence, modality: Modality
    ) -> tuple[FeatureSequence, FeatureSequence]:
        check_encoder(self, sequence, modality=modality)
        n, columns = self._num_columns[modality], sequence.columns
        ours, theirs = (
            one.video_encoder if modality == "video" else one.music_encoder
            for one in (self.model, self.bridge)
        )
        return (
            FeatureSequence(
                sequence.values[:, :n], sequence.segments, ours, None if columns is None else columns[:n]
            ),
            FeatureSequence(
                sequence.values[:, n:], sequence.segments, theirs, None if columns is None else columns[n:]
            ),
        )

    def _joined(self, model: FloatArray, bridge: FloatArray) -> FloatArray:
        return joined(model, bridge, self.weight)

    def _asked(self, bridge: FloatArray) -> FloatArray:
        nothing = np.zeros((*bridge.shape[:-1], self.model.dim), np.float32)
        return np.concatenate([nothing, bridge], axis=-1)


def joined(model: FloatArray, bridge: FloatArray, weight: float) -> FloatArray:
    """Put embeddings (..., E) and (..., V) of the same items side by side, so that the bridge counts `weight`.

    Examples
    --------
    >>> joined(np.float32([1, 0]), np.float32([0, 1]), 0.25).round(3).tolist()
    [0.8659999966621399, 0.0, 0.0, 0.5]
    """
    shares = np.float32(math.sqrt(1 - weight)), np.float32(math.sqrt(weight))
    return np.concatenate([shares[0] * model, shares[1] * bridge], axis=-1)
