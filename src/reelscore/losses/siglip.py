"""Pairwise sigmoid loss (SigLIP).

    l(v_i) = −Σ_j log σ( z_ij (s_ij / τ + b) ),    z_ij = 1 for a pair, −1 else

Zhai et al., "Sigmoid Loss for Language Image Pre-Training" (arXiv 2303.15343), with a learnable bias b. The published
initial values are τ = 0.1 and b = −10. Difference: other items of a group are masked, or are further positives.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from .base import check_number
from .row_loss import Groups, RowLoss, Rows


class SigLIP(RowLoss):
    """Pairwise sigmoid loss.

    Parameters
    ----------
    bias : float
        Initial b.
    temperature, learnable, groups, chunk_size
        As for `RowLoss`. `learnable` also makes the bias a parameter.
    """

    bias: Tensor

    def __init__(
        self,
        *,
        temperature: float = 0.1,
        learnable: bool = True,
        groups: Groups = "negatives-masked",
        bias: float = -10.0,
        chunk_size: int | None = None,
    ) -> None:
        super().__init__(temperature=temperature, learnable=learnable, groups=groups, chunk_size=chunk_size)
        start = torch.tensor(check_number("bias", bias, low=-1e6, high=1e6))
        if learnable:
            self.bias = nn.Parameter(start)
        else:
            self.register_buffer("bias", start)

    def row_losses(self, rows: Rows) -> Tensor:
        """Return the loss of each anchor (b,)."""
        logits = rows.cross * self.scale(rows.cross) + self.bias
        positive = rows.same if self.groups == "positives" else rows.diagonal
        each = F.softplus(torch.where(positive, -logits, logits))
        return each.masked_fill(rows.same & ~positive, 0.0).sum(dim=1)
