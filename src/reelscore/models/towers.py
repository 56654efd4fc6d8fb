"""A batch of feature sequences with masks enters a tower; unit-norm embeddings leave (torch half).

A tower standardises the features by column, describes each sequence by the mean and deviation of its
segments (z), and adds up two paths to the embedding

    e = W z + body(X),        embedding = e / ‖e‖

`forward` holds the same arithmetic in NumPy; the names of parameters are the contract between the two.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from .config import CLIP, NORM_EPSILON, NUM_LAYERS, ModelConfig


class Encoded(NamedTuple):
    """What a tower gives: `embedding` (B, E), rows of length 1, and the standardised `pooled` features (B, 2 D)."""

    embedding: Tensor
    pooled: Tensor


class Tower(nn.Module):
    """One modality's way from features to the embedding.

    Parameters
    ----------
    num_columns : int
        D of the features.
    config : ModelConfig
    """

    center: Tensor
    scale: Tensor
    pooled_center: Tensor
    pooled_scale: Tensor

    def __init__(self, num_columns: int, *, config: ModelConfig) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(num_columns))
        self.register_buffer("scale", torch.ones(num_columns))
        self.register_buffer("pooled_center", torch.zeros(2 * num_columns))
        self.register_buffer("pooled_scale", torch.ones(2 * num_columns))
        self.linear = nn.Linear(2 * num_columns, config.dim) if config.linear else None
        self.body: nn.Module
        if config.tower == "mean":
            self.body = _MeanBody(num_columns, config)
        elif config.tower == "attention":
            self.body = _AttentionBody(num_columns, config)
        else:
            self.body = _TransformerBody(num_columns, config)

    def forward(self, sequence: Tensor, mask: Tensor) -> Encoded:
        """Embed a batch.

        Parameters
        ----------
        sequence : Tensor, shape (B, T, D)
        mask : Tensor of bool, shape (B, T)
            True for real segments; what stands in the others does not matter.

        Returns
        -------
        Encoded
        """
        x = _standardised(sequence, self.center, self.scale)
        if not bool(mask.all()):
            x = x.masked_fill(~mask[:, :, None], 0.0)
        z = _standardised(_mean_and_deviation(x, mask), self.pooled_center, self.pooled_scale)
        e: Tensor = self.body(x, mask, z)
        if self.linear is not None:
            e = e + self.linear(z)
        return Encoded(F.normalize(e, dim=1), z)


class _MeanBody(nn.Module):
    def __init__(self, num_columns: int, config: ModelConfig) -> None:
        super().__init__()
        self.hidden = nn.Linear(2 * num_columns, config.width)
        self.out = nn.Linear(config.width, config.dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor, z: Tensor) -> Tensor:  # noqa: ARG002
        out: Tensor = self.out(self.dropout(F.relu(self.hidden(z))))
        return out


class _AttentionBody(nn.Module):
    def __init__(self, num_columns: int, config: ModelConfig) -> None:
        super().__init__()
        self.hidden = nn.Linear(num_columns, config.width)
        self.attention = nn.Linear(config.width, config.num_heads)
        self.out = nn.Linear(config.width, config.dim)
        self.dropout = nn.Dropout(config.dropout)
        self.positions = config.positions

    def forward(self, x: Tensor, mask: Tensor, z: Tensor) -> Tensor:  # noqa: ARG002
        h = self.hidden(x)
        if self.positions:
            h = h + _positions(mask, h.shape[-1]).to(h.dtype)
        h = F.relu(h)
        scores = self.attention(h).masked_fill(~mask[:, :, None], -math.inf)
        weights = scores.softmax(dim=1)
        num_heads = weights.shape[-1]
        by_head = h.view(*h.shape[:2], num_heads, -1)
        pooled = torch.einsum("bth,bthw->bhw", weights, by_head).flatten(1)
        out: Tensor = self.out(self.dropout(pooled))
        return out


class _TransformerBody(nn.Module):
    def __init__(self, num_columns: int, config: ModelConfig) -> None:
        super().__init__()
        self.hidden = nn.Linear(num_columns, config.width)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(NUM_LAYERS))
        self.norm = nn.LayerNorm(config.width, eps=NORM_EPSILON)
        self.out = nn.Linear(config.width, config.dim)
        self.dropout = nn.Dropout(config.dropout)
        self.positions = config.positions

    def forward(self, x: Tensor, mask: Tensor, z: Tensor) -> Tensor:  # noqa: ARG002
        h = self.hidden(x)
        if self.positions:
            h = h + _positions(mask, h.shape[-1]).to(h.dtype)
        h = self.dropout(h)
        for layer in self.layers:
            h = layer(h, mask)
        h = self.norm(h).masked_fill(~mask[:, :, None], 0.0)
        out: Tensor = self.out(h.sum(dim=1) / mask.sum(dim=1, keepdim=True))
        return out


class _Layer(nn.Module):
    """Pre-norm self-attention and feed-forward (Xiong et al., arXiv 2002.04745)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.width
        self.num_heads = config.num_heads
        self.norm_attention = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.qkv = nn.Linear(width, 3 * width)
        self.joined = nn.Linear(width, width)
        self.norm_feed = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.feed_in = nn.Linear(width, 2 * width)
        self.feed_out = nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, h: Tensor, mask: Tensor) -> Tensor:
        q, k, v = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for part in self.qkv(self.norm_attention(h)).chunk(3, dim=-1)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :])
        h = h + self.dropout(self.joined(mixed.transpose(1, 2).flatten(2)))
        fed = self.feed_out(self.dropout(F.relu(self.feed_in(self.norm_feed(h)))))
        out: Tensor = h + self.dropout(fed)
        return out


def _standardised(values: Tensor, center: Tensor, scale: Tensor) -> Tensor:
    return ((values - center) / scale).clamp_(-CLIP, CLIP)


def _mean_and_deviation(x: Tensor, mask: Tensor) -> Tensor:
    """Describe standardised sequences (B, T, D), zero where the mask is False, by (B, 2 D)."""
    count = mask.sum(dim=1, keepdim=True).to(x.dtype)
    mean = x.sum(dim=1) / count
    if x.shape[1] == 1:
        return torch.cat([mean, torch.zeros_like(mean)], dim=1)
    spread = (x - mean[:, None]).mul_(mask[:, :, None]).square_().sum(dim=1)
    return torch.cat([mean, (spread / count).sqrt_()], dim=1)


def _positions(mask: Tensor, width: int) -> Tensor:
    """Sines and cosines of each segment's place in its source (B, T, width); a source spans [0, 1)."""
    count = mask.sum(dim=1, keepdim=True)
    place = (torch.arange(mask.shape[1], device=mask.device) + 0.5) / count
    angles = math.pi * place[:, :, None] * torch.arange(1, width // 2 + 1, device=mask.device)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
