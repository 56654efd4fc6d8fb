"""InfoNCE with soft labels from the frozen features (CUSA).

    l(v_i) = l_InfoNCE(v_i) + w KL( p_i ‖ softmax_j(s(v_i, m_j) / τ) ) + w KL( p'_i ‖ softmax_{j≠i}(s(v_i, v_j) / τ) )

with p_i = softmax_j(S0_ij / t0) of the anchor's modality, and p' the same without i. j runs over i and the other
groups, so that the labels never separate items of one group. After Huang et al., "Cross-modal and Uni-modal Soft-label
Alignment for Image-Text Retrieval" (arXiv 2403.05261). Differences:

- The labels come from the frozen features, in the paper from teacher models.
- Both terms share one weight and the τ of InfoNCE. The authors' configuration has weights 0.1 and 0.5 next to an
  InfoNCE divided once more by the batch size, a learned temperature for each term from 0.45 on, and labels at t0 = 1
  for cosines that are not centred.
- The uni-modal term omits the diagonal, which training cannot change.
- All terms use the same embeddings; in the paper the uni-modal term has its own projections.
"""

from __future__ import annotations

import math

from torch import Tensor

from .base import check_number
from .infonce import InfoNCE
from .row_loss import Groups, Rows


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
        self.weight = check_number("weight", weight)
        self.before_temperature = check_number("before_temperature", before_temperature, low=1e-6)

    def row_losses(self, rows: Rows) -> Tensor:
        """Return the loss of each anchor (b,)."""
        scale = self.scale(rows.cross)
        labels = rows.frozen / self.before_temperature
        soft = _divergence(rows.mask_group(labels), rows.mask_group(rows.cross * scale))
        inside = _divergence(
            labels.masked_fill(rows.same, -math.inf), (rows.within * scale).masked_fill(rows.same, -math.inf)
        )
        return super().row_losses(rows) + self.weight * (soft + inside)


def _divergence(labels: Tensor, logits: Tensor) -> Tensor:
    log_p, log_q = labels.log_softmax(dim=1), logits.log_softmax(dim=1)
    p = log_p.exp()
    return (p * (log_p - log_q).masked_fill(p == 0, 0.0)).sum(dim=1)
