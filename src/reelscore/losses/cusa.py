"""Embeddings and frozen features of pairs enter; InfoNCE and soft-label alignment leave.

    l(v_i) = l_InfoNCE(v_i) + w KL( p_i ‖ softmax_j(s(v_i, m_j) / τ) ) + w KL( p'_i ‖ softmax_{j≠i}(s(v_i, v_j) / τ) )

with p_i = softmax_j(S0_ij / t0) of the anchor's modality, p' the same without i itself; j runs over i and the other
groups, so that no item of i's group is pushed off as a poor label. After Huang et al., "Cross-modal and Uni-modal
Soft-label Alignment for Image-Text Retrieval" (CUSA, arXiv 2403.05261), where further models are the teachers; here the
frozen features are. It differs also in that both terms share one weight and InfoNCE's τ (the authors' configuration has
weights 0.1 and 0.5 beside an InfoNCE divided by the batch size once more, each term its own learned temperature from
0.45 on, and labels at t0 = 1, for cosines that are not centred), in that the uni-modal term leaves out the diagonal,
which training cannot move, and in that it looks at the same embeddings as the rest, where there it has projections of
its own.
"""

from __future__ import annotations

import math

from torch import Tensor

from .base import LossParts, PairBatch, check_knob
from .infonce import InfoNCE
from .row_loss import Groups, RowLoss, Rows


class CUSA(InfoNCE):
    """InfoNCE with soft labels from the frozen features.

    Parameters
    ----------
    weight : float
        w, of both soft-label terms.
    before_temperature : float
        t0.
    temperature, learnable, groups, chunk_size
        As for `RowLoss`.
    """

    needs = frozenset({"video", "music"})

    def __init__(
        self,
        *,
        temperature: float = 0.07,
        learnable: bool = True,
        groups: Groups = "negatives-masked",
        weight: float = 1.0,
        before_temperature: float = 0.1,
        chunk_size: int | None = None,
    ) -> None:
        super().__init__(temperature=temperature, learnable=learnable, groups=groups, chunk_size=chunk_size)
        self.weight = check_knob("weight", weight)
        self.before_temperature = check_knob("before_temperature", before_temperature, low=1e-6)

    def of(self, batch: PairBatch) -> LossParts:
        """Return the mean over all anchors of both modalities."""
        return RowLoss.of(self, batch)

    def row_losses(self, rows: Rows) -> Tensor:
        """Return the loss of each anchor (b,)."""
        scale = self.scale()
        labels = rows.own_before / self.before_temperature
        soft = _divergence(rows.without_kin(labels), rows.without_kin(rows.cross * scale))
        inside = _divergence(
            labels.masked_fill(rows.same, -math.inf), (rows.own * scale).masked_fill(rows.same, -math.inf)
        )
        return super().row_losses(rows) + self.weight * (soft + inside)


def _divergence(labels: Tensor, logits: Tensor) -> Tensor:
    log_p, log_q = labels.log_softmax(dim=1), logits.log_softmax(dim=1)
    p = log_p.exp()
    return (p * (log_p - log_q).masked_fill(p == 0, 0.0)).sum(dim=1)
