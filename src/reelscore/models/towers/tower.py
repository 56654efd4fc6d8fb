"""A batch of feature sequences with masks enters a tower; unit-norm embeddings leave (torch half).

A tower standardises the features by column and describes each sequence by what its columns do over time (`pooling`),
as normal scores (z, see `scaling`). Its members k = 1 .. K are networks of one form, each of which adds up
two paths,

    e_k = W_k z + body_k(X),        embedding = [ √s · u(A z + a),  √((1 - s) / K) · u(e_1), …, … · u(e_K) ],

u scaling to length 1 and A being the linear CCA, where there is one, with its share s. The cosine of two embeddings is
then the average of the parts' cosines: that of the CCA counts s, that of each member (1 - s) / K.

With text there are two such embeddings, one of z_v and one of [z_v; z_t] whose members add the text (`fusion`).
A video without text is placed by the first, one with text by the second, and music has a place for either:

    video: [ e, 0 ] or [ 0, e' ],        music: [ e, e' ] / √2.

So a video without text is found as by a model that never knew of text. One embedding for both would not do that: its
music holds what only the text tells, which is noise to a video that has none.

`forward` holds the same arithmetic in NumPy; the names of parameters are the contract between the two.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from reelscore.features.scaling import CLIP
from reelscore.models.config import ModelConfig

from .backbones import AttentionBody, MeanBody, TransformerBody
from .pooling import mapped, pooled, standardised
from .text_fusion import GatedFusion, Text, TextScales


class Encoded(NamedTuple):
    """What a tower gives.

    Attributes
    ----------
    embedding : Tensor, shape (B, E)
        Rows of length 1; in training the part of the members alone, since the CCA does not learn.
    members : tuple of K Tensors, shape (B, dim)
        What each member says, rows of length 1: these learn, each for itself. With text 2 K, the last K with it.
    pooled : Tensor, shape (B, P)
        The scaled features z, pooled over time; P = D where N is 1.
    mean : Tensor, shape (B, D)
        Their first part, of the mean.
    text : Tensor, shape (B, P'), optional
        z_t of a tower that takes text.
    """

    embedding: Tensor
    members: tuple[Tensor, ...]
    pooled: Tensor
    mean: Tensor
    text: Tensor | None = None


class Tower(nn.Module):
    """One modality's way from features to the embedding.

    Parameters
    ----------
    num_columns : int
        D of the features.
    config : ModelConfig
    text_columns : int
        Of the text; 0 where the tower takes none.
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
        # Before they are learned: as they come, within CLIP.
        ends = torch.linspace(-CLIP, CLIP, config.num_knots).repeat(num_pooled, 1)
        self.register_buffer("knots", ends)
        self.register_buffer("scores", ends.clone())
        self.has_cca = config.cca
        self.num_members = config.members
        self.takes_text = config.takes_text
        if config.cca:
            self.register_buffer("cca_weight", torch.zeros(config.dim, num_pooled))
            self.register_buffer("cca_bias", torch.zeros(config.dim))
            self.register_buffer("cca_share", torch.zeros(()))  # none before it is fitted
        if config.cca and config.takes_text:
            self.register_buffer("told_weight", torch.zeros(config.dim, num_pooled + text_columns))
            self.register_buffer("told_bias", torch.zeros(config.dim))
        self.text = TextScales(text_columns, config) if text_columns else None
        columns = [0] * config.members + [text_columns] * (config.members * config.takes_text)
        self.members = nn.ModuleList(_Member(num_columns, config, number) for number in columns)

    def forward(
        self, sequence: Tensor, mask: Tensor, text: Tensor | None = None, text_mask: Tensor | None = None
    ) -> Encoded:
        """Embed a batch.

        Parameters
        ----------
        sequence : Tensor, shape (B, T, D)
        mask : Tensor of bool, shape (B, T)
            True for real segments; what stands in the others does not matter.
        text : Tensor, shape (B, W, D'), and text_mask : Tensor of bool, shape (B, W), optional
            The pieces of text; an item may have none. Without them nobody has any.

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
        """Map pooled features (B, P) to z_v, each column by its own `scaling.apply`."""
        return mapped(pooled, self.knots, self.scores)

    def read(self, text: Tensor | None, mask: Tensor | None) -> Text | None:
        """Return the text of a batch on one footing; None where there is none, or the tower takes none."""
        if self.text is None or text is None or mask is None:
            return None
        read: Text = self.text(text, mask)
        return read

    def embed(
        self, z: Tensor, x: Tensor | None = None, mask: Tensor | None = None, *, text: Text | None = None
    ) -> Encoded:
        """Embed a batch whose pooled features z_v (B, P) are there already.

        A tower that reads sequences needs them too: standardised (B, T, D), and the mask.
        """
        members = tuple(member(x, mask, z, text) for member in self.members)
        number = self.num_members
        with_cca = self.has_cca and not self.training
        placed = F.linear(z, self.cca_weight, self.cca_bias) if with_cca else None
        embedding = self._joined(placed, members[:number])
        z_t: Tensor | None = None
        if self.text is not None:
            z_t = z.new_zeros(len(z), len(self.text.knots)) if text is None else text.pooled
        if self.takes_text:
            known = z if z_t is None else torch.cat([z, z_t], dim=1)
            placed = F.linear(known, self.told_weight, self.told_bias) if with_cca else None
            told = self._joined(placed, members[number:])
            if self.text is None:
                both = torch.cat([embedding, told], dim=1) * math.sqrt(0.5)
            else:
                there = z.new_zeros(len(z), 1, dtype=torch.bool) if text is None else text.there[:, None]
                both = torch.cat([embedding.masked_fill(there, 0.0), told.masked_fill(~there, 0.0)], dim=1)
            embedding = both
        return Encoded(embedding, members, z, z[:, : len(self.center)], z_t)

    def _joined(self, placed: Tensor | None, members: tuple[Tensor, ...]) -> Tensor:
        """Put where the CCA places the items (B, dim) and what the members say side by side, by their shares."""
        share = self.cca_share if self.has_cca else members[0].new_zeros(())
        parts = [((1 - share) / len(members)).sqrt() * e for e in members]
        if placed is not None:
            parts = [share.sqrt() * F.normalize(placed, dim=1), *parts]
        return torch.cat(parts, dim=1)


class _Member(nn.Module):
    """One network of a tower: sequences, masks, z and text enter, rows of length 1 leave."""

    def __init__(self, num_columns: int, config: ModelConfig, text_columns: int) -> None:
        super().__init__()
        self.linear = nn.Linear(config.num_pooled(num_columns), config.dim) if config.linear else None
        self.body: nn.Module
        if config.tower == "mean":
            self.body = MeanBody(num_columns, config)
        elif config.tower == "attention":
            self.body = AttentionBody(num_columns, config)
        else:
            self.body = TransformerBody(num_columns, config)
        self.dropout = nn.Dropout(config.input_dropout)
        self.fusion = GatedFusion(text_columns, config) if text_columns else None

    def forward(self, x: Tensor | None, mask: Tensor | None, z: Tensor, text: Text | None) -> Tensor:
        z = self.dropout(z)
        if self.training and x is not None and not isinstance(self.body, MeanBody):
            x = x * self.dropout(torch.ones_like(x[:, :1]))  # a column is silent over the whole time
        e: Tensor = self.body(x, mask, z)
        if self.linear is not None:
            e = e + self.linear(z)
        if self.fusion is not None and text is not None:
            e = self.fusion(e, text)
        return F.normalize(e, dim=1)
