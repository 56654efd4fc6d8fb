"""A block of anchors enters with the whole batch beside it, what each anchor costs leaves.

Most losses are a mean over anchors in both directions. Such a loss need only say what one block of anchors costs
(`RowLoss.row_losses`), out of the tables of cosines that it asks for (`Rows`); so a batch of any size can be worked off
in blocks.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Literal, SupportsFloat

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from reelscore.errors import InputError

from .base import LossParts, PairBatch, PairLoss

Groups = Literal["negatives-masked", "positives"]

LOWEST_LEARNED_TEMPERATURE = 0.01
"""A learnable temperature stops here, as in CLIP: below it the gradient comes from one pair alone."""


class TemperedLoss(PairLoss):
    """A `PairLoss` whose logits are cosines over a temperature, fixed or learned as log(1/τ).

    Parameters
    ----------
    temperature : float
        τ, positive; where training starts when it is learnable.
    learnable : bool
        Whether log(1/τ) is a parameter. It is then kept at τ >= 0.01.
    groups : {"negatives-masked", "positives"}
        What the other items of an item's own group are: left out, or further positives.

    Raises
    ------
    InputError
        When the temperature is out of range or `groups` is neither of the two.
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
        log_scale = torch.tensor(-math.log(temperature))
        if learnable:
            self.log_scale = nn.Parameter(log_scale)
        else:
            self.register_buffer("log_scale", log_scale)

    @property
    def temperature(self) -> float:
        """τ as it stands now."""
        return 1.0 / float(self.scale().detach())

    def scale(self) -> Tensor:
        """Return 1/τ."""
        if self.learnable:
            # The parameter itself is held, as in CLIP: clamped in the graph it would have no gradient to come back by.
            # By `data`, as there too: a term that saw the parameter before may still want its gradient.
            with torch.no_grad():
                self.log_scale.data.clamp_(max=-math.log(LOWEST_LEARNED_TEMPERATURE))
        return self.log_scale.exp()


class Rows:
    """Some anchors of one modality against the whole batch; each table is computed when it is asked for.

    Attributes
    ----------
    index : Tensor of int, shape (b,)
        The anchors' places in the batch.
    """

    def __init__(
        self,
        index: Tensor,
        anchors: Tensor,
        others: Tensor,
        group: Tensor | None,
        anchors_before: Tensor | None,
        others_before: Tensor | None,
    ) -> None:
        self.index = index
        self._anchors, self._others, self._group = anchors, others, group
        self._anchors_before, self._others_before = anchors_before, others_before

    @cached_property
    def cross(self) -> Tensor:
        """Cosines of the anchors with the other modality (b, B)."""
        return F.linear(self._anchors[self.index], self._others)

    @cached_property
    def back(self) -> Tensor:
        """Cosines of the anchors' counterparts with the anchors' modality (b, B)."""
        return F.linear(self._others[self.index], self._anchors)

    @cached_property
    def own(self) -> Tensor:
        """Cosines of the anchors inside their modality (b, B)."""
        return F.linear(self._anchors[self.index], self._anchors)

    @cached_property
    def other(self) -> Tensor:
        """Cosines of the anchors' counterparts inside theirs (b, B)."""
        return F.linear(self._others[self.index], self._others)

    @cached_property
    def own_before(self) -> Tensor:
        """Frozen cosines of the anchors inside their modality (b, B)."""
        assert self._anchors_before is not None
        return F.linear(self._anchors_before[self.index], self._anchors_before)

    @cached_property
    def other_before(self) -> Tensor:
        """Frozen cosines of the anchors' counterparts inside theirs (b, B)."""
        assert self._others_before is not None
        return F.linear(self._others_before[self.index], self._others_before)

    @cached_property
    def connectivity(self) -> tuple[Tensor, Tensor]:
        """Mean frozen cosine of every item with the others, scaled to [0, 1] over the batch: own, other (B,)."""
        assert self._anchors_before is not None
        assert self._others_before is not None
        return _connectivity(self._anchors_before), _connectivity(self._others_before)

    @cached_property
    def itself(self) -> Tensor:
        """True where the column is the anchor's own place (b, B)."""
        return self.index[:, None] == torch.arange(len(self._anchors), device=self.index.device)

    @cached_property
    def same(self) -> Tensor:
        """True where the column is of the anchor's group, itself always (b, B)."""
        return self.itself if self._group is None else self._group[self.index][:, None] == self._group

    def at_home(self, table: Tensor) -> Tensor:
        """Return what a table (b, B) holds at the anchors' own places (b,)."""
        return table.gather(1, self.index[:, None])[:, 0]

    def without_kin(self, table: Tensor) -> Tensor:
        """Return a table (b, B) with −inf at the other items of the anchor's group."""
        return table if self._group is None else table.masked_fill(self.same & ~self.itself, -math.inf)


class RowLoss(TemperedLoss):
    """A mean over anchors, in both directions: L = ½ mean_i l(v_i) + ½ mean_i l(m_i).

    Parameters
    ----------
    chunk_size : int, optional
        Anchors in a block. Blocks are computed again in the backward pass, so that memory is O(B · chunk_size)
        in place of O(B²). Without it all anchors stand in one block.
    temperature, learnable, groups
        As for `TemperedLoss`.
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
        """Return the loss of each anchor of a block, shape (b,)."""
        raise NotImplementedError

    def of(self, batch: PairBatch) -> LossParts:
        """Return the mean over all anchors of both modalities."""
        there = self._mean(batch.video, batch.music, batch.group, batch.video_before, batch.music_before)
        back = self._mean(batch.music, batch.video, batch.group, batch.music_before, batch.video_before)
        total = 0.5 * (there + back)
        return LossParts(total, {self.name: total.detach()})

    def _mean(
        self,
        anchors: Tensor,
        others: Tensor,
        group: Tensor | None,
        anchors_before: Tensor | None,
        others_before: Tensor | None,
    ) -> Tensor:
        def block(index: Tensor) -> Tensor:
            rows = Rows(index, anchors, others, group, anchors_before, others_before)
            return self.row_losses(rows).sum()

        places = torch.arange(len(anchors), device=anchors.device)
        if self.chunk_size is None:
            return block(places) / len(anchors)
        sums = [
            checkpoint(block, index, use_reentrant=False) for index in torch.split(places, self.chunk_size)
        ]
        return torch.stack(sums).sum() / len(anchors)


def _connectivity(before: Tensor) -> Tensor:
    mean = before @ before.mean(dim=0) - before.square().sum(dim=1) / len(before)
    spread = mean.amax() - mean.amin()
    return (mean - mean.amin()) / spread.clamp_min(torch.finfo(mean.dtype).eps)


def check_chunk(chunk_size: int | None) -> None:
    """Raise `InputError` unless the size of a block is None or at least 1."""
    if chunk_size is not None and not (isinstance(chunk_size, int) and chunk_size >= 1):
        raise InputError(
            f"chunk_size must be a whole number from 1, or None for one block, got {chunk_size!r}"
        )
