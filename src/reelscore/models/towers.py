"""A batch of feature sequences with masks enters a tower; unit-norm embeddings leave (torch half).

A tower standardises the features by column and describes each sequence by what its columns do over time (`pooling`),
as normal scores (z, see `scaling`). Its members k = 1 .. K are networks of one form, each of which adds up
two paths,

    e_k = W_k z + body_k(X),        embedding = [ √s · u(A z + a),  √((1 - s) / K) · u(e_1), …, … · u(e_K) ],

u scaling to length 1 and A being the linear CCA, where there is one, with its share s. The cosine of two embeddings is
then the average of the parts' cosines: that of the CCA counts s, that of each member (1 - s) / K.

`forward` holds the same arithmetic in NumPy; the names of parameters are the contract between the two.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..pooling import FLOOR, LAGS, QUANTILES, VARIES
from ..scaling import CLIP
from .config import NORM_EPSILON, NUM_LAYERS, ModelConfig


class Encoded(NamedTuple):
    """What a tower gives.

    Attributes
    ----------
    embedding : Tensor, shape (B, E)
        Rows of length 1.
    members : tuple of K Tensors, shape (B, dim)
        What each member says, rows of length 1: these learn, each for itself.
    pooled : Tensor, shape (B, P)
        The scaled features z, pooled over time; P = D where N is 1.
    mean : Tensor, shape (B, D)
        Their first part, of the mean.
    """

    embedding: Tensor
    members: tuple[Tensor, ...]
    pooled: Tensor
    mean: Tensor


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
    knots: Tensor
    scores: Tensor
    cca_weight: Tensor
    cca_bias: Tensor
    cca_share: Tensor

    def __init__(self, num_columns: int, *, config: ModelConfig) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(num_columns))
        self.register_buffer("scale", torch.ones(num_columns))
        num_pooled = config.num_pooled(num_columns)
        # Before they are learned: as they come, within CLIP.
        ends = torch.linspace(-CLIP, CLIP, config.num_knots).repeat(num_pooled, 1)
        self.register_buffer("knots", ends)
        self.register_buffer("scores", ends.clone())
        self.has_cca = config.cca
        if config.cca:
            self.register_buffer("cca_weight", torch.zeros(config.dim, num_pooled))
            self.register_buffer("cca_bias", torch.zeros(config.dim))
            self.register_buffer("cca_share", torch.zeros(()))  # none before it is fitted
        self.members = nn.ModuleList(_Member(num_columns, config) for _ in range(config.members))

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
        if not bool(mask.all()):
            sequence = sequence.masked_fill(~mask[:, :, None], 0.0)
        z = self.scaled(_pooled(sequence, mask, len(self.knots) // len(self.center)))
        x = _standardised(sequence, self.center, self.scale).masked_fill_(~mask[:, :, None], 0.0)
        return self.embed(z, x, mask)

    def scaled(self, pooled: Tensor) -> Tensor:
        """Map pooled features (B, P) to z, each column by its own `scaling.apply`."""
        return _mapped(pooled, self.knots, self.scores)

    def embed(self, z: Tensor, x: Tensor | None = None, mask: Tensor | None = None) -> Encoded:
        """Embed a batch whose pooled features z (B, P) are there already.

        A tower that reads sequences needs them too: standardised (B, T, D), and the mask.
        """
        members = tuple(member(x, mask, z) for member in self.members)
        share = self.cca_share if self.has_cca else z.new_zeros(())
        parts = [((1 - share) / len(members)).sqrt() * e for e in members]
        if self.has_cca:
            placed = F.normalize(F.linear(z, self.cca_weight, self.cca_bias), dim=1)
            parts = [share.sqrt() * placed, *parts]
        return Encoded(torch.cat(parts, dim=1), members, z, z[:, : len(self.center)])


class _Member(nn.Module):
    """One network of a tower: sequences, masks and z enter, rows of length 1 leave."""

    def __init__(self, num_columns: int, config: ModelConfig) -> None:
        super().__init__()
        self.linear = nn.Linear(config.num_pooled(num_columns), config.dim) if config.linear else None
        self.body: nn.Module
        if config.tower == "mean":
            self.body = _MeanBody(num_columns, config)
        elif config.tower == "attention":
            self.body = _AttentionBody(num_columns, config)
        else:
            self.body = _TransformerBody(num_columns, config)
        self.dropout = nn.Dropout(config.input_dropout)

    def forward(self, x: Tensor | None, mask: Tensor | None, z: Tensor) -> Tensor:
        z = self.dropout(z)
        if self.training and x is not None and not isinstance(self.body, _MeanBody):
            x = x * self.dropout(torch.ones_like(x[:, :1]))  # a column is silent over the whole time
        e: Tensor = self.body(x, mask, z)
        if self.linear is not None:
            e = e + self.linear(z)
        return F.normalize(e, dim=1)


class _MeanBody(nn.Module):
    def __init__(self, num_columns: int, config: ModelConfig) -> None:
        super().__init__()
        self.hidden = nn.Linear(config.num_pooled(num_columns), config.width)
        self.out = nn.Linear(config.width, config.dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor | None, mask: Tensor | None, z: Tensor) -> Tensor:  # noqa: ARG002
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
    return (values - center).div_(scale).clamp_(-CLIP, CLIP)


def _mapped(pooled: Tensor, knots: Tensor, scores: Tensor) -> Tensor:
    """Apply `scaling.apply` to (B, P)."""
    columns = pooled.T.contiguous()
    place = torch.searchsorted(knots[:, 1:-1].contiguous(), columns, right=True)
    low, high = knots.gather(1, place), knots.gather(1, place + 1)
    below, above = scores.gather(1, place), scores.gather(1, place + 1)
    width = high - low
    share = ((columns - low) / torch.where(width > 0, width, 1.0)).clamp_(0, 1)
    return (below + (above - below) * share).T.contiguous()


def _pooled(sequence: Tensor, mask: Tensor, num_statistics: int) -> Tensor:
    """Describe sequences (B, T, D), zero where the mask is False, as `pooling.pool` does."""
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
    rising = rows.masked_fill(~real, math.inf).sort(dim=2).values
    found = []
    for share in QUANTILES:
        place = share * (count - 1)
        low = place.long()
        high = torch.minimum(low + 1, count.long() - 1)
        below, above = (
            rising.gather(2, at[:, :, None].expand(-1, rows.shape[1], 1))[:, :, 0] for at in (low, high)
        )
        found.append(below + (above - below) * (place - low))
    return found


def _positions(mask: Tensor, width: int) -> Tensor:
    """Sines and cosines of each segment's place in its source (B, T, width); a source spans [0, 1)."""
    count = mask.sum(dim=1, keepdim=True)
    place = (torch.arange(mask.shape[1], device=mask.device) + 0.5) / count
    angles = math.pi * place[:, :, None] * torch.arange(1, width // 2 + 1, device=mask.device)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
