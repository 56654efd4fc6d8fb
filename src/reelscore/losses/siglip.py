"""Embeddings of pairs enter; the sigmoid loss over all pairs of the batch leaves.

    l(v_i) = −Σ_j log σ( z_ij (s_ij / τ + b) ),    z_ij = 1 for a pair, −1 else

Zhai et al., "Sigmoid Loss for Language Image Pre-Training" (arXiv 2303.15343), with a learnable bias b; the published
start is τ = 0.1, b = −10. It differs in groups: other items of one group are left out, or further positives.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from .base import check_knob
from .row_loss import Groups, RowLoss, Rows


class SigLIP(RowLoss):
    """Pairwise sigmoid loss.

    Parameters
    ----------
    bias : float
        b where training starts.
    temperature, learnable, groups, chunk_size
        As for `RowLoss`; with `learnable` the bias is learned too.
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
        start = torch.tensor(check_knob("bias", bias, low=-1e6, high=1e6))
        if learnable:
            self.bias = nn.Parameter(start)
        else:
            self.register_buffer("bias", start)

    def row_losses(self, rows: Rows) -> Tensor:
        """Return the loss of each anchor (b,)."""
        logits = rows.cross * self.scale() + self.bias
        together = rows.same if self.groups == "positives" else rows.itself
        each = F.softplus(torch.where(together, -logits, logits))
        return each.masked_fill(rows.same & ~together, 0.0).sum(dim=1)
