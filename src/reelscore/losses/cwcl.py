"""Continuously weighted contrastive loss (CWCL).

    l(v_i) = −1/Σ_j w_ij Σ_j w_ij log [ exp(s_ij / τ) / Σ_k exp(s_ik / τ) ],    w_ij = ((1 + S0_ij) / 2)^p

Srinivasa et al., "CWCL: Cross-Modal Transfer with Continuously Weighted Contrastive Loss" (arXiv 2309.14580), where
p = 1 and S0 holds the anchor's frozen similarities. Differences: S0 is centred over the batch, so that most weights are
near ½; the power p sharpens them (p → ∞ gives InfoNCE); both modalities are anchors of this loss, where the paper has
one frozen tower and plain InfoNCE in the other direction.
"""

from __future__ import annotations

from torch import Tensor

from .base import check_number
from .row_loss import Groups, RowLoss, Rows


class CWCL(RowLoss):
    """Contrastive loss whose candidates are all positives, weighted by their frozen similarity to the anchor.

    Parameters
    ----------
    power : float
        p; a larger power gives the pair itself more weight.
    temperature, learnable, groups, chunk_size
        As for `RowLoss`. With ``"positives"`` items of the anchor's group weigh 1, else they are masked.
    """

    needs = frozenset({"video", "music"})

    def __init__(
        self,
        *,
        temperature: float = 0.07,
        learnable: bool = True,
        groups: Groups = "negatives-masked",
        power: float = 1.0,
        chunk_size: int | None = None,
    ) -> None:
        super().__init__(temperature=temperature, learnable=learnable, groups=groups, chunk_size=chunk_size)
        self.power = check_number("power", power)

    def row_losses(self, rows: Rows) -> Tensor:
        """Return the loss of each anchor (b,)."""
        weights = ((1.0 + rows.frozen) / 2.0).clamp(0.0, 1.0).pow(self.power)
        logits = rows.cross * self.scale(rows.cross)
        if self.groups == "positives":
            weights = weights.masked_fill(rows.same, 1.0)
        else:
            others = rows.same & ~rows.diagonal
            weights = weights.masked_fill(others, 0.0).masked_fill(rows.diagonal, 1.0)
        normal = (logits if self.groups == "positives" else rows.mask_group(logits)).logsumexp(dim=1)
        return normal - (weights * logits).sum(dim=1) / weights.sum(dim=1)
