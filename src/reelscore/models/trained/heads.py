"""Parts of a trained model: a kernel model on pooled features, or a network on sequences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt

from reelscore.features.pooling import pool
from reelscore.features.sampling import global_sparse_rows
from reelscore.models.base import neighbour_means
from reelscore.models.config import ModelConfig
from reelscore.models.kernel.model import KernelModel
from reelscore.types import FloatArray

from .forward import TowerForward


class Head(Protocol):
    """Embeds single items; all embeddings have norm 1. `row_s` is the time from one row to the next in seconds."""

    def video(self, rows: FloatArray, row_s: float, chunks: FloatArray | None) -> FloatArray:
        """Return the embedding (E,) of a video's rows (T, D) and text chunks (W, D')."""
        ...

    def music(self, rows: FloatArray, row_s: float) -> FloatArray:
        """Return the embedding (E,) of a track's rows (T, D)."""
        ...

    def moments(self, rows: FloatArray, row_s: float) -> FloatArray:
        """Return an embedding (T, E) for each row of a track, from that row and its two neighbours."""
        ...

    def text(self, chunks: FloatArray) -> FloatArray:
        """Return the embedding (E,) of text chunks (W, D')."""
        ...


class KernelHead:
    """A kernel model on the means, and for sequences the deviations, of the columns."""

    def __init__(self, model: KernelModel, video_columns: int, music_columns: int, text_columns: int) -> None:
        self.model = model
        self._text_columns = text_columns
        pooled = len(model.music[0].center)
        if pooled not in (music_columns, 2 * music_columns):
            raise ValueError(f"{pooled} pooled columns of music")
        self._has_deviation = pooled == 2 * music_columns
        self._video_columns = video_columns * (1 + self._has_deviation)
        if len(model.video[0].center) != self._video_columns + text_columns:
            raise ValueError(f"{len(model.video[0].center)} pooled columns of video")

    def video(self, rows: FloatArray, row_s: float, chunks: FloatArray | None) -> FloatArray:
        """See `Head`."""
        return self._embed_video(self._pooled(rows, row_s), chunks)

    def music(self, rows: FloatArray, row_s: float) -> FloatArray:
        """See `Head`."""
        embedding: FloatArray = self.model.embed("music", self._pooled(rows, row_s)[None])[0].astype(
            np.float32
        )
        return embedding

    def moments(self, rows: FloatArray, row_s: float) -> FloatArray:
        """See `Head`. The deviations are those of the whole track: three rows are too few for them."""
        means = neighbour_means(rows)
        if not self._has_deviation:
            return self.model.embed("music", means).astype(np.float32)
        deviation = np.broadcast_to(pool(rows, row_s=row_s)[rows.shape[1] :], means.shape)
        pooled = np.concatenate([means, deviation], axis=1)
        return self.model.embed("music", pooled).astype(np.float32)

    def text(self, chunks: FloatArray) -> FloatArray:
        """See `Head`. Every column of the video counts as its mean."""
        return self._embed_video(np.full(self._video_columns, np.nan), chunks)

    def _embed_video(self, pooled: npt.NDArray[np.float64], chunks: FloatArray | None) -> FloatArray:
        text = np.full(self._text_columns, np.nan) if chunks is None else chunks.mean(axis=0)
        embedding: FloatArray = self.model.embed("video", np.concatenate([pooled, text])[None])[0].astype(
            np.float32
        )
        return embedding

    def _pooled(self, rows: FloatArray, row_s: float) -> npt.NDArray[np.float64]:
        return pool(rows, row_s=row_s) if self._has_deviation else rows.mean(axis=0, dtype=np.float64)


class NetworkHead:
    """Two towers on sequences."""

    def __init__(self, weights: Mapping[str, FloatArray], config: ModelConfig, text_columns: int) -> None:
        video, music = (
            TowerForward(
                {name.removeprefix(side): w for name, w in weights.items() if name.startswith(side)},
                config=config,
            )
            for side in ("video.", "music.")
        )
        if video.text_columns != text_columns:
            raise ValueError(f"expected {text_columns} columns of text, got {video.text_columns}")
        self._video, self._music = video, music
        self._num_segments = config.num_segments

    def video(self, rows: FloatArray, row_s: float, chunks: FloatArray | None) -> FloatArray:
        """See `Head`."""
        del row_s
        text = None if chunks is None else chunks[None]
        rows = self._sampled(rows)
        embedding: FloatArray = self._video(rows[None], np.ones((1, len(rows)), dtype=bool), chunks=text)[0]
        return embedding

    def music(self, rows: FloatArray, row_s: float) -> FloatArray:
        """See `Head`."""
        del row_s
        rows = self._sampled(rows)
        embedding: FloatArray = self._music(rows[None], np.ones((1, len(rows)), dtype=bool))[0]
        return embedding

    def moments(self, rows: FloatArray, row_s: float) -> FloatArray:
        """See `Head`."""
        del row_s
        around = np.arange(len(rows))[:, None] + np.arange(-1, 2)
        mask = (around >= 0) & (around < len(rows))
        # Real rows must come first, as in every padded batch: the first row has no predecessor.
        order = np.argsort(~mask, axis=1, kind="stable")
        around, mask = np.take_along_axis(around, order, 1), np.take_along_axis(mask, order, 1)
        return self._music(rows[np.where(mask, around, 0)], mask)

    def text(self, chunks: FloatArray) -> FloatArray:
        """See `Head`."""
        embedding: FloatArray = self._video.embed_text(chunks[None])[0]
        return embedding

    def _sampled(self, rows: FloatArray) -> FloatArray:
        """Return N rows by Global Sparse sampling, or all of a shorter sequence."""
        number = self._num_segments
        if number is None or len(rows) <= number:
            return rows
        sampled: FloatArray = rows[global_sparse_rows(len(rows), num_segments=number)]
        return sampled
