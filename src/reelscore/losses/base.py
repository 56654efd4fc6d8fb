"""Embeddings and frozen features of a batch of pairs enter at one door; what a loss makes of them leaves.

Every loss of this room is called alike. The door (`PairLoss.forward`) checks the batch and scales each row to
length 1; a loss then only says what it does with a `PairBatch`. Most are means over anchors: see `rows`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, SupportsFloat

import torch
from torch import Tensor, nn

from reelscore.errors import InputError

from .similarity import check_device, frozen_directions, told, unit_rows, working_dtype


@dataclass(frozen=True, slots=True, eq=False)
class LossParts:
    """A loss and what it is made of.

    Attributes
    ----------
    total : Tensor, scalar
        What to differentiate.
    parts : Mapping[str, Tensor]
        The terms by name, for logging: those of the inter-intra loss without their weights; a baseline that is one sum
        has the whole of it as "inter". Scalars without gradient.
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
    """How badly the embeddings of pairs lie: the interface of every loss here."""

    @property
    def needs(self) -> frozenset[str]:
        """Which of "video" and "music" have frozen features that the loss looks at, as it stands now."""
        return frozenset()

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
            Row i of one belongs to row i of the other. Only directions count; lengths lie between 1e-15 and 1e15.
            Half precision may stand beside single.
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
            In single precision where the embeddings are of half precision, inside autocast too; the gradient has their
            dtype.

        Raises
        ------
        InputError
            When shapes, dtypes or devices do not agree, a value is not finite, an embedding is zero, features are
            missing that the loss needs, or there is no negative.
        """
        check_pairs(video_embeddings, music_embeddings, group)
        with without_autocast(video_embeddings):
            video = unit_rows(video_embeddings, what="video_embeddings")
            music = unit_rows(music_embeddings, what="music_embeddings")
            return self.of(
                PairBatch(
                    video,
                    music,
                    group,
                    self._before("video", video_features, video_mask, video),
                    self._before("music", music_features, music_mask, music),
                )
            )

    def _before(self, name: str, features: Tensor | None, mask: Tensor | None, rows: Tensor) -> Tensor | None:
        if name not in self.needs:
            return None
        if features is None:
            raise InputError(
                f"{type(self).__name__} needs {name}_features: pass them, or choose a loss without them"
                " (InterIntraLoss with intra_weight 0)"
            )
        return checked_directions(features, mask, rows, what=f"{name}_features", mask_what=f"{name}_mask")

    def of(self, batch: PairBatch) -> LossParts:
        """Return the loss of a checked batch."""
        raise NotImplementedError


def check_knob(name: str, value: float, *, low: float = 0.0, high: float = math.inf) -> float:
    """Return a loss's number when it is finite and in [low, high], else raise `InputError`."""
    if not (isinstance(value, SupportsFloat) and math.isfinite(value) and low <= value <= high):
        raise InputError(f"{name} must be a finite number in [{low}, {high}], got {value!r}")
    return float(value)


def checked_directions(
    features: Tensor, mask: Tensor | None, rows: Tensor, *, what: str, mask_what: str
) -> Tensor:
    """Return the frozen directions (B, P) of features that describe the items of `rows` (B, D), of their dtype."""
    check_device(features, rows, what=what)
    directions = frozen_directions(features, mask, what=what, mask_what=mask_what)
    if len(directions) != len(rows):
        raise InputError(f"{what} must describe the {len(rows)} items of the batch, got {len(directions)}")
    return directions.to(rows.dtype)


def check_pairs(
    one: Tensor,
    two: Tensor,
    group: Tensor | None,
    *,
    names: tuple[str, str] = ("video_embeddings", "music_embeddings"),
) -> None:
    """Raise `InputError` unless the rows pair up and some pair of rows can be negatives of each other."""
    check_tensors(one, two, group, names=names)
    if len(one) < 2:
        raise InputError(f"a batch needs at least two pairs to have a negative, got {len(one)}")
    if group is not None and bool((group == group[0]).all()):
        raise InputError(
            f"all {len(group)} pairs are of one group, so there is no negative; "
            "draw batches over several groups"
        )


def check_tensors(
    one: Tensor,
    two: Tensor,
    group: Tensor | None,
    *,
    names: tuple[str, str] = ("video_embeddings", "music_embeddings"),
) -> None:
    """Raise `InputError` unless the rows pair up, as tensors of numbers that can be multiplied, and the labels do."""
    both, came = " and ".join(names), f"got {told(one)} and {told(two)}"
    if not all(isinstance(values, Tensor) and values.is_floating_point() for values in (one, two)):
        raise InputError(
            f"{both} must be tensors of floating-point numbers, {came}; "
            "torch.as_tensor and .float() make them such"
        )
    if one.ndim != 2 or one.shape != two.shape:
        raise InputError(f"{both} must both have shape (B, D), got {tuple(one.shape)} and {tuple(two.shape)}")
    if working_dtype(one.dtype) != working_dtype(two.dtype):
        raise InputError(f"{both} must be of one dtype, {came}; convert one of them with .to(dtype)")
    check_device(two, one, what=names[1])
    if group is None:
        return
    if not isinstance(group, Tensor) or group.shape != one.shape[:1] or group.is_floating_point():
        raise InputError(
            f"group must hold one integer for each of the {len(one)} pairs, a tensor of shape ({len(one)},), "
            f"got {told(group)}; torch.as_tensor(group) makes a tensor of a list or an array"
        )
    check_device(group, one, what="group")


def without_autocast(values: Tensor) -> torch.autocast:
    """Return what suspends autocast on the device of the values.

    A loss takes exponentials of cosines over a temperature and adds them up over the batch: in half precision they
    overflow, and what is left of a loss has three digits.
    """
    return torch.autocast(values.device.type, enabled=False)
