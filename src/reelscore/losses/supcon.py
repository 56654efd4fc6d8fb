"""Supervised contrastive loss between two modalities.

    l(v_i) = −1/|P_i| Σ_{p ∈ P_i} log [ exp(s_ip / τ) / Σ_j exp(s_ij / τ) ],    P_i the items of i's group, with i

L_out of Khosla et al., "Supervised Contrastive Learning" (arXiv 2004.11362). Difference: anchors and candidates are of
two modalities, so that no anchor is its own candidate and every anchor has a positive.
"""

from __future__ import annotations

from torch import Tensor

from .row_loss import RowLoss, Rows


class SupCon(RowLoss):
    """Mean over the positives outside the logarithm. Parameters as for `RowLoss`; groups are always positives."""

    def __init__(
        self, *, temperature: float = 0.07, learnable: bool = True, chunk_size: int | None = None
    ) -> None:
        super().__init__(
            temperature=temperature, learnable=learnable, groups="positives", chunk_size=chunk_size
        )

    def row_losses(self, rows: Rows) -> Tensor:
        """Return the loss of each anchor (b,)."""
        logits = rows.cross * self.scale(rows.cross)
        positives = logits.masked_fill(~rows.same, 0.0).sum(dim=1) / rows.same.sum(dim=1)
        return logits.logsumexp(dim=1) - positives
