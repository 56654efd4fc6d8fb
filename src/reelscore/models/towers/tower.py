"""Tower of one modality: feature sequences to unit embeddings.

A tower standardises the feature columns X and pools each sequence to statistics over time, mapped to normal scores (z,
see `features.pooling` and `features.scaling`). Its networks k = 1 .. K have the same architecture. Each adds two paths:

    e_k = W_k z + backbone_k(X),    embedding = [ √s · u(A z + a),  √((1 - s) / K) · u(e_1), …, … · u(e_K) ],

where u scales to norm 1 and A is the linear CCA, if there is one, with its share s. The cosine of two embeddings is
then the weighted mean of the parts' cosines: weight s for the CCA, (1 - s) / K for each network.

With text there are two such embeddings: e of z_v, and e' of [z_v; z_t], whose networks fuse the text (`text_fusion`). A
video without text uses the first, a video with text the second, and music has both:

    video: [ e, 0 ] or [ 0, e' ],        music: [ e, e' ] / √2.

So a video without text is matched as by a model without text. A single embedding would not do that: music embeddings
would contain dimensions that only text predicts, which are noise for a video without text.

`models.trained.forward` repeats the computation in NumPy and relies on the names of the parameters.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from reelscore.features.scaling import CLIP
from reelscore.models.config import ModelConfig

from .backbones import AttentionBackbone, MeanBackbone, TransformerBackbone
from .pooling import mapped, pooled, standardised
from .text_fusion import GatedFusion, Text, TextScales


class Encoded(NamedTuple):
    """Output of a tower.

    Attributes
    ----------
    embedding : Tensor, shape (B, E)
        Rows of norm 1; in training without the part of the CCA, which is not trained.
    members : tuple of K Tensors, shape (B, dim)
        Output of each network, rows of norm 1, on which the losses are computed. With text 2 K, the last K of them
        with it.
    pooled : Tensor, shape (B, P)
        z; P = D if N is 1.
    mean : Tensor, shape (B, D)
        The part of z that holds the means.
    text : Tensor, shape (B, P'), optional
        z_t, if the tower takes text.
    """

    embedding: Tensor
    members: tuple[Tensor, ...]
    pooled: Tensor
    mean: Tensor
    text: Tensor | None = None


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
    knots: Tensor
    scores: Tensor
    cca_weight: Tensor
    cca_bias: Tensor
    cca_share: Tensor
    told_weight: Tensor
    told_bias: Tensor

    def __init__(self, num_columns: int, *, config: ModelConfig, text_columns: int = 0) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(num_columns))
        self.register_buffer("scale", torch.ones(num_columns))
        num_pooled = config.num_pooled(num_columns)
        # Before they are fitted, the maps are the identity, clipped to CLIP.
        ends = torch.linspace(-CLIP, CLIP, config.num_knots).repeat(num_pooled, 1)
        self.register_buffer("knots", ends)
        self.register_buffer("scores", ends.clone())
        self.has_cca = config.cca
        self.num_members = config.members
        self.takes_text = config.takes_text
        if config.cca:
            self.register_buffer("cca_weight", torch.zeros(config.dim, num_pooled))
            self.register_buffer("cca_bias", torch.zeros(config.dim))
            self.register_buffer("cca_share", torch.zeros(()))  # 0 until it is fitted
        if config.cca and config.takes_text:
            self.register_buffer("told_weight", torch.zeros(config.dim, num_pooled + text_columns))
            self.register_buffer("told_bias", torch.zeros(config.dim))
        self.text = TextScales(text_columns, config) if text_columns else None
        columns = [0] * config.members + [text_columns] * (config.members * config.takes_text)
        self.members = nn.ModuleList(_Network(num_columns, config, number) for number in columns)

    def forward(
        self, sequence: Tensor, mask: Tensor, text: Tensor | None = None, text_mask: Tensor | None = None
    ) -> Encoded:
        """Embed a batch.

        Parameters
        ----------
        sequence : Tensor, shape (B, T, D)
        mask : Tensor of bool, shape (B, T)
            True for real segments; others are ignored.
        text : Tensor, shape (B, W, D'), and text_mask : Tensor of bool, shape (B, W), optional
            Text chunks; an item may have none.

        Returns
        -------
        Encoded
        """
        if not bool(mask.all()):
            sequence = sequence.masked_fill(~mask[:, :, None], 0.0)
        z = self.scaled(pooled(sequence, mask, len(self.knots) // len(self.center)))
        x = standardised(sequence, self.center, self.scale).masked_fill_(~mask[:, :, None], 0.0)
        return self.embed(z, x, mask, text=self.read(text, text_mask))

    def scaled(self, pooled: Tensor) -> Tensor:
        """Map pooled features (B, P) to z_v."""
        return mapped(pooled, self.knots, self.scores)

    def read(self, text: Tensor | None, mask: Tensor | None) -> Text | None:
        """Return the pooled text of a batch; None if there is none or the tower takes none."""
        if self.text is None or text is None or mask is None:
            return None
        read: Text = self.text(text, mask)
        return read

    def embed(
        self, z: Tensor, x: Tensor | None = None, mask: Tensor | None = None, *, text: Text | None = None
    ) -> Encoded:
        """Embed a batch from its scaled pooled features z_v (B, P).

        A backbone on sequences also needs x, the standardised features (B, T, D), and the mask.
        """
        members = tuple(member(x, mask, z, text) for member in self.members)
        number = self.num_members
        with_cca = self.has_cca and not self.training
        cca = F.linear(z, self.cca_weight, self.cca_bias) if with_cca else None
        embedding = self._concat(cca, members[:number])
        z_t: Tensor | None = None
        if self.text is not None:
            z_t = z.new_zeros(len(z), len(self.text.knots)) if text is None else text.pooled
        if self.takes_text:
            inputs = z if z_t is None else torch.cat([z, z_t], dim=1)
            cca = F.linear(inputs, self.told_weight, self.told_bias) if with_cca else None
            fused = self._concat(cca, members[number:])
            if self.text is None:
                both = torch.cat([embedding, fused], dim=1) * math.sqrt(0.5)
            else:
                there = z.new_zeros(len(z), 1, dtype=torch.bool) if text is None else text.there[:, None]
                both = torch.cat([embedding.masked_fill(there, 0.0), fused.masked_fill(~there, 0.0)], dim=1)
            embedding = both
        return Encoded(embedding, members, z, z[:, : len(self.center)], z_t)

    def _concat(self, cca: Tensor | None, members: tuple[Tensor, ...]) -> Tensor:
        """Concatenate the CCA (B, dim) and the outputs of the networks, weighted by the roots of their shares."""
        share = self.cca_share if self.has_cca else members[0].new_zeros(())
        parts = [((1 - share) / len(members)).sqrt() * e for e in members]
        if cca is not None:
            parts = [share.sqrt() * F.normalize(cca, dim=1), *parts]
        return torch.cat(parts, dim=1)


class _Network(nn.Module):
    """One network of a tower, with unit rows as output."""

    def __init__(self, num_columns: int, config: ModelConfig, text_columns: int) -> None:
        super().__init__()
        self.linear = nn.Linear(config.num_pooled(num_columns), config.dim) if config.linear else None
        self.body: nn.Module
        if config.tower == "mean":
            self.body = MeanBackbone(num_columns, config)
        elif config.tower == "attention":
            self.body = AttentionBackbone(num_columns, config)
        else:
            self.body = TransformerBackbone(num_columns, config)
        self.dropout = nn.Dropout(config.input_dropout)
        self.fusion = GatedFusion(text_columns, config) if text_columns else None

    def forward(self, x: Tensor | None, mask: Tensor | None, z: Tensor, text: Text | None) -> Tensor:
        z = self.dropout(z)
        if self.training and x is not None and not isinstance(self.body, MeanBackbone):
            x = x * self.dropout(torch.ones_like(x[:, :1]))  # drop a column in all segments
        e: Tensor = self.body(x, mask, z)
        if self.linear is not None:
            e = e + self.linear(z)
        if self.fusion is not None and text is not None:
            e = self.fusion(e, text)
        return F.normalize(e, dim=1)
