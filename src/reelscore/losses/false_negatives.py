"""InfoNCE with false negative cancellation.

    l(v_i) = −log [ e^{s_ii/τ} / Σ_{j ∉ F_i} e^{s_ij/τ} ]                                      elimination
    l(v_i) = −1/(1+|F_i|) Σ_{p ∈ {i} ∪ F_i} log [ e^{s_ip/τ} / Σ_j e^{s_ij/τ} ]                attraction

After Huynh et al., "Boosting Contrastive Self-Supervised Learning with False Negative Cancellation" (arXiv 2011.11765).
Differences:

- F_i holds the negatives whose frozen features are most similar to the item's, by the mean S0 of both modalities. In
  the paper it holds the k nearest by a vote of an image's support views.
- k is a share of the batch. It may round to 0, and at least one negative always remains. There is no queue.
- Elimination is the default, as the more cautious strategy. The authors' code attracts the 10 nearest of a queue whose
  cosine exceeds 0.7.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from reelscore.errors import InputError

from .base import check_number
from .row_loss import RowLoss, Rows

Strategy = Literal["elimination", "attraction"]


class FalseNegativeCancellation(RowLoss):
    """InfoNCE that masks or attracts the negatives with the most similar frozen features.

    Parameters
    ----------
    share : float
        Share of the batch that counts as false negatives of each anchor, in [0, 0.9]. It is rounded to a number of
        negatives, ½ down to 0, where the loss is InfoNCE: so 0.02 has no effect up to 25 pairs, 0.01 up to 50.
    strategy : {"elimination", "attraction"}
    temperature, learnable, chunk_size
        As for `RowLoss`; items of one group are masked.
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
        self.share = check_number("share", share, high=0.9)
        if strategy not in ("elimination", "attraction"):
            raise InputError(f"strategy must be 'elimination' or 'attraction', got {strategy!r}")
        self.strategy = strategy

    def row_losses(self, rows: Rows) -> Tensor:
        """Return the loss of each anchor (b,)."""
        logits = rows.mask_group(rows.cross * self.scale(rows.cross))
        own = rows.positives(logits)
        near = self._near(rows)
        if self.strategy == "elimination":
            return logits.masked_fill(near, -math.inf).logsumexp(dim=1) - own
        attracted = own + logits.masked_fill(~near, 0.0).sum(dim=1)
        return logits.logsumexp(dim=1) - attracted / (1 + near.sum(dim=1))

    def _near(self, rows: Rows) -> Tensor:
        """Return the mask of the candidates that count as false negatives (b, B)."""
        similar = (rows.frozen + rows.other_frozen).masked_fill(rows.same, -math.inf)
        near = torch.zeros_like(rows.same)
        count = min(round(self.share * similar.shape[1]), similar.shape[1] - 2)
        if count < 1:
            return near
        # The k nearest, but always one fewer than the anchor has negatives.
        num_negatives = (~rows.same).sum(dim=1, keepdim=True)
        allowed = torch.arange(1, count + 1, device=near.device) < num_negatives
        return near.scatter_(1, similar.topk(count, dim=1).indices, allowed)
