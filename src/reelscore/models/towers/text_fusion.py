"""Gated fusion of a video's text with a network of the video tower.

A video's text is a sequence of W chunks, each encoded as a vector. z_t is their mean, mapped to normal scores. With e
the network's output from the video, before it is scaled to norm 1,

    t = O relu(H z_t) + L z_t,        fused = e + σ(G [e; t]) ∘ t.

L exists if the network has a linear path. An item without text keeps e, so its embedding depends on the video alone.
Text dropout hides the text of some items in training, separately for each network, so that it also learns without
text.

II-CLVTM in Chen et al. (arXiv 2407.19415) uses text on the video side. Its abstract does not say how.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from reelscore.features.scaling import CLIP
from reelscore.models.config import ModelConfig

from .pooling import mapped


class Text(NamedTuple):
    """The text of a batch.

    Attributes
    ----------
    there : Tensor of bool, shape (B,)
        Which items have text.
    pooled : Tensor, shape (B, P)
        z_t; 0 for items without text.
    """

    there: Tensor
    pooled: Tensor


class TextScales(nn.Module):
    """Pool text chunks to a `Text`, with column maps fitted in training."""

    knots: Tensor
    scores: Tensor

    def __init__(self, num_columns: int, config: ModelConfig) -> None:
        super().__init__()
        ends = torch.linspace(-CLIP, CLIP, config.num_knots).repeat(num_columns, 1)
        self.register_buffer("knots", ends)
        self.register_buffer("scores", ends.clone())

    def forward(self, chunks: Tensor, mask: Tensor) -> Text:
        """Pool chunks (B, W, P) with their mask (B, W); an item may have no chunk."""
        there = mask.any(dim=1)
        mean = chunks.masked_fill(~mask[:, :, None], 0.0).sum(dim=1) / mask.sum(
            dim=1, keepdim=True
        ).clamp_min(1)
        return Text(there, mapped(mean, self.knots, self.scores).masked_fill(~there[:, None], 0.0))


class GatedFusion(nn.Module):
    """Add text to a network's output, weighted elementwise by a gate on both."""

    def __init__(self, num_columns: int, config: ModelConfig) -> None:
        super().__init__()
        self.linear = nn.Linear(num_columns, config.dim) if config.linear else None
        self.hidden = nn.Linear(num_columns, config.width)
        self.out = nn.Linear(config.width, config.dim)
        self.gate = nn.Linear(2 * config.dim, config.dim)
        self.dropout = nn.Dropout(config.dropout)
        self.input_dropout = nn.Dropout(config.input_dropout)
        self.text_dropout = config.text_dropout

    def forward(self, e: Tensor, text: Text) -> Tensor:
        """Return a network's output e (B, dim) after fusion with the text."""
        there, pooled = self.drop(text)
        t: Tensor = self.out(self.dropout(F.relu(self.hidden(pooled))))
        if self.linear is not None:
            t = t + self.linear(pooled)
        gated: Tensor = self.gate(torch.cat([e, t], dim=1)).sigmoid() * t
        return e + gated.masked_fill(~there[:, None], 0.0)

    def drop(self, text: Text) -> Text:
        """Return the text after dropout of items and columns; unchanged in evaluation."""
        if not self.training:
            return text
        kept = torch.rand(len(text.there), device=text.there.device) >= self.text_dropout
        return Text(text.there & kept, self.input_dropout(text.pooled))
