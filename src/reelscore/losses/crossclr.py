"""Contrastive loss with inter- and intra-modal negatives (CrossCLR).

    l(v_i) = −w_i log [ e^{s_ii/τ} / (e^{s_ii/τ} + Σ_{j ∈ N_i} e^{s(v_i, m_j)/τ} + λ Σ_{j ∈ N_i} e^{s(v_i, v_j)/τ}) ]

After Zolfaghari et al., "CrossCLR: Cross-modal Contrastive Learning For Multi-modal Video Representations" (arXiv
2109.14910). The connectivity C_i = mean_j S0_ij measures how similar an item is to all others. Items of high
connectivity are likely false negatives: they are removed from N. As anchors they weigh more, w_i ∝ e^{C_i/κ} with
mean 1.
Differences:

- C uses centred features and is scaled to [0, 1] over the batch before κ and the threshold; if all items have the same,
  as two always do, it is 0. The paper divides it by its maximum or sum, so its values 0.7 and 0.0035 do not carry over.
- m_j is pruned by its own connectivity, and there is no queue.
- λ multiplies the exponentials, as in the paper's equation. The public code scales the logits by λ and sets pruned
  ones to 0.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .base import check_number
from .row_loss import RowLoss, Rows


class CrossCLR(RowLoss):
    """Contrastive loss with negatives of both modalities, without those of high connectivity.

    Parameters
    ----------
    intra_negatives : float
        λ.
    threshold : float
        Connectivity in [0, 1] above which an item is not used as a negative.
    sharpness : float
        1/κ; 0 gives all anchors equal weight.
    temperature, learnable, chunk_size
        As for `RowLoss`; items of one group are never negatives.
    """

    needs = frozenset({"video", "music"})

    def __init__(
        self,
        *,
        temperature: float = 0.07,
        learnable: bool = True,
        intra_negatives: float = 0.8,
        threshold: float = 0.9,
        sharpness: float = 1.0,
        chunk_size: int | None = None,
    ) -> None:
        super().__init__(temperature=temperature, learnable=learnable, chunk_size=chunk_size)
        self.intra_negatives = check_number("intra_negatives", intra_negatives)
        self.threshold = check_number("threshold", threshold, high=1.0)
        self.sharpness = check_number("sharpness", sharpness)

    def row_losses(self, rows: Rows) -> Tensor:
        """Return the loss of each anchor (b,)."""
        scale = self.scale(rows.cross)
        own_connectivity, other_connectivity = rows.connectivity
        own = rows.positives(rows.cross) * scale
        cross = rows.cross * scale
        inside = rows.within * scale
        hidden = rows.same | (other_connectivity > self.threshold)
        own_hidden = rows.same | (own_connectivity > self.threshold)
        terms = [own[:, None], cross.masked_fill(hidden, -math.inf)]
        if self.intra_negatives > 0:
            terms.append(inside.masked_fill(own_hidden, -math.inf) + math.log(self.intra_negatives))
        losses = torch.cat(terms, dim=1).logsumexp(dim=1) - own
        weights = (self.sharpness * own_connectivity).softmax(dim=0) * len(own_connectivity)
        return weights[rows.index] * losses
