"""Interface of all losses, and the checks of their inputs.

`PairLoss.forward` checks a batch and scales each row to length 1. A subclass computes its loss from the `PairBatch`.
Most losses are means over anchors: see `row_loss`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, SupportsFloat

import torch
from torch import Tensor, nn

from reelscore.errors import InputError

from .similarity import check_device, describe, frozen_directions, unit_rows, working_dtype


@dataclass(frozen=True, slots=True, eq=False)
class LossParts:
    """A loss and its terms.

    Attributes
    ----------
    total : Tensor, scalar
        The value to differentiate.
    parts : Mapping[str, Tensor]
        The terms by name, without their weights, for logging. A loss of one term has it as "inter". Scalars without
        gradient.
    """

    total: Tensor
    parts: Mapping[str, Tensor]


class PairBatch(NamedTuple):
    """A checked batch.

    Attributes
    ----------
    video, music : Tensor, shape (B, D)
        Rows of norm 1; row i of both is pair i.
    group : Tensor of int, shape (B,), or None
    video_frozen, music_frozen : Tensor, shape (B, P), or None
        Unit rows of the frozen features (`similarity.frozen_directions`), or None if the loss does not need them.
    """

    video: Tensor
    music: Tensor
    group: Tensor | None = None
    video_frozen: Tensor | None = None
    music_frozen: Tensor | None = None


class PairLoss(nn.Module):
    """Base class of all losses on a batch of pairs."""

    @property
    def needs(self) -> frozenset[str]:
        """The modalities ("video", "music") whose frozen features the loss reads with its current weights."""
        return frozenset()

    @property
    def temperature(self) -> float | None:
        """Current τ; None for a loss without one."""
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
            Row i of both is pair i. Only directions matter; norms must lie between 1e-15 and 1e15. One side may be of
            half and the other of single precision.
        video_features, music_features : Tensor, shape (B, T, D') or (B, P)
            The frozen features, standardised by column, as sequences or pooled. Only for losses that name the
            modality in `needs`.
        video_mask, music_mask : Tensor of bool, shape (B, T), optional
            True for real segments.
        group : Tensor of int, shape (B,), optional
            Items with the same label are never negatives of each other. By default each item has its own.

        Returns
        -------
        LossParts
            In single precision for embeddings of half precision, also inside autocast. The gradient has the dtype of
            the embeddings.

        Raises
        ------
        InputError
            If shapes, dtypes or devices differ, a value is not finite, an embedding is zero, needed features are
            missing, or there is no negative.
        """
        check_pairs(video_embeddings, music_embeddings, group)
        with without_autocast(video_embeddings):
            video = unit_rows(video_embeddings, what="video_embeddings")
            music = unit_rows(music_embeddings, what="music_embeddings")
            return self.compute(
                PairBatch(
                    video,
                    music,
                    group,
                    self._frozen("video", video_features, video_mask, video),
                    self._frozen("music", music_features, music_mask, music),
                )
            )

    def _frozen(self, name: str, features: Tensor | None, mask: Tensor | None, rows: Tensor) -> Tensor | None:
        if name not in self.needs:
            return None
        if features is None:
            raise InputError(
                f"{type(self).__name__} needs {name}_features; pass them, or choose a loss that does not need them "
                "(InterIntraLoss with intra_weight 0)"
            )
        return checked_directions(features, mask, rows, what=f"{name}_features", mask_what=f"{name}_mask")

    def compute(self, batch: PairBatch) -> LossParts:
        """Return the loss of a checked batch. Subclasses implement it."""
        raise NotImplementedError


def check_number(name: str, value: float, *, low: float = 0.0, high: float = math.inf) -> float:
    """Return a parameter of a loss as a float; raise `InputError` unless it is finite and in [low, high]."""
    if not (isinstance(value, SupportsFloat) and math.isfinite(value) and low <= value <= high):
        raise InputError(f"{name} must be a finite number in [{low}, {high}], got {value!r}")
    return float(value)


def checked_directions(
    features: Tensor, mask: Tensor | None, rows: Tensor, *, what: str, mask_what: str
) -> Tensor:
    """Return the `frozen_directions` (B, P) of the items of `rows` (B, D), in the dtype of `rows`."""
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
    """Raise `InputError` unless the tensors pair up and some two pairs are of different groups."""
    check_tensors(one, two, group, names=names)
    if len(one) < 2:
        raise InputError(f"a batch needs at least two pairs to have a negative, got {len(one)}")
    if group is not None and bool((group == group[0]).all()):
        raise InputError(
            f"all {len(group)} pairs are of one group, so there is no negative; "
            "build batches from several groups"
        )


def check_tensors(
    one: Tensor,
    two: Tensor,
    group: Tensor | None,
    *,
    names: tuple[str, str] = ("video_embeddings", "music_embeddings"),
) -> None:
    """Raise `InputError` unless the embeddings and the group labels have matching shapes, dtypes and devices."""
    both, got = " and ".join(names), f"got {describe(one)} and {describe(two)}"
    if not all(isinstance(values, Tensor) and values.is_floating_point() for values in (one, two)):
        raise InputError(
            f"{both} must be tensors of floating-point numbers, {got}; "
            "convert them with torch.as_tensor and .float()"
        )
    if one.ndim != 2 or one.shape != two.shape:
        raise InputError(f"{both} must both have shape (B, D), got {tuple(one.shape)} and {tuple(two.shape)}")
    if working_dtype(one.dtype) != working_dtype(two.dtype):
        raise InputError(f"{both} must be of one dtype, {got}; convert one of them with .to(dtype)")
    check_device(two, one, what=names[1])
    if group is None:
        return
    if not isinstance(group, Tensor) or group.shape != one.shape[:1] or group.is_floating_point():
        raise InputError(
            f"group must hold one integer for each of the {len(one)} pairs, a tensor of shape ({len(one)},), "
            f"got {describe(group)}; convert a list or an array with torch.as_tensor(group)"
        )
    check_device(group, one, what="group")


def without_autocast(values: Tensor) -> torch.autocast:
    """Return a context that disables autocast on the device of the values."""
    # Exponentials of cosines over a temperature, summed over a batch, overflow in half precision.
    return torch.autocast(values.device.type, enabled=False)
