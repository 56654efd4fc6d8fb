"""Embeddings and frozen features of pairs enter; the continuously weighted contrastive loss leaves.

    l(v_i) = −1/Σ_j w_ij Σ_j w_ij log [ exp(s_ij / τ) / Σ_k exp(s_ik / τ) ],    w_ij = ((1 + S0_ij) / 2)^p

Srinivasa et al., "CWCL: Cross-Modal Transfer with Continuously Weighted Contrastive Loss" (arXiv 2309.14580), whose
weights are p = 1 of the anchor's frozen similarities. It differs in that S0 is centred over the batch, so that most
weights lie near ½, in the power p, which sharpens them (p → ∞ is InfoNCE), and in that both modalities are anchors
so, where the paper has one frozen tower and plain InfoNCE the other way.
"""

from __future__ import annotations

from torch import Tensor

from .base import check_knob
from .row_loss import Groups, RowLoss, Rows


class CWCL(RowLoss):
    """Every candidate is a positive by its frozen likeness to the anchor.

    Parameters
    ----------
    power : float
        p; the larger, the more only the pair itself counts.
    temperature, learnable, groups, chunk_size
        As for `RowLoss`; items of one group weigh 1 with ``"positives"`` and are left out else.
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
        self.power = check_knob("power", power)

    def row_losses(self, rows: Rows) -> Tensor:
        """Return the loss of each anchor (b,)."""
        weights = ((1.0 + rows.own_before) / 2.0).clamp(0.0, 1.0).pow(self.power)
        logits = rows.cross * self.scale()
        if self.groups == "positives":
            weights = weights.masked_fill(rows.same, 1.0)
        else:
            kin = rows.same & ~rows.itself
            weights = weights.masked_fill(kin, 0.0).masked_fill(rows.itself, 1.0)
        normal = (logits if self.groups == "positives" else rows.without_kin(logits)).logsumexp(dim=1)
        return normal - (weights * logits).sum(dim=1) / weights.sum(dim=1)
