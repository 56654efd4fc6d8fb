"""Backbones of a tower's networks: MLP, attention pooling and transformer."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from reelscore.models.config import NORM_EPSILON, NUM_LAYERS, ModelConfig


class MeanBackbone(nn.Module):
    """An MLP of two layers on the pooled features."""

    def __init__(self, num_columns: int, config: ModelConfig) -> None:
        super().__init__()
        self.hidden = nn.Linear(config.num_pooled(num_columns), config.width)
        self.out = nn.Linear(config.width, config.dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor | None, mask: Tensor | None, z: Tensor) -> Tensor:  # noqa: ARG002
        """Return (B, dim) from the pooled features z (B, P)."""
        out: Tensor = self.out(self.dropout(F.relu(self.hidden(z))))
        return out


class AttentionBackbone(nn.Module):
    """A layer on each segment, and attention pooling over time."""

    def __init__(self, num_columns: int, config: ModelConfig) -> None:
        super().__init__()
        self.hidden = nn.Linear(num_columns, config.width)
        self.attention = nn.Linear(config.width, config.num_heads)
        self.out = nn.Linear(config.width, config.dim)
        self.dropout = nn.Dropout(config.dropout)
        self.positions = config.positions

    def forward(self, x: Tensor, mask: Tensor, z: Tensor) -> Tensor:  # noqa: ARG002
        """Return (B, dim) from the segments x (B, T, D) with their mask."""
        h = F.relu(_tokens(self.hidden(x), mask, positions=self.positions))
        scores = self.attention(h).masked_fill(~mask[:, :, None], -math.inf)
        weights = scores.softmax(dim=1)
        num_heads = weights.shape[-1]
        by_head = h.view(*h.shape[:2], num_heads, -1)
        pooled = torch.einsum("bth,bthw->bhw", weights, by_head).flatten(1)
        out: Tensor = self.out(self.dropout(pooled))
        return out


class TransformerBackbone(nn.Module):
    """A transformer over the segments, and mean pooling over time."""

    def __init__(self, num_columns: int, config: ModelConfig) -> None:
        super().__init__()
        self.hidden = nn.Linear(num_columns, config.width)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(NUM_LAYERS))
        self.norm = nn.LayerNorm(config.width, eps=NORM_EPSILON)
        self.out = nn.Linear(config.width, config.dim)
        self.dropout = nn.Dropout(config.dropout)
        self.positions = config.positions

    def forward(self, x: Tensor, mask: Tensor, z: Tensor) -> Tensor:  # noqa: ARG002
        """Return (B, dim) from the segments x (B, T, D) with their mask."""
        h = self.dropout(_tokens(self.hidden(x), mask, positions=self.positions))
        for layer in self.layers:
            h = layer(h, mask)
        h = self.norm(h).masked_fill(~mask[:, :, None], 0.0)
        out: Tensor = self.out(h.sum(dim=1) / mask.sum(dim=1, keepdim=True))
        return out


def _tokens(h: Tensor, mask: Tensor, *, positions: bool) -> Tensor:
    """Add positional encodings to the hidden layer's output (B, T, width), if the tower has them."""
    return h + _positions(mask, h.shape[-1]).to(h.dtype) if positions else h


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


def _positions(mask: Tensor, width: int) -> Tensor:
    """Return sines and cosines of each segment's relative position in its source (B, T, width)."""
    count = mask.sum(dim=1, keepdim=True)
    position = (torch.arange(mask.shape[1], device=mask.device) + 0.5) / count
    angles = math.pi * position[:, :, None] * torch.arange(1, width // 2 + 1, device=mask.device)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
