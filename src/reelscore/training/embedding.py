"""A `DualEncoder` and pairs enter; the embeddings and pooled features of both sides leave, as NumPy, or the loss."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from ..data.batching import Batch, iterate
from ..data.pairs import PairSet
from ..losses.pair_loss import LossParts, PairLoss
from ..models.dual_encoder import DualEncoder
from ..models.towers import Encoded
from .frozen import Frozen

_BATCH_SIZE = 256


class Side(NamedTuple):
    """One modality of a set: `embedding` (N, E), rows of length 1, and the standardised `pooled` (N, P)."""

    embedding: npt.NDArray[np.float32]
    pooled: npt.NDArray[np.float32]


def encode(model: DualEncoder, batch: Batch) -> tuple[Encoded, Encoded]:
    """Run both towers over a batch, on the model's device."""
    device = model.video.center.device
    arrays = (batch.video, batch.video_mask, batch.music, batch.music_mask)
    video, music = model(*(torch.from_numpy(array).to(device) for array in arrays))
    return video, music


@torch.no_grad()
def embed_pairs(model: DualEncoder, pairs: PairSet) -> tuple[Side, Side]:
    """Embed every pair at its inference draw, without dropout, in the given order."""
    was_training = model.training
    model.eval()
    parts = [
        encode(model, batch)
        for batch in iterate(pairs, batch_size=_BATCH_SIZE, num_segments=model.config.num_segments)
    ]
    model.train(was_training)
    video, music = (
        Side(
            torch.cat([encoded.embedding for encoded in side]).cpu().numpy(),
            torch.cat([encoded.pooled for encoded in side]).cpu().numpy(),
        )
        for side in zip(*parts, strict=True)
    )
    return video, music


def member_losses(
    loss: PairLoss, batch: Batch, video: Encoded, music: Encoded, *, frozen: Frozen
) -> LossParts:
    """Return the loss of an encoded batch, the mean over the members: each learns for itself."""
    group = torch.from_numpy(batch.group.copy()).to(video.embedding.device)
    video_features, music_features = frozen(video, music)
    each = [
        loss(
            v,
            m,
            video_features=video_features,
            music_features=music_features,
            group=group,
        )
        for v, m in zip(video.members, music.members, strict=True)
    ]
    total = torch.stack([one.total for one in each]).mean()
    parts = {name: torch.stack([one.parts[name] for one in each]).mean() for name in each[0].parts}
    return LossParts(total, parts)
