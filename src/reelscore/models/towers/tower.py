"""Tower of one modality: feature sequences to unit embeddings.

A tower standardises the feature columns, encodes the sequence of clips and scales the result to norm 1. The video
tower of II-CLVTM also fuses the video's text (`text_fusion`). `models.trained.forward` repeats the computation in NumPy
and relies on the names of the parameters.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from reelscore.features.scaling import CLIP, Scales, mean_and_scale
from reelscore.models.config import ModelConfig
from reelscore.types import FloatArray

from .dropout import Dropout
from .sequence_encoders import AttentionPooling, Transformer
from .text_fusion import GatedFusion


class Tower(nn.Module):
    """Tower of one modality.

    Parameters
    ----------
    num_columns : int
        D of the features.
    config : ModelConfig
    text_columns : int
        Columns of the encoded text; 0 if the tower takes none.
    """

    center: Tensor
    scale: Tensor

    def __init__(self, num_columns: int, *, config: ModelConfig, text_columns: int = 0) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(num_columns))
        self.register_buffer("scale", torch.ones(num_columns))
        encoder = AttentionPooling if config.encoder == "attention" else Transformer
        self.encoder = encoder(num_columns, config)
        self.dropout = Dropout(config.input_dropout)
        self.fusion = GatedFusion(text_columns, config) if text_columns else None

    def forward(
        self, sequence: Tensor, mask: Tensor, text: Tensor | None = None, text_mask: Tensor | None = None
    ) -> Tensor:
        """Embed a batch.

        Parameters
        ----------
        sequence : Tensor, shape (B, T, D)
        mask : Tensor of bool, shape (B, T)
            True for real clips; others are ignored.
        text : Tensor, shape (B, W, D'), and text_mask : Tensor of bool, shape (B, W), optional
            Text chunks; an item may have none.

        Returns
        -------
        Tensor, shape (B, dim)
            Rows of norm 1.
        """
        x = ((sequence - self.center) / self.scale).clamp(-CLIP, CLIP).masked_fill(~mask[:, :, None], 0.0)
        if self.training:
            x = x * self.dropout(torch.ones_like(x[:, :1]))  # drop a column in all clips
        e: Tensor = self.encoder(x, mask)
        if self.fusion is not None and text is not None and text_mask is not None:
            e = self.fusion(e, text, text_mask)
        return F.normalize(e, dim=1)

    def standardise(self, sequences: list[FloatArray], texts: list[FloatArray] | None = None) -> None:
        """Set mean and scale of every column from training sequences (T, D), and from texts (W, D')."""
        text = None
        if self.fusion is not None and texts:
            text = mean_and_scale([chunks.mean(axis=0, keepdims=True) for chunks in texts])
        self.set_scales(mean_and_scale(sequences), text)

    @torch.no_grad()
    def set_scales(self, columns: Scales, text: Scales | None = None) -> None:
        """Set mean and scale of every column, and of every column of the text."""
        for module, scales in ((self, columns), (self.fusion, text)):
            if module is not None and scales is not None:
                module.center.copy_(torch.from_numpy(scales[0].astype(np.float32)))
                module.scale.copy_(torch.from_numpy(scales[1].astype(np.float32)))
