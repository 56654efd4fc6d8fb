"""Scales of feature columns of streamed pairs, computed in one pass over the training pairs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

import numpy as np

from reelscore.data.pairs import IntArray, PairItems
from reelscore.errors import InputError
from reelscore.features.scaling import ColumnMoments, Scales

from .distributed import Processes
from .features import Sides, pooled_items, scaled

if TYPE_CHECKING:
    from reelscore.data.streaming import StreamedPairs
    from reelscore.models.towers.dual_encoder import DualEncoder

_NUM_BLOCKS = 64
"""The pass adds up blocks in order, so its result does not depend on the number of processes that read them."""

_READ_ROWS = 256

_Block = tuple[ColumnMoments, ...]


@dataclass(frozen=True, slots=True, eq=False)
class StreamScales:
    """Mean and deviation of the columns of streamed pairs.

    Attributes
    ----------
    video, music, text : tuple of two ndarrays of float64, shape (D,)
        Of the rows of the inference samples, and of the mean text chunks.
    frozen : pair of such tuples, shape (P,)
        Of the pooled features that the intra-modal term reads.
    """

    video: Scales
    music: Scales
    text: Scales
    frozen: tuple[Scales, Scales]

    @classmethod
    def of(cls, pairs: StreamedPairs, processes: Processes) -> StreamScales:
        """Read all pairs once, each process a part.

        Raises
        ------
        InputError
            If a modality does not vary.
        """
        blocks: dict[int, _Block] = {}
        rank, size = processes.part
        for number, rows in enumerate(np.array_split(np.arange(len(pairs)), _NUM_BLOCKS)):
            if number % size == rank and len(rows):
                blocks[number] = _block(pairs, rows)
        every = {number: block for part in processes.collect(blocks) for number, block in part.items()}
        video, music, text, frozen_video, frozen_music = (
            reduce(add, moments) for moments in zip(*(every[number] for number in sorted(every)), strict=True)
        )
        for side, moments in (("video", video), ("music", music)):
            if not moments.squares.any():
                raise InputError(
                    f"training needs features that differ, but the {len(pairs)} training pairs of {pairs.name} have "
                    f"one and the same {side} features (such as rows of zeros); check its files and the encoder"
                )
        # In the frozen features, a missing text counts as the mean.
        centers, deviations = zip(frozen_video.mean_and_scale(), text.mean_and_scale(len(pairs)), strict=True)
        frozen = np.concatenate(centers), np.concatenate(deviations)
        return cls(
            video.mean_and_scale(),
            music.mean_and_scale(),
            text.mean_and_scale(),
            (frozen, frozen_music.mean_and_scale()),
        )

    def set_in(self, model: DualEncoder) -> None:
        """Set the scales of a model's towers."""
        model.video.set_scales(self.video, self.text)
        model.music.set_scales(self.music)

    def frozen_features(self, items: PairItems) -> Sides:
        """Return the standardised pooled features of items, as `features.frozen_features`."""
        video, music = _pooled(items, len(self.text[0]))
        return np.nan_to_num(scaled(video, self.frozen[0]), copy=False), scaled(music, self.frozen[1])


def _block(pairs: StreamedPairs, rows: IntArray) -> _Block:
    batches = [rows[start : start + _READ_ROWS] for start in range(0, len(rows), _READ_ROWS)]
    moments = []
    for items in pairs.read(batches):
        video, music = (
            np.concatenate([samples[0] for samples in side]) for side in (items.video, items.music)
        )
        texts = [chunks.mean(axis=0) for chunks in items.text if chunks is not None]
        text = np.stack(texts) if texts else np.empty((0, pairs.text_columns))
        moments.append([ColumnMoments.of(one) for one in (video, music, text, *_pooled(items))])
    return tuple(reduce(add, column) for column in zip(*moments, strict=True))


def _pooled(items: PairItems, text_columns: int = 0) -> Sides:
    num_segments = len(items.video[0][0])
    return pooled_items(
        items, num_segments=num_segments, deviation=num_segments > 1, text_columns=text_columns
    )
