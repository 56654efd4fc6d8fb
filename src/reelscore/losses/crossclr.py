"""Embeddings and frozen features of pairs enter; a contrastive loss with negatives of both modalities leaves.

    l(v_i) = −w_i log [ e^{s_ii/τ} / (e^{s_ii/τ} + Σ_{j ∈ N_i} e^{s(v_i, m_j)/τ} + λ Σ_{j ∈ N_i} e^{s(v_i, v_j)/τ}) ]

After Zolfaghari et al., "CrossCLR: Cross-modal Contrastive Learning For Multi-modal Video Representations" (arXiv
2109.14910): the connectivity C_i = mean_j S0_ij says how much an item resembles the others; items of high connectivity
are left out of N (they are likely false negatives), and weigh more as anchors, w_i ∝ e^{C_i/κ} with mean 1. It differs
in that C, of centred features, is scaled to [0, 1] over the batch before κ and the threshold (there it is divided
by its maximum or sum, so that their 0.7 and 0.0035 mean something else), in that m_j is pruned by its own
connectivity, and in that there is no queue. The public code scales the logits by λ and sets pruned ones to 0;
here stands the equation, with λ before the exponentials.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .base import check_knob
from .row_loss import RowLoss, Rows


class CrossCLR(RowLoss):
    """Inter- and intra-modal negatives with influential samples pruned.

    Parameters
    ----------
    intra_negatives : float
        λ.
    threshold : float
        Connectivity, from 0 to 1, above which an item is nobody's negative.
    sharpness : float
        1/κ; 0 weighs all anchors alike.
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
        self.intra_negatives = check_knob("intra_negatives", intra_negatives)
        self.threshold = check_knob("threshold", threshold, high=1.0)
        self.sharpness = check_knob("sharpness", sharpness)

    def row_losses(self, rows: Rows) -> Tensor:
        """Return the loss of each anchor (b,)."""
        scale = self.scale()
        own_connected, other_connected = rows.connectivity
        own = rows.at_home(rows.cross) * scale
        cross = rows.cross * scale
        inside = rows.own * scale
        hidden = rows.same | (other_connected > self.threshold)
        own_hidden = rows.same | (own_connected > self.threshold)
        terms = [own[:, None], cross.masked_fill(hidden, -math.inf)]
        if self.intra_negatives > 0:
            terms.append(inside.masked_fill(own_hidden, -math.inf) + math.log(self.intra_negatives))
        losses = torch.cat(terms, dim=1).logsumexp(dim=1) - own
        weights = (self.sharpness * own_connected).softmax(dim=0) * len(own_connected)
        return weights[rows.index] * losses
