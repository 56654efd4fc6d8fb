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

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from .base import Gather, LossParts, PairBatch
from .row_loss import RowLoss, Rows


class InfoNCE(RowLoss):
    """Symmetric InfoNCE over a batch of pairs. Parameters as for `RowLoss`.

    Examples
    --------
    >>> import torch
    >>> x = torch.eye(3)
    >>> bool(InfoNCE()(x, x) < InfoNCE()(x, x.flip(0)))
    True
    """

    def compute_rows(self, batch: PairBatch, rows: slice, gather: Gather | None = None) -> LossParts:
        """Return the share of some anchors.

        Without blocks one matrix product serves both directions, because S of all rows has the columns of all tracks.
        Of some rows it has a part of each column; with `gather` the processes exchange the sums of their parts.
        """
        is_whole = len(range(len(batch.video))[rows]) == len(batch.video)
        # A subclass that adds terms to a row needs the row itself.
        has_own_rows = type(self).row_losses is not InfoNCE.row_losses
        if self.chunk_size is not None or has_own_rows or not (is_whole or gather):
            return super().compute_rows(batch, rows)
        total = self._unchunked(batch, rows, gather)
        return LossParts(total, {self.name: total.detach()})

    def row_losses(self, rows: Rows) -> Tensor:
        """Return −log p of each anchor (b,)."""
        logits = rows.cross * self.scale(rows.cross)
        if self.groups == "positives":
            return logits.logsumexp(dim=1) - logits.masked_fill(~rows.same, -math.inf).logsumexp(dim=1)
        return rows.mask_group(logits).logsumexp(dim=1) - rows.positives(logits)

    def _unchunked(self, batch: PairBatch, rows: slice, gather: Gather | None) -> Tensor:
        video, music, group = batch.video, batch.music, batch.group
        logits = F.linear(video[rows] * self.scale(video), music)
        index = torch.arange(len(video), device=video.device)[rows]
        own = positive_by_music = logits.gather(1, index[:, None])[:, 0]
        tables = [logits]
        if group is not None:
            same = group[rows][:, None] == group
            # Finite, because the gradient of a column of −inf is not.
            lowest = torch.finfo(logits.dtype).min
            if self.groups == "positives":
                tables.append(logits.masked_fill(~same, lowest))
                own = tables[1].logsumexp(dim=1)
            else:
                tables = [logits.masked_fill(same.scatter_(1, index[:, None], False), lowest)]
        columns = torch.stack([table.logsumexp(dim=0) for table in tables])
        if gather is not None:
            columns = gather(columns[None]).logsumexp(dim=0)
        if len(tables) > 1:
            positive_by_music = columns[1, rows]
        by_video = tables[0].logsumexp(dim=1) - own
        by_music = columns[0, rows] - positive_by_music
        return 0.5 * (by_video + by_music).sum() / len(video)
