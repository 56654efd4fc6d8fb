"""The interface of all models: features of a video or a track to an embedding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from reelscore.errors import ArtifactError, InputError
from reelscore.types import FeatureSequence, FloatArray, Modality

EncodeQuery = Callable[[str], FloatArray]
MAX_QUERY_CHARS = 500


class Embedder(Protocol):
    """A model that embeds videos and music in one space, where the dot product is the score.

    Attributes
    ----------
    name : str
    fingerprint : str
        Identity of the embedding space. Only embeddings with equal fingerprints are comparable.
    dim : int
        D.
    num_segments : int
        Global Sparse segments that a source is sampled at.
    trained : bool
        False for a model without learned weights.
    video_encoder, music_encoder : str
        Fingerprints of the encoders of its input features.
    text_encoder : str, optional
        Fingerprint of the encoder of the video's text; None if the model takes no text.
    bank : ndarray of float32, shape (B, D), optional
        Embeddings of typical videos, for the hubness correction and `Match.fit`; None if the model has none.
    text_bank : ndarray of float32, shape (B, D), optional
        The same for text queries.
    default_hubness : float
        Default strength of the hubness correction, in [0, 1].
    """

    name: str
    fingerprint: str
    dim: int
    num_segments: int
    trained: bool
    video_encoder: str
    music_encoder: str
    text_encoder: str | None
    default_hubness: float

    @property
    def bank(self) -> FloatArray | None:
        """See the attributes."""
        ...

    @property
    def text_bank(self) -> FloatArray | None:
        """See the attributes."""
        ...

    def embed_video(self, sequence: FeatureSequence, text: FloatArray | None = None) -> FloatArray:
        """Return the embedding of a video, shape (D,), float32, norm 1.

        Parameters
        ----------
        sequence : FeatureSequence
        text : ndarray of float32, shape (W, D'), optional
            Chunks of the video's text, encoded by `text_encoder`. Only for a model that takes text.
        """
        ...

    def embed_music(self, sequence: FeatureSequence) -> FloatArray:
        """Return the embedding of a track, shape (D,), float32, norm 1."""
        ...

    def embed_moments(self, sequence: FeatureSequence) -> FloatArray:
        """Return one embedding for each row of a track, shape (T, D), from that row and its two neighbours."""
        ...

    def embed_text(self, text: str, encode: EncodeQuery | None = None, /) -> FloatArray | None:
        """Return the embedding of a text query, shape (D,), float32, norm 1; None if the model reads no text.

        Parameters
        ----------
        text : str
        encode : callable, optional
            Text -> rows (W, D') of the model's `text_encoder`. A model without an encoder of its own needs it.

        Raises
        ------
        InputError
            If the query is empty, too long, or means nothing to the model.
        """
        ...

    def reasons(self, query: FloatArray, embedding: FloatArray, /) -> tuple[str, ...]:
        """Return the terms that a query and a track share, highest score first; empty if the model has no terms."""
        ...


def check_query(text: str) -> None:
    """Raise `InputError` for a text query that is empty or longer than `MAX_QUERY_CHARS`."""
    if not text.strip():
        raise InputError("the text query is empty; describe the music, such as 'calm piano'")
    if len(text) > MAX_QUERY_CHARS:
        raise InputError(
            f"the text query must have at most {MAX_QUERY_CHARS} characters, got {len(text)}; "
            "describe the music in one sentence"
        )


def check_encoder(embedder: Embedder, sequence: FeatureSequence, *, modality: Modality) -> None:
    """Raise `ArtifactError` unless the features come from the model's encoder of this modality."""
    expected = embedder.video_encoder if modality == "video" else embedder.music_encoder
    if sequence.encoder != expected:
        raise ArtifactError(
            f"model {embedder.name!r} reads {modality} features of {expected}, got those of {sequence.encoder}; "
            "extract the features with that encoder, or train a model on these"
        )


def reject_text(embedder: Embedder, text: FloatArray | None) -> None:
    """Raise `ArtifactError` if a model that takes no text is given some."""
    if text is not None:
        raise ArtifactError(
            f"model {embedder.name!r} takes no text of a video, got some; omit it, or train a model with text "
            "(reelscore train --words)"
        )


def neighbour_means(rows: FloatArray) -> FloatArray:
    """Return the mean of each row (T, D) with its two neighbours; the ends count twice at the edges."""
    padded = np.pad(rows, ((1, 1), (0, 0)), mode="edge")
    means: FloatArray = (padded[:-2] + padded[1:-1] + padded[2:]) / np.float32(3)
    return means
