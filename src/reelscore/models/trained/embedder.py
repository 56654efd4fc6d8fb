"""A model's folder enters; a `TrainedEmbedder`, which needs no torch, leaves."""

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
    """A trained model as search sees it: an `Embedder`.

    Items are embedded one at a time, so that an embedding's bytes do not depend on its neighbours.

    Parameters
    ----------
    name : str
        For people.
    card : ModelCard
    weights : Mapping[str, ndarray of float32]
        Parameters and buffers of `DualEncoder`.
    folder : Path, optional
        Where the bank of queries lies; it is read when asked for.

    Raises
    ------
    ArtifactError
        When the weights do not agree with the card.
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
        wanted = self.card.text_columns if side == "video" else 0
        pieces = np.zeros((1, 1, wanted), np.float32) if wanted else None
        try:
            probe = tower(
                np.zeros((1, 1, num_columns), np.float32), np.ones((1, 1), dtype=bool), pieces=pieces
            )
            if wanted:  # a video without text goes by weights of its own
                tower(np.zeros((1, 1, num_columns), np.float32), np.ones((1, 1), dtype=bool))
            if (0 if tower.text is None else tower.text.num_columns) != wanted:
                raise ValueError(f"{wanted} columns of text are due")
        except (KeyError, ValueError) as error:
            raise ArtifactError(
                f"the {side} weights of model {self.name} do not fit its description ({error}); train it again"
            ) from error
        if probe.shape != (1, self.dim) or not np.isfinite(probe).all():
            raise ArtifactError(
                f"the {side} tower of model {self.name} should give {self.dim} finite values, "
                f"got shape {probe.shape[1:]}; train it again"
            )
        return tower

    @property
    def bank(self) -> FloatArray | None:
        """Embeddings of some of the videos that it learned from, shape (B, D); None where none were stored."""
        return None if self._folder is None else read_bank(self._folder, self.card)

    def embed_video(self, sequence: FeatureSequence, text: FloatArray | None = None) -> FloatArray:
        """Return the embedding of a video, shape (D,), float32, norm 1.

        Parameters
        ----------
        sequence : FeatureSequence
        text : ndarray of float32, shape (W, D'), optional
            The pieces of its text by the model's `text_encoder`, where the model takes text. Without it the embedding
            is that of the video alone.

        Raises
        ------
        ArtifactError
            For features of another encoder, or text of another form than the model takes.
        """
        if text is None:
            return self._embed(self._video, sequence, "video")
        if self._video.text is None:
            reject_text(self, text)
        return self._embed(self._video, sequence, "video", self._pieces(text))

    def embed_text(self, text: str, encode: EncodeQuery | None = None, /) -> FloatArray | None:
        """Return the embedding of a text query, shape (D,), norm 1; None without text weights or `encode`.

        Raises
        ------
        InputError
            If the query is empty or too long.
        ArtifactError
            If `encode` returns text of another form than the model takes.
        """
        if self._video.text is None or encode is None:
            return None
        check_query(text)
        embedding: FloatArray = self._video.of_text(self._pieces(encode(text))[None])[0]
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
        # The mask's real rows must stand first, as in every padded batch: the first moment has no row before it.
        order = np.argsort(~mask, axis=1, kind="stable")
        around, mask = np.take_along_axis(around, order, 1), np.take_along_axis(mask, order, 1)
        return self._music(sequence.values[np.where(mask, around, 0)], mask, whole=sequence.values)

    def _pieces(self, text: FloatArray) -> FloatArray:
        pieces, due = np.asarray(text), self.card.text_columns
        if pieces.ndim != 2 or len(pieces) == 0 or pieces.shape[1] != due or pieces.dtype.kind != "f":
            raise ArtifactError(
                f"model {self.name} takes text as numbers of shape (W, {due}) with W >= 1 from {self.text_encoder}, "
                f"got {pieces.dtype} {pieces.shape}; encode the text with that encoder, or leave it out"
            )
        if not np.isfinite(pieces).all():
            raise ArtifactError(
                f"model {self.name} takes finite rows of text, got one that is not; encode it again, or leave it out"
            )
        return pieces.astype(np.float32)

    def _embed(
        self,
        tower: TowerForward,
        sequence: FeatureSequence,
        modality: Modality,
        pieces: FloatArray | None = None,
    ) -> FloatArray:
        check_encoder(self, sequence, modality=modality)
        if sequence.values.shape[1] != tower.num_columns:
            raise ArtifactError(
                f"model {self.name} reads {tower.num_columns} {modality} columns, "
                f"got {sequence.values.shape[1]}; extract the features again, or train a model on these"
            )
        mask = np.ones((1, len(sequence)), dtype=bool)
        text = None if pieces is None else pieces[None]
        embedding: FloatArray = tower(sequence.values[None], mask, pieces=text)[0]
        return embedding


def load_embedder(folder: Path | str) -> TrainedEmbedder:
    """Load a trained model for search.

    Parameters
    ----------
    folder : Path or str
        What `training.train` wrote.

    Returns
    -------
    TrainedEmbedder

    Raises
    ------
    NotFoundError
        When there is no model.
    ArtifactError
        When it is corrupt or of another version.
    """
    card, weights = read_model(folder)
    return TrainedEmbedder(Path(folder).resolve().name, card=card, weights=weights, folder=Path(folder))
