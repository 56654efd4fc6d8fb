"""A trained model for search, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from reelscore.errors import ArtifactError
from reelscore.features.sampling import DEFAULT_NUM_SEGMENTS
from reelscore.models.base import EncodeQuery, check_encoder, check_query, reject_text
from reelscore.types import FeatureSequence, FloatArray, Modality

from .folder import ModelCard, read_bank, read_model
from .forward import TowerForward


class TrainedEmbedder:
    """A trained model. Implements `Embedder`.

    It embeds items one at a time, so that an embedding does not depend on a batch.

    Parameters
    ----------
    name : str
        Shown to the user.
    card : ModelCard
    weights : Mapping[str, ndarray of float32]
        Parameters and buffers of `DualEncoder`.
    folder : Path, optional
        Folder of the bank of queries, which is read on first use.

    Raises
    ------
    ArtifactError
        If the weights do not match the card.
    """

    trained = True
    default_hubness = 0.0

    def __init__(
        self,
        name: str,
        *,
        card: ModelCard,
        weights: Mapping[str, FloatArray],
        folder: Path | None = None,
    ) -> None:
        self._folder = folder
        self.name = name
        self.card = card
        self.fingerprint = card.fingerprint
        self.dim = card.config.embedding_dim
        self.num_segments = card.config.num_segments or DEFAULT_NUM_SEGMENTS
        self.video_encoder = card.video_encoder
        self.music_encoder = card.music_encoder
        self.text_encoder = card.text_encoder
        self._video = self._tower("video", weights, card.video_columns)
        self._music = self._tower("music", weights, card.music_columns)

    def _tower(self, side: Modality, weights: Mapping[str, FloatArray], num_columns: int) -> TowerForward:
        own = {
            name.removeprefix(f"{side}."): value
            for name, value in weights.items()
            if name.startswith(f"{side}.")
        }
        tower = TowerForward(own, config=self.card.config)
        text_columns = self.card.text_columns if side == "video" else 0
        chunks = np.zeros((1, 1, text_columns), np.float32) if text_columns else None
        try:
            probe = tower(
                np.zeros((1, 1, num_columns), np.float32), np.ones((1, 1), dtype=bool), chunks=chunks
            )
            if text_columns:  # a video without text uses other weights
                tower(np.zeros((1, 1, num_columns), np.float32), np.ones((1, 1), dtype=bool))
            if (0 if tower.text is None else tower.text.num_columns) != text_columns:
                raise ValueError(f"expected {text_columns} columns of text")
        except (KeyError, ValueError) as error:
            raise ArtifactError(
                f"the {side} weights of model {self.name} do not match its description ({error}); train it again"
            ) from error
        if probe.shape != (1, self.dim) or not np.isfinite(probe).all():
            raise ArtifactError(
                f"the {side} tower of model {self.name} should give {self.dim} finite values, "
                f"got shape {probe.shape[1:]}; train it again"
            )
        return tower

    @property
    def bank(self) -> FloatArray | None:
        """Embeddings of some training videos, shape (B, D); None if none were stored."""
        return None if self._folder is None else read_bank(self._folder, self.card)

    def embed_video(self, sequence: FeatureSequence, text: FloatArray | None = None) -> FloatArray:
        """Return the embedding of a video, shape (D,), float32, norm 1.

        Parameters
        ----------
        sequence : FeatureSequence
        text : ndarray of float32, shape (W, D'), optional
            Chunks of the video's text, encoded by `text_encoder`. Without it the embedding is that of the video alone.

        Raises
        ------
        ArtifactError
            If the features come from another encoder, or the text has another form.
        """
        if text is None:
            return self._embed(self._video, sequence, "video")
        if self._video.text is None:
            reject_text(self, text)
        return self._embed(self._video, sequence, "video", self._chunks(text))

    def embed_text(self, text: str, encode: EncodeQuery | None = None, /) -> FloatArray | None:
        """Return the embedding of a text query, shape (D,), norm 1; None without text weights or `encode`.

        Raises
        ------
        InputError
            If the query is empty or too long.
        ArtifactError
            If `encode` returns rows of another form.
        """
        if self._video.text is None or encode is None:
            return None
        check_query(text)
        embedding: FloatArray = self._video.embed_text(self._chunks(encode(text))[None])[0]
        return embedding

    def reasons(self, _query: FloatArray, _embedding: FloatArray, /) -> tuple[str, ...]:
        """Return nothing: the dimensions of this space are not terms."""
        return ()

    def embed_music(self, sequence: FeatureSequence) -> FloatArray:
        """Return the embedding of a track, shape (D,), float32, norm 1."""
        return self._embed(self._music, sequence, "music")

    def embed_moments(self, sequence: FeatureSequence) -> FloatArray:
        """Return one embedding for each row of a track, shape (T, D), from that row and its two neighbours."""
        check_encoder(self, sequence, modality="music")
        num_rows = len(sequence)
        around = np.arange(num_rows)[:, None] + np.arange(-1, 2)
        mask = (around >= 0) & (around < num_rows)
        # Real rows must come first, as in every padded batch: the first row has no predecessor.
        order = np.argsort(~mask, axis=1, kind="stable")
        around, mask = np.take_along_axis(around, order, 1), np.take_along_axis(mask, order, 1)
        return self._music(sequence.values[np.where(mask, around, 0)], mask, context=sequence.values)

    def _chunks(self, text: FloatArray) -> FloatArray:
        chunks, columns = np.asarray(text), self.card.text_columns
        if chunks.ndim != 2 or len(chunks) == 0 or chunks.shape[1] != columns or chunks.dtype.kind != "f":
            raise ArtifactError(
                f"model {self.name} takes text as numbers of shape (W, {columns}) with W >= 1 from "
                f"{self.text_encoder}, got {chunks.dtype} {chunks.shape}; encode the text with that encoder, or omit it"
            )
        if not np.isfinite(chunks).all():
            raise ArtifactError(
                f"model {self.name} takes finite rows of text, got one that is not; encode it again, or omit it"
            )
        return chunks.astype(np.float32)

    def _embed(
        self,
        tower: TowerForward,
        sequence: FeatureSequence,
        modality: Modality,
        chunks: FloatArray | None = None,
    ) -> FloatArray:
        check_encoder(self, sequence, modality=modality)
        if sequence.values.shape[1] != tower.num_columns:
            raise ArtifactError(
                f"model {self.name} reads {tower.num_columns} {modality} columns, "
                f"got {sequence.values.shape[1]}; extract the features again, or train a model on these"
            )
        mask = np.ones((1, len(sequence)), dtype=bool)
        text = None if chunks is None else chunks[None]
        embedding: FloatArray = tower(sequence.values[None], mask, chunks=text)[0]
        return embedding


def load_embedder(folder: Path | str) -> TrainedEmbedder:
    """Load a trained model for search.

    Parameters
    ----------
    folder : Path or str
        Written by `training.train`.

    Returns
    -------
    TrainedEmbedder

    Raises
    ------
    NotFoundError
        If there is no model.
    ArtifactError
        If it is damaged or of another version.
    """
    card, weights = read_model(folder)
    return TrainedEmbedder(Path(folder).resolve().name, card=card, weights=weights, folder=Path(folder))
