"""Batched torch versions of `features.pooling.pool` and `features.scaling.apply`."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from reelscore.features.pooling import FLOOR, LAGS, QUANTILES, VARIES
from reelscore.features.scaling import CLIP


def standardised(values: Tensor, center: Tensor, scale: Tensor) -> Tensor:
    """Standardise the columns of (..., D) and clip to CLIP."""
    return (values - center).div_(scale).clamp_(-CLIP, CLIP)


def mapped(pooled: Tensor, knots: Tensor, scores: Tensor) -> Tensor:
    """Map the columns of (B, P) as `features.scaling.apply` does."""
    columns = pooled.T.contiguous()
    index = torch.searchsorted(knots[:, 1:-1].contiguous(), columns, right=True)
    low, high = knots.gather(1, index), knots.gather(1, index + 1)
    below, above = scores.gather(1, index), scores.gather(1, index + 1)
    width = high - low
    share = ((columns - low) / torch.where(width > 0, width, 1.0)).clamp_(0, 1)
    return (below + (above - below) * share).T.contiguous()


def pooled(sequence: Tensor, mask: Tensor, num_statistics: int) -> Tensor:
    """Pool sequences (B, T, D), zero where the mask is False, as `features.pooling.pool` does."""
    rows = sequence.transpose(1, 2).contiguous()
    real = mask[:, None, :]
    count = mask.sum(dim=1, keepdim=True).to(rows.dtype)
    mean = rows.sum(dim=2) / count
    if num_statistics == 1:
        return mean
    centred = (rows - mean[:, :, None]).mul_(real)
    deviation = (centred.square().sum(dim=2) / count).sqrt_()
    if num_statistics == 2:
        return torch.cat([mean, deviation], dim=1)
    steps = centred.diff(dim=2).mul_(real[:, :, 1:])
    roughness = (steps.square_().sum(dim=2) / (count - 1).clamp_min(1)).sqrt_()
    varies = deviation > VARIES * (mean.abs() + FLOOR)
    centred.div_(torch.where(varies, deviation, math.inf)[:, :, None])
    skewness = (centred.square() * centred).sum(dim=2) / count
    correlations = [
        torch.einsum("bdt,bdt->bd", centred[:, :, lag:], centred[:, :, :-lag]) / count
        if lag < rows.shape[2]
        else torch.zeros_like(mean)
        for lag in LAGS
    ]
    quantiles = _quantiles(rows, real, count)
    return torch.cat([mean, deviation, *quantiles, roughness, skewness, *correlations], dim=1)


def _quantiles(rows: Tensor, real: Tensor, count: Tensor) -> list[Tensor]:
    rising = _sorted(rows.masked_fill(~real, math.inf))
    quantiles = []
    for share in QUANTILES:
        position = share * (count - 1)
        low = position.long()
        high = torch.minimum(low + 1, count.long() - 1)
        below, above = (
            rising.gather(2, at[:, :, None].expand(-1, rows.shape[1], 1))[:, :, 0] for at in (low, high)
        )
        quantiles.append(below + (above - below) * (position - low))
    return quantiles


def _sorted(rows: Tensor) -> Tensor:
    """Sort along the last dimension."""
    if rows.device.type == "cpu" and not rows.requires_grad:
        # NumPy is ten times as fast: torch also returns the indices.
        return torch.from_numpy(np.sort(rows.numpy(), axis=-1))
    return rows.sort(dim=-1).values
