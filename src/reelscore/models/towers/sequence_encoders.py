"""Sequence encoders: attention pooling and a transformer."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from reelscore.models.config import NORM_EPSILON, NUM_LAYERS, ModelConfig

from .dropout import Dropout


class AttentionPooling(nn.Module):
    """A layer on each clip, and attention pooling over the clips. A sequence of one clip passes through an MLP."""

    def __init__(self, num_columns: int, config: ModelConfig) -> None:
        super().__init__()
        self.hidden = nn.Linear(num_columns, config.width)
        self.attention = nn.Linear(config.width, config.num_heads)
        self.out = nn.Linear(config.width, config.dim)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return (B, dim) from the clips x (B, T, D) with their mask (B, T)."""
        h = F.relu(self.hidden(x))
        scores = self.attention(h).masked_fill(~mask[:, :, None], -math.inf)
        weights = scores.softmax(dim=1)
        by_head = h.view(*h.shape[:2], weights.shape[-1], -1)
        pooled = torch.einsum("bth,bthw->bhw", weights, by_head).flatten(1)
        out: Tensor = self.out(self.dropout(pooled))
        return out


class Transformer(nn.Module):
    """A transformer over the clips, and mean pooling."""

    def __init__(self, num_columns: int, config: ModelConfig) -> None:
        super().__init__()
        self.hidden = nn.Linear(num_columns, config.width)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(NUM_LAYERS))
        self.norm = nn.LayerNorm(config.width, eps=NORM_EPSILON)
        self.out = nn.Linear(config.width, config.dim)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return (B, dim) from the clips x (B, T, D) with their mask (B, T)."""
        h = self.dropout(self.hidden(x))
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
        self.dropout = Dropout(config.dropout)

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
