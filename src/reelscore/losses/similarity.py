"""Unit rows of embeddings and frozen features."""

from __future__ import annotations

import torch
from torch import Tensor

from reelscore.errors import InputError

FLAT = 1e-5
"""Rounding noise: a centred row below this share of the largest row, or a difference of mean cosines below it."""


def unit_rows(embeddings: Tensor, *, what: str) -> Tensor:
    """Scale every row to norm 1; half precision becomes single.

    Parameters
    ----------
    embeddings : Tensor, shape (B, D)
        Finite, without a row of zeros.
    what : str
        Name in the error message, such as ``"video_embeddings"``.

    Returns
    -------
    Tensor, shape (B, D)

    Raises
    ------
    InputError
        If the shape is wrong, a value is not finite, or a row is zero.
    """
    if embeddings.ndim != 2 or 0 in embeddings.shape:
        raise InputError(f"{what} must have shape (B, D), got {tuple(embeddings.shape)}")
    rows = at_least_single(embeddings)  # lengths overflow in half precision
    norms: Tensor = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    if values_known():
        smallest, largest = torch.stack(torch.aminmax(norms.detach())).tolist()
        if not (smallest > 0 and largest < float("inf")):  # NaN fails both
            column = norms.detach()[:, 0]
            row = _first(~torch.isfinite(column) | (column == 0))
            raise InputError(
                f"{what} must be finite and have no row of zeros, lengths from 1e-15 to 1e15; row {row} has length "
                f"{float(column[row])}; look for NaN features, too high a learning rate, or a tower with zero output"
            )
    return rows / norms


def pooled_features(
    features: Tensor, mask: Tensor | None = None, *, what: str = "features", mask_what: str = "mask"
) -> Tensor:
    """Pool each frozen feature sequence to its mean and standard deviation over time.

    Parameters
    ----------
    features : Tensor, shape (B, T, D) or (B, P)
        Features with two axes are pooled already and returned as they are.
    mask : Tensor of bool, shape (B, T), optional
        True for real rows; other rows are ignored. By default all rows are real.
    what, mask_what : str
        Names in the error message, such as ``"video_features"``.

    Returns
    -------
    Tensor, shape (B, 2 D), or (B, D) if T is 1
        Half precision becomes single.

    Raises
    ------
    InputError
        If the shape or dtype of the features or the mask is wrong, they are on different devices, or an item has no
        real row.
    """
    if not (isinstance(features, Tensor) and features.is_floating_point()):
        raise InputError(
            f"{what} must be a tensor of floating-point numbers, got {describe(features)}; "
            "convert it with torch.as_tensor and .float()"
        )
    if features.ndim not in (2, 3) or 0 in features.shape:
        raise InputError(
            f"{what} must have shape (B, T, D) or (B, P) with no axis of length 0, got {tuple(features.shape)}"
        )
    if features.ndim == 2:
        if mask is not None:
            raise InputError(
                f"{mask_what} marks the real rows of sequences (B, T, D), but {what} are pooled already, "
                f"got {tuple(features.shape)}; pass the sequences, or omit the mask"
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
            f"{tuple(features.shape)}, got {describe(mask)}"
        )
    check_device(mask, features, what=mask_what)
    count = mask.sum(dim=1, keepdim=True).to(features.dtype)
    if values_known() and not bool((count > 0).all()):
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
    """Return the unit rows Y of pooled frozen features, centred over the batch: S0 = Y Yᵀ.

    Parameters
    ----------
    features : Tensor, shape (B, T, D) or (B, P)
    mask : Tensor of bool, shape (B, T), optional
    what, mask_what : str
        Names in the error message.

    Returns
    -------
    Y : Tensor, shape (B, P)
        Rows of norm 1. A row equal to the batch mean has no direction: it stays 0, and so are its similarities. No
        gradient, because the encoders are frozen.

    Raises
    ------
    InputError
        If a real value is not finite, and as `pooled_features`.
    """
    pooled = pooled_features(features, mask, what=what, mask_what=mask_what)
    centred = pooled - pooled.mean(dim=0)
    norms = torch.linalg.vector_norm(centred, dim=1, keepdim=True)
    if values_known() and not bool(torch.isfinite(norms).all()):
        row = _first(~torch.isfinite(torch.linalg.vector_norm(pooled, dim=1)))
        value = "nan" if bool(pooled[row].isnan().any()) else "inf, or numbers whose squares are"
        raise InputError(f"{what} must be finite; row {row} holds {value}; clean the features of that item")
    floor = FLAT * torch.linalg.vector_norm(pooled, dim=1).max()
    return torch.where(norms > floor, centred / norms.clamp_min(torch.finfo(norms.dtype).tiny), 0.0)


def values_known() -> bool:
    """Return whether values can be read. torch.compile knows shapes alone, and a read would break its graph."""
    return not torch.compiler.is_compiling()


def describe(value: object) -> str:
    """Return the dtype and shape of a tensor, or the type of another value, for an error message."""
    return f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__


def check_device(values: object, reference: Tensor, *, what: str) -> None:
    """Raise `InputError` if a tensor is on another device than the reference."""
    if isinstance(values, Tensor) and values.device != reference.device:
        raise InputError(
            f"{what} must be on {reference.device} like the others, got {values.device}; move them with .to(device)"
        )


def at_least_single(values: Tensor) -> Tensor:
    """Convert half precision to single."""
    return values.to(working_dtype(values.dtype))


def working_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype that a loss computes in: double stays, lower precision becomes single."""
    return dtype if dtype == torch.float64 else torch.float32


def _first(mask: Tensor) -> int:
    return int(mask.to(torch.uint8).argmax())
