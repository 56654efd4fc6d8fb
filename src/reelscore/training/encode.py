"""Encode pairs with a `DualEncoder`, batch by batch or all at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from reelscore.data.batching import Batch, iterate, iterate_indices, text_batch
from reelscore.data.pairs import PairSet, Samples
from reelscore.features.pooling import pool
from reelscore.features.sampling import global_sparse_rows
from reelscore.models.config import ModelConfig
from reelscore.models.towers.dual_encoder import DualEncoder
from reelscore.models.towers.text_fusion import Text
from reelscore.models.towers.tower import Encoded
from reelscore.types import FloatArray

_BATCH_SIZE = 256
_MAX_ROWS = 65_536  # sequence rows in memory while features are pooled

_Pooled: TypeAlias = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]

# The features are frozen, so they are pooled once for each set and not once for each epoch.
_POOLED: WeakKeyDictionary[PairSet, dict[tuple[int | None, str], _Pooled]] = WeakKeyDictionary()


class Side(NamedTuple):
    """One modality of a set: unit-norm `embedding` (N, E) and scaled `pooled` features (N, P)."""

    embedding: npt.NDArray[np.float32]
    pooled: npt.NDArray[np.float32]


class EncodedBatch(NamedTuple):
    """Both sides of a batch and the group of each pair (B,)."""

    video: Encoded
    music: Encoded
    group: Tensor


class PairEncoder:
    """Encodes the pairs of a set with a standardised model.

    Parameters
    ----------
    model : DualEncoder
        The weights may change between batches, the column scales may not.
    pairs : PairSet
    """

    def __init__(self, model: DualEncoder, pairs: PairSet) -> None:
        self.model = model
        self.pairs = pairs
        self._scaled: tuple[Tensor, Tensor] | None = None
        if model.config.tower == "mean":
            self._scaled = scaled_rows(model, pairs)
        self._deterministic = _is_deterministic(pairs, model.config.num_segments)

    def __len__(self) -> int:
        return len(self.pairs)

    def batches(
        self, *, batch_size: int, rng: np.random.Generator | None = None, label_rate: float | None = None
    ) -> Iterator[EncodedBatch]:
        """Iterate once over the pairs, see `data.batching.iterate`."""
        device = self.model.video.center.device
        # The pooled rows are those of inference. Training can use them only if sampling has no choice of rows.
        if self._scaled is None or (rng is not None and not self._deterministic):
            num_segments = self.model.config.num_segments
            for batch in iterate(
                self.pairs,
                batch_size=batch_size,
                num_segments=num_segments,
                rng=rng,
                label_rate=label_rate,
            ):
                yield EncodedBatch(*encode(self.model, batch), torch.from_numpy(batch.group).to(device))
            return
        for index in iterate_indices(self.pairs, batch_size=batch_size, rng=rng, label_rate=label_rate):
            video, music = (side[torch.from_numpy(index).to(device)] for side in self._scaled)
            group = torch.from_numpy(self.pairs.group[index]).to(device)
            text = encode_text(self.model, self.pairs, index)
            yield EncodedBatch(self.model.video.embed(video, text=text), self.model.music.embed(music), group)

    @torch.no_grad()
    def embed(self) -> tuple[Side, Side]:
        """Embed the inference sample of every pair without dropout, in the given order."""
        was_training = self.model.training
        self.model.eval()
        batches = list(self.batches(batch_size=_BATCH_SIZE))
        self.model.train(was_training)
        video, music = (
            Side(
                torch.cat([encoded.embedding for encoded in side]).cpu().numpy(),
                torch.cat([encoded.pooled for encoded in side]).cpu().numpy(),
            )
            for side in ([batch.video for batch in batches], [batch.music for batch in batches])
        )
        return video, music


def embed_pairs(model: DualEncoder, pairs: PairSet) -> tuple[Side, Side]:
    """Embed every pair of a set once, see `PairEncoder.embed`."""
    return PairEncoder(model, pairs).embed()


def encode(model: DualEncoder, batch: Batch) -> tuple[Encoded, Encoded]:
    """Run both towers over a batch, on the model's device."""
    device = model.video.center.device
    arrays = (batch.video, batch.video_mask, batch.music, batch.music_mask, batch.text, batch.text_mask)
    video, music = model(*(None if array is None else torch.from_numpy(array).to(device) for array in arrays))
    return video, music


def encode_text(model: DualEncoder, pairs: PairSet, index: npt.NDArray[np.int64]) -> Text | None:
    """Scale and pool the text of some items; None if the model takes no text or no item has any."""
    if not model.config.takes_text:
        return None
    chunks, mask = text_batch(pairs, index)
    if chunks is None or mask is None:
        return None
    device = model.video.center.device
    return model.video.read(torch.from_numpy(chunks).to(device), torch.from_numpy(mask).to(device))


def new_model(pairs: PairSet, config: ModelConfig) -> DualEncoder:
    """Return an untrained model for the features of `pairs`."""
    return DualEncoder(*pairs.dims, config=config, text_columns=pairs.text_columns)


def _is_deterministic(pairs: PairSet, num_segments: int | None) -> bool:
    """Return whether training reads the same rows in each epoch: one sample an item, at most N rows long."""
    longest = pairs.num_segments if num_segments is None else num_segments
    return all(
        len(samples) == 1 and len(samples[0]) <= longest
        for side in (pairs.video, pairs.music)
        for samples in side
    )


def pooled_rows(pairs: PairSet, config: ModelConfig) -> _Pooled:
    """Pool the inference samples over time, (N, P) and (N, P'); cached as long as `pairs` exists."""
    cache = _POOLED.setdefault(pairs, {})
    key = config.num_segments, config.pooling
    if key not in cache:
        longest = max(len(samples[0]) for side in (pairs.video, pairs.music) for samples in side)
        size = max(1, min(_BATCH_SIZE, _MAX_ROWS // longest))
        numbers = [config.num_pooled(columns) // columns for columns in pairs.dims]
        batches = [
            (pool(batch.video, batch.video_mask, numbers[0]), pool(batch.music, batch.music_mask, numbers[1]))
            for batch in iterate(pairs, batch_size=size, num_segments=config.num_segments)
        ]
        video, music = (np.concatenate(side) for side in zip(*batches, strict=True))
        cache[key] = video, music
    return cache[key]


@torch.no_grad()
def scaled_rows(model: DualEncoder, pairs: PairSet) -> tuple[Tensor, Tensor]:
    """Return z of every pair's inference sample, (N, P) and (N, P'), on the model's device."""
    device = model.video.center.device
    video, music = (torch.from_numpy(side).to(device) for side in pooled_rows(pairs, model.config))
    return model.video.scaled(video), model.music.scaled(music)


@torch.no_grad()
def text_rows(model: DualEncoder, pairs: PairSet) -> Tensor:
    """Return z_t of every pair (N, P), 0 for pairs without text; the model must take text."""
    assert model.video.text is not None
    knots = model.video.text.knots
    rows = []
    for start in range(0, len(pairs), _BATCH_SIZE):
        index = np.arange(start, min(start + _BATCH_SIZE, len(pairs)))
        text = encode_text(model, pairs, index)
        rows.append(knots.new_zeros(len(index), len(knots)) if text is None else text.pooled)
    return torch.cat(rows)


def inference_rows(samples: Samples, num_segments: int | None) -> FloatArray:
    """Return at most N rows of an item's inference sample, by Global Sparse sampling."""
    rows = samples[0]
    if num_segments is None or len(rows) <= num_segments:
        return rows
    return rows[global_sparse_rows(len(rows), num_segments=num_segments)]


def take(pairs: PairSet, index: npt.ArrayLike, config: ModelConfig) -> PairSet:
    """Return the pairs at `index` together with their cached pooled features."""
    chosen = np.asarray(index, dtype=np.int64)
    subset = pairs.take(chosen)
    video, music = pooled_rows(pairs, config)
    _POOLED[subset] = {(config.num_segments, config.pooling): (video[chosen], music[chosen])}
    return subset
