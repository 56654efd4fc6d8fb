"""Interface of all losses, and the checks of their inputs.

`PairLoss.parts` checks a batch and scales each row to length 1. A subclass computes its loss from the `PairBatch`.
Most losses are means over anchors: see `row_loss`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, SupportsFloat

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reelscore.errors import InputError

from .similarity import check_device, describe, frozen_directions, unit_rows, values_known, working_dtype

Gather = Callable[[Tensor], Tensor]
"""Concatenates tensors of all processes along the first axis, with gradient; such as `distributed.gather_rows`."""

Labels = Sequence[int] | NDArray[np.integer[Any]] | Tensor
"""One integer for each item of a batch."""


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
    """Base class of all losses on a batch of pairs.

    Calling a loss returns a scalar tensor; `parts` takes the same arguments and also returns the terms.
    """

    @property
    def needs(self) -> frozenset[str]:
        """The modalities ("video", "music") whose frozen features the loss reads with its current weights."""
        return frozenset()

    @property
    def temperature(self) -> float | None:
        """Current τ; None for a loss without one."""
        return None

    def forward(self, *args: Any, **arguments: Any) -> Tensor:
        """Return the loss of a batch of pairs, a scalar; arguments as for `parts`."""
        return self.parts(*args, **arguments).total

    def parts(
        self,
        video_embeddings: Tensor,
        music_embeddings: Tensor,
        labels: Labels | None = None,
        *,
        video_features: Tensor | None = None,
        music_features: Tensor | None = None,
        video_mask: Tensor | None = None,
        music_mask: Tensor | None = None,
        group: Labels | None = None,
        rows: slice | None = None,
        gather: Gather | None = None,
    ) -> LossParts:
        """Return the loss of a batch of pairs and its terms.

        Parameters
        ----------
        video_embeddings, music_embeddings : Tensor, shape (B, D)
            Row i of both is pair i. Only directions matter; norms must lie between 1e-15 and 1e15. One side may be of
            half and the other of single precision.
        labels : list, array or Tensor of int, shape (B,), optional
            Items with the same label match each other, so they are never negatives. By default each item has its own
            label. The device does not matter.
        video_features, music_features : Tensor, shape (B, T, D') or (B, P)
            The frozen features, standardised by column, as sequences or pooled. Only for losses that name the
            modality in `needs`.
        video_mask, music_mask : Tensor of bool, shape (B, T), optional
            True for real segments.
        group
            Another name of `labels`.
        rows : slice, optional
            Anchors whose share of the loss is returned; by default the whole loss. The shares of slices that divide the
            batch add up to the loss, and so do their gradients.
        gather : callable, optional
            Exchange with the processes that compute the other slices at the same time. It halves the matrix products of
            `InfoNCE`.

        Returns
        -------
        LossParts
            In double precision for embeddings of double precision, else in single, also inside autocast. The gradient
            has the dtype of the embeddings.

        Raises
        ------
        InputError
            If shapes, dtypes or devices differ, a value is not finite, an embedding is zero, needed features are
            missing, labels are not integers, there is no negative, or `rows` is empty. A loss compiled with
            torch.compile checks shapes, dtypes and devices alone.
        """
        check_tensors(video_embeddings, music_embeddings)
        groups = to_group(labels, group, video_embeddings)
        check_negatives(video_embeddings, groups)
        if rows is not None and not range(len(video_embeddings))[rows]:
            raise InputError(f"rows must select some of the {len(video_embeddings)} pairs, got {rows}")
        with without_autocast(video_embeddings):
            video = unit_rows(video_embeddings, what="video_embeddings")
            music = unit_rows(music_embeddings, what="music_embeddings")
            batch = PairBatch(
                video,
                music,
                groups,
                self._frozen("video", video_features, video_mask, video),
                self._frozen("music", music_features, music_mask, music),
            )
            return self.compute(batch) if rows is None else self.compute_rows(batch, rows, gather)

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

    def compute_rows(
        self,
        batch: PairBatch,
        rows: slice,
        gather: Gather | None = None,  # noqa: ARG002
    ) -> LossParts:
        """Return the share of some anchors; arguments as for `parts`.

        A loss that is a sum over anchors overrides it to compute these anchors alone. This implementation computes the
        whole loss and scales it by the share of the rows.
        """
        whole, size = self.compute(batch), len(batch.video)
        share = len(range(size)[rows]) / size
        return LossParts(whole.total * share, {name: value * share for name, value in whole.parts.items()})


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


def check_negatives(embeddings: Tensor, group: Tensor | None) -> None:
    """Raise `InputError` unless some two items are of different groups."""
    if len(embeddings) < 2:
        raise InputError(f"a batch needs at least two pairs to have a negative, got {len(embeddings)}")
    if group is not None and values_known() and bool((group == group[0]).all()):
        raise InputError(
            f"all {len(group)} pairs are of one group, so there is no negative; "
            "build batches from several groups"
        )


def check_tensors(
    one: Tensor, two: Tensor, *, names: tuple[str, str] = ("video_embeddings", "music_embeddings")
) -> None:
    """Raise `InputError` unless the embeddings have matching shapes, dtypes and devices."""
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


def to_group(labels: Labels | None, group: Labels | None, embeddings: Tensor) -> Tensor | None:
    """Return the labels of the items of a batch, given by one of two names, on the device of the embeddings."""
    if labels is not None and group is not None:
        raise InputError("labels and group are two names of one argument, got both; pass labels alone")
    name, given = ("labels", labels) if group is None else ("group", group)
    if given is None:
        return None
    try:
        values = given if isinstance(given, Tensor) else torch.from_numpy(np.array(given))
    except (TypeError, ValueError):  # strings, objects, rows of unequal length
        values = None
    size = len(embeddings)
    if values is None or values.shape != (size,) or values.is_floating_point() or values.is_complex():
        raise InputError(
            f"{name} must hold one integer for each of the {size} pairs, as a list, an array or a tensor of shape "
            f"({size},), got {describe(given if values is None else values)}; number other labels with "
            "numpy.unique(..., return_inverse=True)"
        )
    return values.to(embeddings.device, torch.int64)


def without_autocast(values: Tensor) -> torch.autocast:
    """Return a context that disables autocast on the device of the values."""
    # Exponentials of cosines over a temperature, summed over a batch, overflow in half precision.
    return torch.autocast(values.device.type, enabled=False)
