"""A `DualEncoder` and pairs enter; encoded batches, or the embeddings of all pairs, leave.

Features are frozen. So what is told of them over time is worked out once for a set, and where no rows are drawn by
chance and a tower looks at nothing else, an epoch costs what the networks cost.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from reelscore.data.batching import Batch, iterate, iterate_indices, text_of
from reelscore.data.pairs import PairSet, Samples
from reelscore.features.pooling import pool
from reelscore.features.sampling import global_sparse_rows
from reelscore.models.config import ModelConfig
from reelscore.models.towers.dual_encoder import DualEncoder
from reelscore.models.towers.text_fusion import Text
from reelscore.models.towers.tower import Encoded
from reelscore.types import FloatArray

_BATCH_SIZE = 256
_ROWS = 65_536  # of sequences that are held at once while they are pooled

_Pooled: TypeAlias = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
_POOLED: WeakKeyDictionary[PairSet, dict[tuple[int | None, str], _Pooled]] = WeakKeyDictionary()


class Side(NamedTuple):
    """One modality of a set: `embedding` (N, E), rows of length 1, and the scaled `pooled` (N, P)."""

    embedding: npt.NDArray[np.float32]
    pooled: npt.NDArray[np.float32]


class EncodedBatch(NamedTuple):
    """Both sides of a batch and the group of each pair (B,)."""

    video: Encoded
    music: Encoded
    group: Tensor


class Reader:
    """Encodes the pairs of a set by a model whose scales have been learned.

    Parameters
    ----------
    model : DualEncoder
        Its scales must stay as they are; its weights may change from batch to batch.
    pairs : PairSet
    """

    def __init__(self, model: DualEncoder, pairs: PairSet) -> None:
        self.model = model
        self.pairs = pairs
        self._scaled: tuple[Tensor, Tensor] | None = None
        if model.config.tower == "mean":
            self._scaled = scaled_rows(model, pairs)
        self._still = _still(pairs, model.config.num_segments)

    def __len__(self) -> int:
        return len(self.pairs)

    def batches(
        self, *, batch_size: int, rng: np.random.Generator | None = None, label_rate: float | None = None
    ) -> Iterator[EncodedBatch]:
        """Go once through the pairs, see `data.batching.iterate`."""
        device = self.model.video.center.device
        # Pooled are the rows of inference: in training they serve where there are no others to draw.
        if self._scaled is None or (rng is not None and not self._still):
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
            text = read_text(self.model, self.pairs, index)
            yield EncodedBatch(self.model.video.embed(video, text=text), self.model.music.embed(music), group)

    @torch.no_grad()
    def embed(self) -> tuple[Side, Side]:
        """Embed every pair at its inference draw, without dropout, in the given order."""
        was_training = self.model.training
        self.model.eval()
        parts = list(self.batches(batch_size=_BATCH_SIZE))
        self.model.train(was_training)
        video, music = (
            Side(
                torch.cat([encoded.embedding for encoded in side]).cpu().numpy(),
                torch.cat([encoded.pooled for encoded in side]).cpu().numpy(),
            )
            for side in ([part.video for part in parts], [part.music for part in parts])
        )
        return video, music


def embed_pairs(model: DualEncoder, pairs: PairSet) -> tuple[Side, Side]:
    """Embed every pair of a set once, see `Reader.embed`."""
    return Reader(model, pairs).embed()


def encode(model: DualEncoder, batch: Batch) -> tuple[Encoded, Encoded]:
    """Run both towers over a batch, on the model's device."""
    device = model.video.center.device
    arrays = (batch.video, batch.video_mask, batch.music, batch.music_mask, batch.text, batch.text_mask)
    video, music = model(*(None if array is None else torch.from_numpy(array).to(device) for array in arrays))
    return video, music


def read_text(model: DualEncoder, pairs: PairSet, index: npt.NDArray[np.int64]) -> Text | None:
    """Return the text of some items as the model's video side reads it; None where there is none to read."""
    if not model.config.takes_text:
        return None
    pieces, mask = text_of(pairs, index)
    if pieces is None or mask is None:
        return None
    device = model.video.center.device
    return model.video.read(torch.from_numpy(pieces).to(device), torch.from_numpy(mask).to(device))


def new_model(pairs: PairSet, config: ModelConfig) -> DualEncoder:
    """Return a model for the features of pairs, as it stands before anything is learned."""
    return DualEncoder(*pairs.dims, config=config, text_columns=pairs.text_columns)


def _still(pairs: PairSet, num_segments: int | None) -> bool:
    """Tell whether every item shows the same rows each time: it has one draw, of no more rows than are asked for."""
    most = pairs.num_segments if num_segments is None else num_segments
    return all(
        len(draws) == 1 and len(draws[0]) <= most for side in (pairs.video, pairs.music) for draws in side
    )


def pooled_rows(pairs: PairSet, config: ModelConfig) -> _Pooled:
    """Return what `pooling.pool` tells of the inference draws, (N, P) and (N, P'); kept as long as the pairs are."""
    kept = _POOLED.setdefault(pairs, {})
    key = config.num_segments, config.pooling
    if key not in kept:
        kept[key] = _pooled_rows(pairs, config)
    return kept[key]


@torch.no_grad()
def scaled_rows(model: DualEncoder, pairs: PairSet) -> tuple[Tensor, Tensor]:
    """Return z of every pair's inference draw, (N, P) and (N, P'), on the model's device."""
    device = model.video.center.device
    video, music = (torch.from_numpy(side).to(device) for side in pooled_rows(pairs, model.config))
    return model.video.scaled(video), model.music.scaled(music)


@torch.no_grad()
def text_rows(model: DualEncoder, pairs: PairSet) -> Tensor:
    """Return z_t of every pair (N, P), 0 for those without text, of a model that takes text."""
    assert model.video.text is not None
    parts = []
    for start in range(0, len(pairs), _BATCH_SIZE):
        index = np.arange(start, min(start + _BATCH_SIZE, len(pairs)))
        text = read_text(model, pairs, index)
        knots = model.video.text.knots
        parts.append(knots.new_zeros(len(index), len(knots)) if text is None else text.pooled)
    return torch.cat(parts)


def seen_rows(draws: Samples, num_segments: int | None) -> FloatArray:
    """Return the inference draw of an item as a model reads it: at most N rows, by Global Sparse sampling."""
    rows = draws[0]
    if num_segments is None or len(rows) <= num_segments:
        return rows
    return rows[global_sparse_rows(len(rows), num_segments=num_segments)]


def take(pairs: PairSet, index: npt.ArrayLike, config: ModelConfig) -> PairSet:
    """Return some of the pairs, with what `pooled_rows` knows of them."""
    chosen = np.asarray(index, dtype=np.int64)
    taken = pairs.take(chosen)
    video, music = pooled_rows(pairs, config)
    _POOLED[taken] = {(config.num_segments, config.pooling): (video[chosen], music[chosen])}
    return taken


def _pooled_rows(pairs: PairSet, config: ModelConfig) -> _Pooled:
    longest = max(len(draws[0]) for side in (pairs.video, pairs.music) for draws in side)
    size = max(1, min(_BATCH_SIZE, _ROWS // longest))
    numbers = [config.num_pooled(columns) // columns for columns in pairs.dims]
    found = [
        (
            pool(batch.video, batch.video_mask, numbers[0]),
            pool(batch.music, batch.music_mask, numbers[1]),
        )
        for batch in iterate(pairs, batch_size=size, num_segments=config.num_segments)
    ]
    video, music = (np.concatenate(side) for side in zip(*found, strict=True))
    return video, music
