"""Gated fusion of a video's text with the encoded video.

A video's text is a sequence of W chunks, each encoded as a vector. z is their mean, standardised by column. With e the
output of the sequence encoder,

    t = O relu(H z),        fused = e + σ(G [e; t]) ∘ t.

An item without text keeps e, so its embedding depends on the video alone. Text dropout hides the text of some items
in training, so that the model also learns without text.

II-CLVTM in Chen et al. (arXiv 2407.19415) uses text on the video side. Its abstract does not say how.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from reelscore.features.scaling import CLIP
from reelscore.models.config import ModelConfig

from .dropout import Dropout, ItemDropout


class GatedFusion(nn.Module):
    """Add text to the encoded video, weighted elementwise by a gate on both."""

    center: Tensor
    scale: Tensor

    def __init__(self, num_columns: int, config: ModelConfig) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(num_columns))
        self.register_buffer("scale", torch.ones(num_columns))
        self.hidden = nn.Linear(num_columns, config.width)
        self.out = nn.Linear(config.width, config.dim)
        self.gate = nn.Linear(2 * config.dim, config.dim)
        self.dropout = Dropout(config.dropout)
        self.input_dropout = Dropout(config.input_dropout)
        self.text_dropout = ItemDropout(config.text_dropout)

    def forward(self, e: Tensor, chunks: Tensor, mask: Tensor) -> Tensor:
        """Return the encoded video e (B, dim) after fusion with its text, chunks (B, W, D') with their mask (B, W)."""
        has_text = mask.any(dim=1)
        mean = chunks.masked_fill(~mask[:, :, None], 0.0).sum(dim=1) / mask.sum(1, keepdim=True).clamp_min(1)
        z = ((mean - self.center) / self.scale).clamp(-CLIP, CLIP)
        has_text = self.text_dropout(has_text)
        t: Tensor = self.out(self.dropout(F.relu(self.hidden(self.input_dropout(z)))))
        gated: Tensor = self.gate(torch.cat([e, t], dim=1)).sigmoid() * t
        return e + gated.masked_fill(~has_text[:, None], 0.0)
