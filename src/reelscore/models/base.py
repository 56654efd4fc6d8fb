"""What every model promises to search: feature sequences enter, unit embeddings of both modalities leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from reelscore.errors import ArtifactError, InputError
from reelscore.types import FeatureSequence, FloatArray, Modality

EncodeQuery = Callable[[str], FloatArray]
MAX_QUERY_CHARS = 500


class Embedder(Protocol):
    """Puts videos and music into one space where the dot product is the score.

    Attributes
    ----------
    name : str
        For people.
    fingerprint : str
        Identity of the embedding space: only embeddings of equal fingerprints may be compared.
    dim : int
        D.
    num_segments : int
        How many Global Sparse segments it wants a source to be read at.
    trained : bool
        False for a model made of rules.
    video_encoder, music_encoder : str
        Fingerprints of the encoders whose features it reads.
    text_encoder : str, optional
        Fingerprint of the encoder of the text that it takes beside a video; None where it takes none.
    bank : ndarray of float32, shape (B, D), optional
        Embeddings of queries of the kind that will come, for `hubs`; None where a model was stored without.
    default_hubness : float
        How much of a correction for hubs does this model good where nobody says how much.
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

    def embed_video(self, sequence: FeatureSequence, text: FloatArray | None = None) -> FloatArray:
        """Return the embedding of a video, shape (D,), float32, norm 1.

        `text` are the pieces of its text, encoded, shape (W, D'): only for a model with a `text_encoder`, and never
        needed.
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
            Text -> rows (W, D') of the model's `text_encoder`. A model that has no encoder of its own needs it.

        Raises
        ------
        InputError
            If the query is empty, too long, or means nothing to the model.
        """
        ...

    def reasons(self, query: FloatArray, embedding: FloatArray, /) -> tuple[str, ...]:
        """Return the terms that a query and a track share, highest score first; empty if there are none to name."""
        ...


def check_query(text: str) -> None:
    """Raise `InputError` for a text query that is empty or longer than `MAX_QUERY_CHARS`."""
    if not text.strip():
        raise InputError("the words to match are empty; say what the music should be, such as 'calm piano'")
    if len(text) > MAX_QUERY_CHARS:
        raise InputError(
            f"the words to match must have at most {MAX_QUERY_CHARS} characters, got {len(text)}; "
            "say in a sentence what the music should be"
        )


def check_encoder(embedder: Embedder, sequence: FeatureSequence, *, modality: Modality) -> None:
    """Raise `ArtifactError` unless the features come from the encoder that the model reads.

    Parameters
    ----------
    embedder : Embedder
    sequence : FeatureSequence
    modality : {"video", "music"}
        Which of the model's two encoders is meant.
    """
    expected = embedder.video_encoder if modality == "video" else embedder.music_encoder
    if sequence.encoder != expected:
        raise ArtifactError(
            f"model {embedder.name!r} reads {modality} features of {expected}, got those of {sequence.encoder}; "
            "extract the features with that encoder, or train a model on these"
        )


def no_text(embedder: Embedder, text: FloatArray | None) -> None:
    """Raise `ArtifactError` when text is given to a model that takes none."""
    if text is not None:
        raise ArtifactError(
            f"model {embedder.name!r} takes no text beside a video, got some; leave it out, or train a model with "
            "text (reelscore train --words)"
        )
