"""Debiased contrastive loss.

    l(v_i) = −log [ e^{s_ii/τ} / (e^{s_ii/τ} + n g_i) ],
    g_i = max( (mean_{j ∈ N_i} e^{s_ij/τ} − π e^{s_ii/τ}) / (1 − π),  e^{−1/τ} ),    n = |N_i|

Chuang et al., "Debiased Contrastive Learning" (arXiv 2007.00224). π is the probability that a negative is in fact a
positive (τ⁺ in the paper). With π = 0 it is InfoNCE. Differences: candidates are of the other modality, n counts items
of other groups only, and all terms are computed as logarithms.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .base import check_number
from .row_loss import RowLoss, Rows


class Debiased(RowLoss):
    """Debiased contrastive loss.

    Parameters
    ----------
    prior : float
        π in [0, 1).
    temperature, learnable, chunk_size
        As for `RowLoss`; items of one group are never negatives.
    """

    def __init__(
        self,
        *,
        temperature: float = 0.07,
        learnable: bool = True,
        prior: float = 0.1,
        chunk_size: int | None = None,
    ) -> None:
        super().__init__(temperature=temperature, learnable=learnable, chunk_size=chunk_size)
        self.prior = check_number("prior", prior, high=0.999)

    def row_losses(self, rows: Rows) -> Tensor:
        """Return the loss of each anchor (b,)."""
        scale = self.scale(rows.cross)
        logits = rows.cross * scale
        own = rows.positives(logits)
        count = (~rows.same).sum(dim=1)
        log_count = count.clamp_min(1).to(logits.dtype).log()
        mean = logits.masked_fill(rows.same, -math.inf).logsumexp(dim=1) - log_count
        if self.prior > 0:
            gap = own + math.log(self.prior) - mean
            # Below this gap the expected false negatives exceed the sum, and the floor applies.
            left = torch.log1p(-gap.clamp_max(-1e-6).exp())
            reduced = torch.where(gap < -1e-6, mean + left - math.log1p(-self.prior), -math.inf)
        else:
            reduced = mean
        negative = torch.maximum(reduced, -scale.expand_as(reduced))
        return torch.logaddexp(own, log_count + negative) - own
