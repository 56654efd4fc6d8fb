"""Vectors and group labels enter; rows whose products are cosines, and masks over a batch, leave.

What every loss makes of its inputs is here: the directions of embeddings ("after"), those of the pooled and centred
frozen features ("before"), and who shares a group with whom.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reelscore.errors import InputError

_FLAT = 1e-5  # below this share of the largest row, what is left after centring is rounding noise


def unit_rows(embeddings: Tensor, *, what: str) -> Tensor:
    """Scale every row to length 1, in single precision where the rows are of half precision.

    Parameters
    ----------
    embeddings : Tensor, shape (B, D)
        Finite, no row of zeros.
    what : str
        Name for the error message, such as ``"video_embeddings"``.

    Returns
    -------
    Tensor, shape (B, D)

    Raises
    ------
    InputError
        When the shape is another, a value is not finite, or a row has no direction.
    """
    if embeddings.ndim != 2 or 0 in embeddings.shape:
        raise InputError(f"{what} must have shape (B, D), got {tuple(embeddings.shape)}")
    rows = at_least_single(embeddings)  # lengths overflow in half precision
    norms: Tensor = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    smallest, largest = torch.stack(torch.aminmax(norms.detach())).tolist()
    if not (smallest > 0 and largest < float("inf")):  # NaN fails both
        column = norms.detach()[:, 0]
        row = _first(~torch.isfinite(column) | (column == 0))
        raise InputError(
            f"{what} must be finite and have no row of zeros, lengths from 1e-15 to 1e15; row {row} has length "
            f"{float(column[row])}: look for NaN features, too high a learning rate, or a tower whose output died"
        )
    return rows / norms


def pooled_features(
    features: Tensor, mask: Tensor | None = None, *, what: str = "features", mask_what: str = "mask"
) -> Tensor:
    """Describe each frozen feature sequence by its mean and its deviation over time.

    Parameters
    ----------
    features : Tensor, shape (B, T, D) or (B, P)
        Two axes mean that the features are pooled already; they come back so.
    mask : Tensor of bool, shape (B, T), optional
        True for real rows; what stands in the other rows does not matter. Without it all rows are real.
    what, mask_what : str
        Names for the error message, such as ``"video_features"``.

    Returns
    -------
    Tensor, shape (B, 2 D), or (B, D) where T is 1 and nothing can deviate
        In single precision where the features are of half precision.

    Raises
    ------
    InputError
        When the features have another shape or are whole numbers, the mask does not go with them or is on another
        device, or an item has no real row.
    """
    if not (isinstance(features, Tensor) and features.is_floating_point()):
        raise InputError(
            f"{what} must be a tensor of floating-point numbers, got {told(features)}; "
            "torch.as_tensor and .float() make it one"
        )
    if features.ndim not in (2, 3) or 0 in features.shape:
        raise InputError(
            f"{what} must have shape (B, T, D) or (B, P) with no axis of length 0, got {tuple(features.shape)}"
        )
    if features.ndim == 2:
        if mask is not None:
            raise InputError(
                f"{mask_what} says which rows of a sequence (B, T, D) are real, but {what} are pooled already, "
                f"got {tuple(features.shape)}; pass the sequences or leave the mask out"
            )
        return at_least_single(features)
    features = at_least_single(features)  # squares and sums over time overflow in half precision
    if mask is None:
        mean = features.mean(dim=1)
        if features.shape[1] == 1:
            return mean
        deviation = (features - mean[:, None]).square_().mean(dim=1).sqrt_()
        return torch.cat([mean, deviation], dim=1)
    if not isinstance(mask, Tensor) or mask.shape != features.shape[:2] or mask.dtype != torch.bool:
        raise InputError(
            f"{mask_what} must be a tensor of bool of shape {tuple(features.shape[:2])}, as {what} have shape "
            f"{tuple(features.shape)}, got {told(mask)}"
        )
    check_device(mask, features, what=mask_what)
    count = mask.sum(dim=1, keepdim=True).to(features.dtype)
    if not bool((count > 0).all()):
        raise InputError(
            f"row {int(count[:, 0].argmin())} of {mask_what} has no real segment; drop that item"
        )
    hidden = ~mask[:, :, None]
    mean = features.masked_fill(hidden, 0.0).sum(dim=1) / count
    if features.shape[1] == 1:
        return mean
    deviation = ((features - mean[:, None]).masked_fill(hidden, 0.0).square_().sum(dim=1) / count).sqrt_()
    return torch.cat([mean, deviation], dim=1)


@torch.no_grad()
def frozen_directions(
    features: Tensor, mask: Tensor | None = None, *, what: str, mask_what: str = "mask"
) -> Tensor:
    """Pool the frozen features, centre them over the batch and scale to length 1: S0 = Y Yᵀ.

    Parameters
    ----------
    features : Tensor, shape (B, T, D) or (B, P)
    mask : Tensor of bool, shape (B, T), optional
    what, mask_what : str
        Names for the error message.

    Returns
    -------
    Y : Tensor, shape (B, P)
        Rows of length 1; a row that lies on the batch's mean has no direction and stays zero, so that its
        similarity to every other is 0. No gradient: the encoders are frozen.

    Raises
    ------
    InputError
        When a real value is not finite, and as `pooled_features`.
    """
    pooled = pooled_features(features, mask, what=what, mask_what=mask_what)
    centred = pooled - pooled.mean(dim=0)
    norms = torch.linalg.vector_norm(centred, dim=1, keepdim=True)
    if not bool(torch.isfinite(norms).all()):
        row = _first(~torch.isfinite(torch.linalg.vector_norm(pooled, dim=1)))
        found = "nan" if bool(pooled[row].isnan().any()) else "inf, or numbers whose squares are"
        raise InputError(f"{what} must be finite; row {row} holds {found}: clean the features of that item")
    floor = _FLAT * torch.linalg.vector_norm(pooled, dim=1).max()
    return torch.where(norms > floor, centred / norms.clamp_min(torch.finfo(norms.dtype).tiny), 0.0)


def told(value: object) -> str:
    """Return what came, for an error message: dtype and shape of a tensor, the type of anything else."""
    return f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__


def check_device(values: object, beside: Tensor, *, what: str) -> None:
    """Raise `InputError` where a tensor is on another device than what it shall meet."""
    if isinstance(values, Tensor) and values.device != beside.device:
        raise InputError(
            f"{what} must be on {beside.device} as the rest, got {values.device}; move them with .to(device)"
        )


def at_least_single(values: Tensor) -> Tensor:
    """Return values of half precision in single precision, others as they are."""
    return values.to(working_dtype(values.dtype))


def working_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return what a loss works in where it is given a dtype: double precision stays, all below becomes single."""
    return dtype if dtype == torch.float64 else torch.float32


def same_group(group: Tensor) -> Tensor:
    """Return the (B, B) mask of pairs of items in one group (B,); every item is in its own."""
    return group[:, None] == group[None, :]


def _first(bad: Tensor) -> int:
    return int(bad.to(torch.uint8).argmax())
