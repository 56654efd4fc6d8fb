"""Dropout whose masks do not depend on how a batch is divided."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


class DropoutMasks:
    """The dropout masks of one batch, of which a process encodes a part, at once or in chunks.

    Each mask is drawn for the whole batch, as one process draws it that encodes the batch at once. So every process
    must have the same random state. The rows of the part are kept: encoding a chunk again gives the same embeddings.

    Parameters
    ----------
    size : int
        Number of items in the whole batch.
    part : slice
        Items that this process encodes.
    """

    def __init__(self, size: int, part: slice) -> None:
        self._size = size
        self._part = part
        self._masks: list[Tensor] = []
        self._next = 0
        self._chunk = slice(None)

    def select(self, chunk: slice) -> None:
        """Begin a pass through the model over some items of the part."""
        self._chunk, self._next = chunk, 0

    def get(self, draw: Callable[[int], Tensor]) -> Tensor:
        """Return the next mask of the pass; `draw` returns that of a number of items."""
        if self._next == len(self._masks):
            self._masks.append(draw(self._size)[self._part].clone())
        self._next += 1
        return self._masks[self._next - 1][self._chunk]


class Dropout(nn.Dropout):
    """`torch.nn.Dropout` that reads its masks from `masks`, where a batch is divided."""

    masks: DropoutMasks | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return x (B, ...) with some elements set to 0 in training."""
        if self.masks is None or not self.training:
            return super().forward(x)
        kept = self.masks.get(lambda size: F.dropout(x.new_ones((size, *x.shape[1:])), self.p) != 0)
        return x * (kept.to(x.dtype) / (1 - self.p))


class ItemDropout(Dropout):
    """Dropout of whole items, such as their text."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the mask x (B,) of items with some set to False in training."""
        if not self.training:
            return x

        def draw(size: int) -> Tensor:
            return torch.rand(size, device=x.device) >= self.p

        return x & (draw(len(x)) if self.masks is None else self.masks.get(draw))


@contextmanager
def use_masks(model: nn.Module, masks: DropoutMasks | None) -> Iterator[None]:
    """Make every dropout of a model read its masks from `masks` in this context; None changes nothing."""
    layers = [module for module in model.modules() if isinstance(module, Dropout)]
    for layer in layers:
        layer.masks = masks
    try:
        yield
    finally:
        for layer in layers:
            layer.masks = None
