"""Embeddings and frozen features of a batch of pairs enter at one door; what a loss makes of them leaves.

Every loss of this room is called alike. The door (`PairLoss.forward`) checks the batch and scales each row to
length 1; a loss then only says what it does with a `PairBatch`. Most are a mean over anchors in both directions and
need only say what one block of anchors costs (`RowLoss`), which lets a batch of any size be worked off in blocks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..errors import InputError
from .similarity import frozen_directions, unit_rows

Groups = Literal["negatives-masked", "positives"]

LOWEST_LEARNED_TEMPERATURE = 0.01
"""A learnable temperature stops here, as in CLIP: below it the gradient comes from one pair alone."""


@dataclass(frozen=True, slots=True, eq=False)
class LossParts:
    """A loss and what it is made of.

    Attributes
    ----------
    total : Tensor, scalar
        What to differentiate.
    parts : Mapping[str, Tensor]
        The unweighted terms by name, for logging. Scalars without gradient.
    """

    total: Tensor
    parts: Mapping[str, Tensor]


class PairBatch(NamedTuple):
    """What has passed the door.

    Attributes
    ----------
    video, music : Tensor, shape (B, D)
        Rows of length 1; row i of one belongs to row i of the other.
    group : Tensor of int, shape (B,), or None
    video_before, music_before : Tensor, shape (B, P), or None
        The frozen features, pooled, centred and of length 1 (`similarity.frozen_directions`).
    """

    video: Tensor
    music: Tensor
    group: Tensor | None = None
    video_before: Tensor | None = None
    music_before: Tensor | None = None


class PairLoss(nn.Module):
    """How badly the embeddings of pairs lie: the interface of every loss here.

    Attributes
    ----------
    needs : frozenset of {"video", "music"}
        The modalities whose frozen features the loss looks at.
    """

    needs: frozenset[str] = frozenset()

    @property
    def temperature(self) -> float | None:
        """τ as it stands now, of a loss that has one."""
        return None

    def forward(
        self,
        video_embeddings: Tensor,
        music_embeddings: Tensor,
        *,
        video_features: Tensor | None = None,
        music_features: Tensor | None = None,
        video_mask: Tensor | None = None,
        music_mask: Tensor | None = None,
        group: Tensor | None = None,
    ) -> LossParts:
        """Return the loss of a batch of pairs.

        Parameters
        ----------
        video_embeddings, music_embeddings : Tensor, shape (B, D)
            Row i of one belongs to row i of the other. Any length but zero: only directions count.
        video_features, music_features : Tensor, shape (B, T, D') or (B, P)
            The frozen features, standardised by column, as sequences or pooled already. Looked at only by
            losses that say so in `needs`.
        video_mask, music_mask : Tensor of bool, shape (B, T), optional
            True for real segments.
        group : Tensor of int, shape (B,), optional
            Items with one label are never negatives of each other. Without it each item is alone.

        Returns
        -------
        LossParts

        Raises
        ------
        InputError
            When shapes do not agree, a value is not finite, an embedding is zero, features are missing that
            the loss needs, or there is no negative.
        """
        check_pairs(video_embeddings, music_embeddings, group)
        size, dtype = len(video_embeddings), video_embeddings.dtype
        return self.of(
            PairBatch(
                unit_rows(video_embeddings, what="video_embeddings"),
                unit_rows(music_embeddings, what="music_embeddings"),
                group,
                self.before("video", video_features, video_mask, size=size, dtype=dtype),
                self.before("music", music_features, music_mask, size=size, dtype=dtype),
            )
        )

    def before(
        self, name: str, features: Tensor | None, mask: Tensor | None, *, size: int, dtype: torch.dtype
    ) -> Tensor | None:
        """Return the frozen directions (B, P) of a modality that the loss looks at, None of another."""
        if name not in self.needs:
            return None
        what = f"{name}_features"
        if features is None:
            raise InputError(
                f"{type(self).__name__} needs {what}: pass them, or choose a loss without them"
                " (InterIntraLoss with intra_weight 0)"
            )
        if len(features) != size:
            raise InputError(f"{what} must describe the {size} items of the batch, got {len(features)}")
        return frozen_directions(features, mask, what=what).to(dtype)

    def of(self, batch: PairBatch) -> LossParts:
        """Return the loss of a checked batch."""
        raise NotImplementedError


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
        if not (math.isfinite(temperature) and temperature > 0 and temperature >= lowest):
            raise InputError(
                f"temperature must be finite, positive and at least {lowest} when it is learnable, "
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
            return self.log_scale.clamp(max=-math.log(LOWEST_LEARNED_TEMPERATURE)).exp()
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
    if chunk_size is not None and chunk_size < 1:
        raise InputError(f"chunk_size must be at least 1, or None for one block, got {chunk_size}")


def check_knob(name: str, value: float, *, low: float = 0.0, high: float = math.inf) -> float:
    """Return a loss's number when it is finite and in [low, high], else raise `InputError`."""
    if not (math.isfinite(value) and low <= value <= high):
        raise InputError(f"{name} must be finite and in [{low}, {high}], got {value!r}")
    return value


def check_pairs(
    video_embeddings: Tensor,
    music_embeddings: Tensor,
    group: Tensor | None,
    *,
    names: tuple[str, str] = ("video", "music"),
) -> None:
    """Raise `InputError` unless the rows pair up and some pair of rows can be negatives of each other."""
    shapes = tuple(video_embeddings.shape), tuple(music_embeddings.shape)
    if len(shapes[0]) != 2 or shapes[0] != shapes[1]:
        raise InputError(
            f"{names[0]}_embeddings and {names[1]}_embeddings must both have shape (B, D), "
            f"got {shapes[0]} and {shapes[1]}"
        )
    if shapes[0][0] < 2:
        raise InputError(f"a batch needs at least two pairs to have a negative, got {shapes[0][0]}")
    if group is None:
        return
    if tuple(group.shape) != shapes[0][:1] or group.is_floating_point():
        raise InputError(
            f"group must hold one integer for each of the {shapes[0][0]} pairs, "
            f"got {group.dtype} {tuple(group.shape)}"
        )
    if bool((group == group[0]).all()):
        raise InputError(
            f"all {len(group)} pairs are of one group, so there is no negative; "
            "draw batches over several groups"
        )
