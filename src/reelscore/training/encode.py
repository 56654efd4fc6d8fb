"""Encode pairs with a `DualEncoder`, batch by batch or all at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from reelscore.data.batching import Batch, Part, iterate, num_batches
from reelscore.data.pairs import PairSet
from reelscore.models.config import ModelConfig
from reelscore.models.towers.dual_encoder import DualEncoder

from .features import Sides

if TYPE_CHECKING:
    from reelscore.data.streaming import StreamedPairs

_BATCH_SIZE = 256


class TrainingBatch(NamedTuple):
    """Pairs with what the loss reads of them: frozen features (B, P), None without, and groups (B,)."""

    pairs: Batch
    video_features: Tensor | None
    music_features: Tensor | None
    group: Tensor


class PairEncoder:
    """Encodes the pairs of a set with a standardised model.

    Parameters
    ----------
    model : DualEncoder
        The weights may change between batches, the column scales may not.
    pairs : PairSet or StreamedPairs
    frozen : pair of ndarray, shapes (N, P) and (N, P'), optional
        Frozen features for the loss; streamed pairs describe their own.
    """

    def __init__(
        self, model: DualEncoder, pairs: PairSet | StreamedPairs, *, frozen: Sides | None = None
    ) -> None:
        self.model = model
        self.pairs = pairs
        device = model.video.center.device
        self._frozen = None if frozen is None else [torch.from_numpy(side).to(device) for side in frozen]

    def __len__(self) -> int:
        return len(self.pairs)

    def num_batches(self, batch_size: int) -> int:
        """Return the number of training batches in an epoch."""
        return num_batches(len(self), batch_size=batch_size, training=True)

    def batches(
        self,
        *,
        batch_size: int,
        rng: np.random.Generator | None = None,
        part: Part = (0, 1),
        first: int = 0,
    ) -> Iterator[TrainingBatch]:
        """Iterate once over the pairs, see `data.batching.iterate`."""
        num_segments = self.model.config.num_segments
        chosen = iterate(
            self.pairs, batch_size=batch_size, num_segments=num_segments, rng=rng, part=part, first=first
        )
        return map(self._with_frozen, chosen)

    def _with_frozen(self, batch: Batch) -> TrainingBatch:
        device = self.model.video.center.device
        video, music = (
            None if side is None else torch.from_numpy(side).to(device)
            for side in (batch.video_frozen, batch.music_frozen)
        )
        if self._frozen is not None:
            index = torch.from_numpy(batch.index).to(device)
            video, music = (side[index] for side in self._frozen)
        return TrainingBatch(batch, video, music, torch.from_numpy(batch.group).to(device))

    @torch.no_grad()
    def embed(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Embed the inference sample of every pair without dropout, in the given order, (N, dim) each."""
        was_training = self.model.training
        self.model.eval()
        num_segments = self.model.config.num_segments
        batches = iterate(self.pairs, batch_size=_BATCH_SIZE, num_segments=num_segments)
        video, music = zip(*(encode(self.model, batch) for batch in batches), strict=True)
        self.model.train(was_training)
        return torch.cat(video).cpu().numpy(), torch.cat(music).cpu().numpy()


def encode(model: DualEncoder, batch: Batch) -> tuple[Tensor, Tensor]:
    """Run both towers over a batch, on the model's device."""
    device = model.video.center.device
    arrays = (batch.video, batch.video_mask, batch.music, batch.music_mask, batch.text, batch.text_mask)
    video, music = model(*(None if array is None else torch.from_numpy(array).to(device) for array in arrays))
    return video, music


def new_model(pairs: PairSet | StreamedPairs, config: ModelConfig) -> DualEncoder:
    """Return an untrained model for the features of `pairs`, with the scales of their columns unless streamed."""
    model = DualEncoder(*pairs.dims, config=config, text_columns=pairs.text_columns)
    if not isinstance(pairs, PairSet):
        return model
    model.video.standardise(
        [samples[0] for samples in pairs.video], [chunks for chunks in pairs.text or () if chunks is not None]
    )
    model.music.standardise([samples[0] for samples in pairs.music])
    return model
