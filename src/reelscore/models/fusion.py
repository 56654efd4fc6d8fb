"""The pieces of text of a batch of videos enter; what they add to a member of the video tower leaves (torch half).

A text is a sequence of W embedded pieces (sentences, a title). Its mean over the pieces, as normal scores, is z_t; the
pieces themselves, standardised, are p_1 .. p_W. With e the member's own output from the video, before it is scaled to
length 1, a fusion is one of

    gated              e + σ(G [e; t]) ∘ t,      t = O relu(H z_t) + L z_t
    tokens             the body reads on: H p_w as further tokens of a tower that reads sequences, H z_t beside what
                       the hidden layer of a tower of pooled features reads; and L z_t is added to e
    cross-attention    e + O relu(Σ_w a_w V p_w) + L z_t,      a = softmax_w of (Q e)' (K p_w) / √d, head by head

L being there where the member has a linear path. An item without text gets nothing of all this: its embedding is a
function of the video alone. In training a share of the items has its text silenced, for each member anew, so that the
member learns to do without.

II-CLVTM in Chen et al. (arXiv 2407.19415) takes text on the video side; how, its abstract does not say.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..scaling import CLIP
from .config import ModelConfig
from .description import mapped, standardised


class Text(NamedTuple):
    """The text of a batch.

    Attributes
    ----------
    there : Tensor of bool, shape (B,)
        Whose text there is.
    pooled : Tensor, shape (B, P)
        z_t; 0 where there is none.
    pieces : Tensor, shape (B, W, P), and mask : Tensor of bool, shape (B, W)
        Standardised, and which of them are real.
    """

    there: Tensor
    pooled: Tensor
    pieces: Tensor
    mask: Tensor


class TextScales(nn.Module):
    """What training learned of the columns of text: pieces enter, a `Text` leaves."""

    center: Tensor
    scale: Tensor
    knots: Tensor
    scores: Tensor

    def __init__(self, num_columns: int, config: ModelConfig) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(num_columns))
        self.register_buffer("scale", torch.ones(num_columns))
        ends = torch.linspace(-CLIP, CLIP, config.num_knots).repeat(num_columns, 1)
        self.register_buffer("knots", ends)
        self.register_buffer("scores", ends.clone())

    def forward(self, pieces: Tensor, mask: Tensor) -> Text:
        """Put pieces (B, W, P) with their mask (B, W) on one footing; an item may have none."""
        real = mask[:, :, None]
        there = mask.any(dim=1)
        mean = pieces.masked_fill(~real, 0.0).sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp_min(1)
        pooled = mapped(mean, self.knots, self.scores).masked_fill(~there[:, None], 0.0)
        return Text(
            there, pooled, standardised(pieces, self.center, self.scale).masked_fill(~real, 0.0), mask
        )


class TextFusion(nn.Module):
    """What all fusions share: text silenced in training, and the linear path."""

    def __init__(self, num_columns: int, config: ModelConfig) -> None:
        super().__init__()
        self.linear = nn.Linear(num_columns, config.dim) if config.linear else None
        self.dropout = nn.Dropout(config.dropout)
        self.input_dropout = nn.Dropout(config.input_dropout)
        self.text_dropout = config.text_dropout

    def heard(self, text: Text) -> Text:
        """Return the text as a member hears it: in training some items' is silent, and some columns of every item's."""
        if not self.training:
            return text
        there = text.there & (torch.rand(len(text.there), device=text.there.device) >= self.text_dropout)
        # A column is silent over all pieces.
        kept = self.input_dropout(torch.ones_like(text.pooled))
        return Text(there, text.pooled * kept, text.pieces * kept[:, None, :], text.mask & there[:, None])

    def join(self, h: Tensor, mask: Tensor | None, text: Text) -> tuple[Tensor, Tensor | None]:  # noqa: ARG002
        """Return what the body's hidden layer gave, (B, width) or (B, T, width), with what it reads of the text."""
        return h, mask

    def add(self, e: Tensor, text: Text) -> Tensor:
        """Return a member's output (B, dim) with what the text adds."""
        return e if self.linear is None else e + _where(text.there, self.linear(text.pooled))


class Tokens(TextFusion):
    """Text as further tokens."""

    def __init__(self, num_columns: int, config: ModelConfig) -> None:
        super().__init__(num_columns, config)
        self.hidden = nn.Linear(num_columns, config.width)

    def join(self, h: Tensor, mask: Tensor | None, text: Text) -> tuple[Tensor, Tensor | None]:
        """See `TextFusion.join`."""
        if mask is None:
            return h + _where(text.there, self.hidden(text.pooled)), None
        return torch.cat([h, self.hidden(text.pieces)], dim=1), torch.cat([mask, text.mask], dim=1)


class Gated(TextFusion):
    """A sum whose weights both sides decide, value by value."""

    def __init__(self, num_columns: int, config: ModelConfig) -> None:
        super().__init__(num_columns, config)
        self.hidden = nn.Linear(num_columns, config.width)
        self.out = nn.Linear(config.width, config.dim)
        self.gate = nn.Linear(2 * config.dim, config.dim)

    def add(self, e: Tensor, text: Text) -> Tensor:
        """See `TextFusion.add`."""
        t: Tensor = self.out(self.dropout(F.relu(self.hidden(text.pooled))))
        if self.linear is not None:
            t = t + self.linear(text.pooled)
        return e + _where(text.there, self.gate(torch.cat([e, t], dim=1)).sigmoid() * t)


class CrossAttention(TextFusion):
    """The video asks, the pieces of its text answer."""

    def __init__(self, num_columns: int, config: ModelConfig) -> None:
        super().__init__(num_columns, config)
        self.num_heads = config.num_heads
        self.query = nn.Linear(config.dim, config.width)
        self.key_value = nn.Linear(num_columns, 2 * config.width)
        self.out = nn.Linear(config.width, config.dim)

    def add(self, e: Tensor, text: Text) -> Tensor:
        """See `TextFusion.add`."""
        heads = (self.num_heads, -1)
        q = self.query(e).unflatten(-1, heads)[:, :, None]
        k, v = (
            part.unflatten(-1, heads).transpose(1, 2) for part in self.key_value(text.pieces).chunk(2, dim=-1)
        )
        # Without text all pieces count, none of which is let through below: a softmax over nothing is no number.
        real = text.mask | ~text.there[:, None]
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=real[:, None, None, :])
        answer: Tensor = self.out(self.dropout(F.relu(mixed[:, :, 0].flatten(1))))
        return super().add(e, text) + _where(text.there, answer)


FUSIONS: dict[str, type[TextFusion]] = {"gated": Gated, "tokens": Tokens, "cross-attention": CrossAttention}


def _where(there: Tensor, values: Tensor) -> Tensor:
    return values.masked_fill(~there[:, None], 0.0)
