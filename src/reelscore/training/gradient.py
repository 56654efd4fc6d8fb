"""Gradient of the loss of a batch, which is encoded in parts and chunks.

Each process encodes a part of the batch, gathers the embeddings of all and computes the share of its part in the loss
of the whole batch (`losses.distributed`). A part above the chunk size is encoded twice (gradient caching, Gao et al.,
arXiv 2101.06983): first without a graph, for the loss and its gradient G = ∂L/∂E with respect to the embeddings E; then
chunk by chunk with a graph, through which the rows of G are propagated. Only the graph of one chunk is in memory. The
sum over the chunks is the gradient of the whole, because dropout masks belong to the items of the batch
(`towers.dropout`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from reelscore.data.batching import Batch, part_rows
from reelscore.losses import PairLoss
from reelscore.losses.base import LossParts
from reelscore.losses.distributed import sum_of_shares
from reelscore.models.towers.dropout import DropoutMasks, use_masks
from reelscore.models.towers.dual_encoder import DualEncoder

from .config import Precision
from .distributed import Processes
from .encode import TrainingBatch, encode


class Modules(nn.Module):
    """Model and loss, with their parameters."""

    def __init__(self, model: DualEncoder, loss: PairLoss) -> None:
        super().__init__()
        self.model = model
        self.loss = loss


def backward(
    modules: Modules,
    batch: TrainingBatch,
    *,
    size: int,
    chunk_size: int | None = None,
    precision: Precision = "float32",
    processes: Processes = Processes(),
) -> LossParts | None:
    """Add the gradient of the loss of a batch to the parameters; with K processes, the same in all.

    Parameters
    ----------
    modules : Modules
    batch : TrainingBatch
        The part of this process.
    size : int
        Number of pairs in the whole batch.
    chunk_size : int, optional
        Maximum number of pairs that are encoded at once; by default the whole part.
    precision : {"float32", "bfloat16"}
    processes : Processes

    Returns
    -------
    LossParts or None
        The loss of the whole batch; None, without a gradient, for a batch of one group, which has no negatives.
    """
    pairs = _with_equal_padding(batch, modules.model, processes)
    step = chunk_size or len(pairs)
    chunks = [slice(start, start + step) for start in range(0, len(pairs), step)]
    masks = DropoutMasks(size, part_rows(size, processes.part))
    autocast = torch.autocast(
        modules.model.video.center.device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"
    )

    def embed(chunk: slice) -> tuple[Tensor, ...]:
        masks.select(chunk)
        with autocast:
            return encode(modules.model, pairs.take(chunk))

    with use_masks(modules.model, masks if processes.size > 1 or len(chunks) > 1 else None):
        if len(chunks) == 1:
            sides = embed(chunks[0])
        else:
            with torch.no_grad():
                sides = tuple(torch.cat(side) for side in zip(*map(embed, chunks), strict=True))
            for side in sides:
                side.requires_grad_()
        loss = _loss(modules.loss, sides, batch, size, processes)
        if loss is None:
            return None
        torch.autograd.backward(loss.total)
        if len(chunks) > 1:
            for chunk in chunks:
                gradients = tuple(side.grad[chunk] for side in sides if side.grad is not None)
                torch.autograd.backward(embed(chunk), gradients)
    processes.average([p.grad for p in modules.parameters() if p.grad is not None])
    return loss


def _loss(
    loss: PairLoss, sides: tuple[Tensor, ...], batch: TrainingBatch, size: int, processes: Processes
) -> LossParts | None:
    group = processes.gather(batch.group, size)
    if bool((group == group[0]).all()):
        return None
    video, music = (processes.gather(side, size) for side in sides)
    video_features, music_features = (
        None if features is None else processes.gather(features, size)
        for features in (batch.video_features, batch.music_features)
    )
    arguments: dict[str, Any] = {
        "video_embeddings": video,
        "music_embeddings": music,
        "video_features": video_features,
        "music_features": music_features,
        "group": group,
    }
    if processes.size == 1:
        return loss.parts(**arguments)
    return sum_of_shares(loss, part_rows(size, processes.part), **arguments)


def _with_equal_padding(batch: TrainingBatch, model: DualEncoder, processes: Processes) -> Batch:
    """Pad a part as the whole batch, on whose shape the dropout masks depend."""
    pairs = batch.pairs
    if processes.size == 1:
        return pairs
    text_length = 0 if pairs.text is None else pairs.text.shape[1]
    lengths = processes.largest([pairs.video.shape[1], pairs.music.shape[1], text_length])
    fusion = model.video.fusion
    return pairs.padded(*lengths, text_columns=0 if fusion is None else len(fusion.center))
