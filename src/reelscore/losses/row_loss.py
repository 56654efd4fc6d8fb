"""Losses that are means over anchors, computed in blocks of anchors.

A subclass of `RowLoss` computes the losses of a block of anchors from the cosine matrices of `Rows`. Blocks bound the
memory of a batch of any size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Generic, Literal, SupportsFloat, TypeVar

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from reelscore.errors import InputError

from .base import Gather, LossParts, PairBatch, PairLoss
from .similarity import FLAT

Groups = Literal["negatives-masked", "positives"]

LOWEST_LEARNED_TEMPERATURE = 0.01
"""Lower bound of a learnable temperature, as in CLIP: below it a single pair dominates the gradient."""


class TemperatureLoss(PairLoss):
    """A `PairLoss` on cosines divided by a temperature, which is fixed or learned as log(1/τ).

    Parameters
    ----------
    temperature : float
        τ, positive; its initial value if it is learnable.
    learnable : bool
        Whether log(1/τ) is a parameter, bounded to τ >= 0.01.
    groups : {"negatives-masked", "positives"}
        Whether the other items of an item's group are masked or are further positives.

    Raises
    ------
    InputError
        If a value is out of range.
    """

    def __init__(
        self, *, temperature: float = 0.07, learnable: bool = True, groups: Groups = "negatives-masked"
    ) -> None:
        super().__init__()
        lowest = LOWEST_LEARNED_TEMPERATURE if learnable else 0.0
        number = isinstance(temperature, SupportsFloat) and math.isfinite(temperature)
        if not (number and temperature > 0 and temperature >= lowest):
            raise InputError(
                f"temperature must be a finite number, positive and at least {lowest} when it is learnable, "
                f"got {temperature!r}"
            )
        if groups not in ("negatives-masked", "positives"):
            raise InputError(f"groups must be 'negatives-masked' or 'positives', got {groups!r}")
        self.groups: Groups = groups
        self.learnable = learnable
        exact = -math.log(temperature)
        log_scale = torch.tensor(exact, dtype=torch.float32)
        # What single precision cuts off, so that a loss in double precision has the temperature that was given.
        self._rounding = exact - float(np.float32(exact))
        if learnable:
            self.log_scale = nn.Parameter(log_scale)
        else:
            self.register_buffer("log_scale", log_scale)

    @property
    def temperature(self) -> float:
        """Current τ."""
        self._bound()
        return math.exp(-float(self.log_scale.detach()) - self._rounding)

    def scale(self, cosines: Tensor) -> Tensor:
        """Return 1/τ in the dtype of the cosines that it multiplies."""
        self._bound()
        return (self.log_scale.to(cosines.dtype) + self._rounding).exp()

    def _bound(self) -> None:
        if self.learnable:
            # Clamp the parameter itself, as in CLIP: clamping in the graph would give it no gradient to move back.
            # Clamp `data`: another term may have used the parameter, and its gradient must stay valid.
            with torch.no_grad():
                self.log_scale.data.clamp_(max=-math.log(LOWEST_LEARNED_TEMPERATURE))


T = TypeVar("T")


class _computed_once(Generic[T]):  # noqa: N801
    """`functools.cached_property` without the lock that it has in Python 3.11, which torch.compile cannot trace."""

    def __init__(self, function: Callable[[Any], T]) -> None:
        self.function, self.__doc__ = function, function.__doc__

    def __get__(self, rows: Any, owner: type) -> T:
        value = self.function(rows)
        setattr(rows, self.function.__name__, value)  # found before this descriptor from now on
        return value


class Rows:
    """Cosine matrices (b, B) of a block of anchors with the whole batch, each computed on first use.

    Attributes
    ----------
    index : Tensor of int, shape (b,)
        Positions of the anchors in the batch.
    """

    def __init__(
        self,
        index: Tensor,
        anchors: Tensor,
        others: Tensor,
        group: Tensor | None,
        anchors_frozen: Tensor | None,
        others_frozen: Tensor | None,
    ) -> None:
        self.index = index
        self._anchors, self._others, self._group = anchors, others, group
        self._anchors_frozen, self._others_frozen = anchors_frozen, others_frozen

    @_computed_once
    def cross(self) -> Tensor:
        """Cosines of the anchors with the other modality (b, B)."""
        return F.linear(self._anchors[self.index], self._others)

    @_computed_once
    def cross_back(self) -> Tensor:
        """Cosines of the anchors' partners with the anchors' modality (b, B)."""
        if len(self.index) == len(self._anchors):  # all rows of S have its columns too
            return self.cross.T
        return F.linear(self._others[self.index], self._anchors)

    @_computed_once
    def within(self) -> Tensor:
        """Cosines of the anchors within their modality (b, B)."""
        return F.linear(self._anchors[self.index], self._anchors)

    @_computed_once
    def other_within(self) -> Tensor:
        """Cosines of the anchors' partners within their modality (b, B)."""
        return F.linear(self._others[self.index], self._others)

    @_computed_once
    def frozen(self) -> Tensor:
        """S0: cosines of the anchors' frozen features within their modality (b, B)."""
        assert self._anchors_frozen is not None
        return F.linear(self._anchors_frozen[self.index], self._anchors_frozen)

    @_computed_once
    def other_frozen(self) -> Tensor:
        """S0 of the anchors' partners (b, B)."""
        assert self._others_frozen is not None
        return F.linear(self._others_frozen[self.index], self._others_frozen)

    @_computed_once
    def connectivity(self) -> tuple[Tensor, Tensor]:
        """Mean S0 of every item with the others, scaled to [0, 1] over the batch, for both modalities (B,).

        0 for all if they are equal, as those of two items are.
        """
        assert self._anchors_frozen is not None
        assert self._others_frozen is not None
        return _connectivity(self._anchors_frozen), _connectivity(self._others_frozen)

    @_computed_once
    def diagonal(self) -> Tensor:
        """Mask of the pairs themselves (b, B)."""
        return self.index[:, None] == torch.arange(len(self._anchors), device=self.index.device)

    @_computed_once
    def same(self) -> Tensor:
        """Mask of the items of the anchor's group, with the anchor (b, B)."""
        return self.diagonal if self._group is None else self._group[self.index][:, None] == self._group

    def turned(self) -> Rows:
        """Return the rows of the anchors' partners, which share what is computed already."""
        given = (self._others, self._anchors, self._group, self._others_frozen, self._anchors_frozen)
        rows = Rows(self.index, *given)
        known = {"cross_back", *self.__dict__}
        for name, there in _TURNED.items():
            if name in known:
                setattr(rows, there, getattr(self, name))
        return rows

    def positives(self, matrix: Tensor) -> Tensor:
        """Return the entries (b,) of a matrix (b, B) for the pairs themselves."""
        return matrix.gather(1, self.index[:, None])[:, 0]

    def mask_group(self, matrix: Tensor) -> Tensor:
        """Return a matrix (b, B) with −inf for the other items of the anchor's group."""
        return matrix if self._group is None else matrix.masked_fill(self.same & ~self.diagonal, -math.inf)


class RowLoss(TemperatureLoss):
    """A mean over the anchors of both directions: L = ½ mean_i l(v_i) + ½ mean_i l(m_i).

    Parameters
    ----------
    chunk_size : int, optional
        Anchors in a block. Blocks are recomputed in the backward pass, so that memory is O(B · chunk_size) instead of
        O(B²). By default all anchors form one block.
    temperature, learnable, groups
        As for `TemperatureLoss`.
    """

    name = "inter"

    def __init__(
        self,
        *,
        temperature: float = 0.07,
        learnable: bool = True,
        groups: Groups = "negatives-masked",
        chunk_size: int | None = None,
    ) -> None:
        super().__init__(temperature=temperature, learnable=learnable, groups=groups)
        check_chunk(chunk_size)
        self.chunk_size = chunk_size

    def row_losses(self, rows: Rows) -> Tensor:
        """Return the loss of each anchor of a block, shape (b,). Subclasses implement it."""
        raise NotImplementedError

    def compute(self, batch: PairBatch) -> LossParts:
        """Return the mean over all anchors of both modalities."""
        return self.compute_rows(batch, slice(None))

    def compute_rows(
        self,
        batch: PairBatch,
        rows: slice,
        gather: Gather | None = None,  # noqa: ARG002
    ) -> LossParts:
        """Return the share of some anchors of both modalities."""

        def losses(index: Tensor) -> Tensor:
            block = Rows(index, batch.video, batch.music, batch.group, *batch[3:])
            return self.row_losses(block).sum() + self.row_losses(block.turned()).sum()

        index = torch.arange(len(batch.video), device=batch.video.device)[rows]
        if self.chunk_size is None:
            sums = [losses(index)]
        else:
            parts = torch.split(index, self.chunk_size)
            sums = [checkpoint(losses, part, use_reentrant=False) for part in parts]
        total = 0.5 * torch.stack(sums).sum() / len(batch.video)
        return LossParts(total, {self.name: total.detach()})


_TURNED = {
    "cross": "cross_back",
    "cross_back": "cross",
    "within": "other_within",
    "other_within": "within",
    "frozen": "other_frozen",
    "other_frozen": "frozen",
    "diagonal": "diagonal",
    "same": "same",
}
"""Matrix of an anchor -> the same matrix of its partner."""


def _connectivity(before: Tensor) -> Tensor:
    mean = before @ before.mean(dim=0) - before.square().sum(dim=1) / len(before)
    spread = mean.amax() - mean.amin()
    # Two items have the same connectivity, up to rounding that must not be scaled to [0, 1].
    return torch.where(spread > FLAT, (mean - mean.amin()) / spread.clamp_min(FLAT), 0.0)


def check_chunk(chunk_size: int | None) -> None:
    """Raise `InputError` unless the block size is None or at least 1."""
    if chunk_size is not None and not (isinstance(chunk_size, int) and chunk_size >= 1):
        raise InputError(f"chunk_size must be an integer from 1, or None for one block, got {chunk_size!r}")
