"""A trained model for search, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np

from reelscore.errors import ArtifactError
from reelscore.models.base import EncodeQuery, check_encoder, check_query, reject_text
from reelscore.models.kernel.model import KernelModel
from reelscore.types import FeatureSequence, FloatArray, Modality

from .folder import ModelCard, read_bank, read_model
from .heads import Head, KernelHead, NetworkHead


class TrainedEmbedder:
    """A trained model: a kernel model, a network, or both. Implements `Embedder`.

    With both, the embedding is the concatenation of theirs, each times the root of its share of the score. Items are
    embedded one at a time, so that an embedding does not depend on a batch.

    Parameters
    ----------
    name : str
        Shown to the user.
    card : ModelCard
    weights : Mapping[str, ndarray of float32]
        Arrays of the kernel model (``kernel.*``), of the `DualEncoder` (``network.*``) and, with both,
        ``network_share``.
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
        self.dim = card.dim
        self.num_segments = card.num_segments
        self.video_encoder = card.video_encoder
        self.music_encoder = card.music_encoder
        self.text_encoder = card.text_encoder
        try:
            self._heads = _heads(card, weights)
            self._probe()
        except (KeyError, ValueError, IndexError) as error:
            raise ArtifactError(
                f"the weights of model {name} do not match its description ({error}); train it again"
            ) from error

    def _probe(self) -> None:
        """Raise `ValueError` unless the weights give embeddings of the described shape."""
        columns = {"video": self.card.video_columns, "music": self.card.music_columns}
        text = np.zeros((1, self.card.text_columns), np.float32) if self.card.text_columns else None
        probes = [
            self._concat(
                [head.music(np.zeros((1, columns["music"]), np.float32), 1.0) for _, head in self._heads]
            )
        ]
        for chunks in {id(text): text, id(None): None}.values():
            rows = np.zeros((1, columns["video"]), np.float32)
            probes.append(self._concat([head.video(rows, 1.0, chunks) for _, head in self._heads]))
        for probe in probes:
            if probe.shape != (self.dim,):
                raise ValueError(f"expected {self.dim} values, got shape {probe.shape}")

    @cached_property
    def bank(self) -> FloatArray | None:
        """Embeddings of some training videos, shape (B, D); None if none were stored."""
        return None if self._folder is None else read_bank(self._folder, self.card)

    @property
    def text_bank(self) -> FloatArray | None:
        """The same: a model that takes text embeds it where its videos are."""
        return self.bank

    @property
    def linear_cca(self) -> KernelModel | None:
        """The linear CCA within a kernel model without text, the baseline of an evaluation; else None."""
        first = self._heads[0][1]
        if isinstance(first, KernelHead) and not self.card.text_columns and "linear" in first.model.kernels:
            return first.model.only("linear")
        return None

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
        self._check(sequence, "video")
        if text is not None and not self.card.text_columns:
            reject_text(self, text)
        chunks = None if text is None else self._chunks(text)
        return self._concat([head.video(sequence.values, sequence.row_s, chunks) for _, head in self._heads])

    def embed_text(self, text: str, encode: EncodeQuery | None = None, /) -> FloatArray | None:
        """Return the embedding of a text query, shape (D,), norm 1; None without text weights or `encode`.

        Raises
        ------
        InputError
            If the query is empty or too long.
        ArtifactError
            If `encode` returns rows of another form.
        """
        if not self.card.text_columns or encode is None:
            return None
        check_query(text)
        chunks = self._chunks(encode(text))
        return self._concat([head.text(chunks) for _, head in self._heads])

    def reasons(self, _query: FloatArray, _embedding: FloatArray, /) -> tuple[str, ...]:
        """Return nothing: the dimensions of this space are not terms."""
        return ()

    def embed_music(self, sequence: FeatureSequence) -> FloatArray:
        """Return the embedding of a track, shape (D,), float32, norm 1."""
        self._check(sequence, "music")
        return self._concat([head.music(sequence.values, sequence.row_s) for _, head in self._heads])

    def embed_moments(self, sequence: FeatureSequence) -> FloatArray:
        """Return one embedding for each row of a track, shape (T, D), from that row and its two neighbours."""
        self._check(sequence, "music")
        return self._concat([head.moments(sequence.values, sequence.row_s) for _, head in self._heads])

    def _concat(self, parts: list[FloatArray]) -> FloatArray:
        weighted = [
            np.float32(share**0.5) * part for (share, _), part in zip(self._heads, parts, strict=True)
        ]
        joined: FloatArray = np.concatenate(weighted, axis=-1).astype(np.float32)
        return joined

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

    def _check(self, sequence: FeatureSequence, modality: Modality) -> None:
        check_encoder(self, sequence, modality=modality)
        expected = self.card.video_columns if modality == "video" else self.card.music_columns
        if sequence.values.shape[1] != expected:
            raise ArtifactError(
                f"model {self.name} reads {expected} {modality} columns, got {sequence.values.shape[1]}; "
                "extract the features again, or train a model on these"
            )


def _heads(card: ModelCard, weights: Mapping[str, FloatArray]) -> list[tuple[float, Head]]:
    """Return the parts of a model, each with its share of the score."""
    for name, values in weights.items():
        if not np.isfinite(values).all():
            raise ValueError(f"{name} is not finite")
    heads: list[tuple[float, Head]] = []
    network_share = weights["network_share"].item() if card.method == "auto" and card.config else None
    if kernel := _with_prefix("kernel.", weights):
        share = 1.0 if network_share is None else 1.0 - network_share
        columns = card.video_columns, card.music_columns, card.text_columns
        heads.append((share, KernelHead(KernelModel.from_arrays(kernel), *columns)))
    if card.config is not None:
        share = 1.0 if network_share is None else network_share
        heads.append((share, NetworkHead(_with_prefix("network.", weights), card.config, card.text_columns)))
    if not heads:
        raise KeyError("kernel")
    return heads


def _with_prefix(prefix: str, weights: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


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
