"""Symmetric InfoNCE loss.

    L_inter = ½ mean_i [ −log p(m_i | v_i) ] + ½ mean_i [ −log p(v_i | m_i) ],
    p(m_i | v_i) = Σ_{j ∈ P_i} exp(s_ij / τ) / Σ_{j ∈ P_i ∪ N_i} exp(s_ij / τ),    s_ij = cos(v_i, m_j)

N_i holds the items of other groups. P_i is {i} with ``groups="negatives-masked"``, and the whole group of i with
``groups="positives"``. Without groups both are the InfoNCE of van den Oord et al. (arXiv 1807.03748), symmetric and
with a learnable temperature as in CLIP (arXiv 2103.00020). The sum over several positives inside the logarithm is that
of MIL-NCE (arXiv 1912.06430).
"""

from __future__ import annotations

import math

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from .base import LossParts, PairBatch
from .row_loss import RowLoss, Rows
from .similarity import same_group


class InfoNCE(RowLoss):
    """Symmetric InfoNCE over a batch of pairs. Parameters as for `RowLoss`.

    Examples
    --------
    >>> import torch
    >>> x = torch.eye(3)
    >>> bool(InfoNCE()(x, x) < InfoNCE()(x, x.flip(0)))
    True
    """

    def compute(self, batch: PairBatch) -> LossParts:
        """Return the loss. Without blocks one matrix product serves both directions."""
        if self.chunk_size is not None:
            return super().compute(batch)
        total = self._unchunked(batch.video, batch.music, batch.group)
        return LossParts(total, {self.name: total.detach()})

    def row_losses(self, rows: Rows) -> Tensor:
        """Return −log p of each anchor (b,)."""
        logits = rows.cross * self.scale(rows.cross)
        if self.groups == "positives":
            return logits.logsumexp(dim=1) - logits.masked_fill(~rows.same, -math.inf).logsumexp(dim=1)
        return rows.mask_group(logits).logsumexp(dim=1) - rows.positives(logits)

    def _unchunked(self, video: Tensor, music: Tensor, group: Tensor | None) -> Tensor:
        logits = F.linear(video * self.scale(video), music)
        if group is None:
            positive_by_video = positive_by_music = logits.diagonal()
        else:
            same = same_group(group)
            if self.groups == "positives":
                positives = logits.masked_fill(~same, -math.inf)
                positive_by_video, positive_by_music = positives.logsumexp(dim=1), positives.logsumexp(dim=0)
            else:
                positive_by_video = positive_by_music = logits.diagonal()
                logits = logits.masked_fill(same.fill_diagonal_(False), -math.inf)
        by_video = (logits.logsumexp(dim=1) - positive_by_video).mean()
        by_music = (logits.logsumexp(dim=0) - positive_by_music).mean()
        return 0.5 * (by_video + by_music)
