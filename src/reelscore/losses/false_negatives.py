"""Embeddings and frozen features of pairs enter; InfoNCE without the negatives that look false leaves.

    l(v_i) = −log [ e^{s_ii/τ} / Σ_{j ∉ F_i} e^{s_ij/τ} ]                                      elimination
    l(v_i) = −1/(1+|F_i|) Σ_{p ∈ {i} ∪ F_i} log [ e^{s_ip/τ} / Σ_j e^{s_ij/τ} ]                attraction

After Huynh et al., "Boosting Contrastive Self-Supervised Learning with False Negative Cancellation" (arXiv 2011.11765).
There support views of an image vote for the false negatives F_i, the k closest; here F_i holds the negatives whose
frozen features lie closest to the item's own, by the mean of both modalities' S0, and k is a share of the batch.
There is no queue, at least one negative stays whatever the share, and a batch so small that its share rounds to no
negative has none cancelled, where their k is a number of its own and never 0. The authors' code attracts the 10 closest
of a queue that are also above a cosine of 0.7; to eliminate is the gentler default here, where no view votes.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from reelscore.errors import InputError

from .base import check_knob
from .row_loss import RowLoss, Rows

Strategy = Literal["elimination", "attraction"]


class FalseNegativeCancellation(RowLoss):
    """InfoNCE that leaves out, or pulls in, what the frozen features call alike.

    Parameters
    ----------
    share : float
        How much of the batch is held for false negatives of each anchor, in [0, 0.9], rounded to whole negatives, a
        half down to none: 0.02 of 25 pairs or fewer, and 0.01 of 50 or fewer, is none, and this is then InfoNCE.
    strategy : {"elimination", "attraction"}
    temperature, learnable, chunk_size
        As for `RowLoss`; items of one group are left out.
    """

    needs = frozenset({"video", "music"})

    def __init__(
        self,
        *,
        temperature: float = 0.07,
        learnable: bool = True,
        share: float = 0.02,
        strategy: Strategy = "elimination",
        chunk_size: int | None = None,
    ) -> None:
        super().__init__(temperature=temperature, learnable=learnable, chunk_size=chunk_size)
        self.share = check_knob("share", share, high=0.9)
        if strategy not in ("elimination", "attraction"):
            raise InputError(f"strategy must be 'elimination' or 'attraction', got {strategy!r}")
        self.strategy = strategy

    def row_losses(self, rows: Rows) -> Tensor:
        """Return the loss of each anchor (b,)."""
        logits = rows.without_kin(rows.cross * self.scale())
        own = rows.at_home(logits)
        near = self._near(rows)
        if self.strategy == "elimination":
            return logits.masked_fill(near, -math.inf).logsumexp(dim=1) - own
        drawn = own + logits.masked_fill(~near, 0.0).sum(dim=1)
        return logits.logsumexp(dim=1) - drawn / (1 + near.sum(dim=1))

    def _near(self, rows: Rows) -> Tensor:
        """Return which candidates are held for false negatives (b, B)."""
        alike = (rows.own_before + rows.other_before).masked_fill(rows.same, -math.inf)
        near = torch.zeros_like(rows.same)
        count = min(round(self.share * alike.shape[1]), alike.shape[1] - 2)
        if count < 1:
            return near
        # The k closest, but of an anchor in a large group one negative less than it has.
        num_negatives = (~rows.same).sum(dim=1, keepdim=True)
        allowed = torch.arange(1, count + 1, device=near.device) < num_negatives
        return near.scatter_(1, alike.topk(count, dim=1).indices, allowed)
