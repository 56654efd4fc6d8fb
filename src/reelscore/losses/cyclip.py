"""InfoNCE with cyclic consistency (CyCLIP).

    L = L_InfoNCE + w/B Σ_ij (s(v_i, m_j) − s(v_j, m_i))² + w/B Σ_ij (s(v_i, v_j) − s(m_i, m_j))²

Goel et al., "CyCLIP: Cyclic Contrastive Language-Image Pretraining" (arXiv 2205.14459), with one weight w = 0.25 for
both terms, as published. Groups affect the InfoNCE term alone.
"""

from __future__ import annotations

from torch import Tensor

from .base import check_number
from .infonce import InfoNCE
from .row_loss import Groups, Rows


class CyCLIP(InfoNCE):
    """InfoNCE with cyclic consistency.

    Parameters
    ----------
    weight : float
        w.
    temperature, learnable, groups, chunk_size
        As for `RowLoss`.
    """

    def __init__(
        self,
        *,
        temperature: float = 0.07,
        learnable: bool = True,
        groups: Groups = "negatives-masked",
        weight: float = 0.25,
        chunk_size: int | None = None,
    ) -> None:
        super().__init__(temperature=temperature, learnable=learnable, groups=groups, chunk_size=chunk_size)
        self.weight = check_number("weight", weight)

    def row_losses(self, rows: Rows) -> Tensor:
        """Return the loss of each anchor (b,)."""
        crossed = (rows.cross - rows.cross_back).square().sum(dim=1)
        inside = (rows.within - rows.other_within).square().sum(dim=1)
        return super().row_losses(rows) + self.weight * (crossed + inside)
