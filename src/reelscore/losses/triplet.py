"""Bidirectional triplet loss with a margin.

    all:      l(v_i) = mean_{j ∈ N_i} [α − s_ii + s_ij]₊
    hardest:  l(v_i) = max_{j ∈ N_i}  [α − s_ii + s_ij]₊

Faghri et al., "VSE++: Improving Visual-Semantic Embeddings with Hard Negatives" (arXiv 1707.05612): the sum of hinges
and the max of hinges. The default is ``"all"``, because the hardest negative is the most likely false negative where
many tracks match a video. Differences: the mean replaces the sum, so that the scale does not depend on the batch size,
and N_i holds items of other groups only.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from reelscore.errors import InputError

from .base import check_number
from .row_loss import RowLoss, Rows

Negatives = Literal["all", "hardest"]


class Triplet(RowLoss):
    """Bidirectional triplet loss, without a temperature.

    Parameters
    ----------
    margin : float
        α, a difference of cosines.
    negatives : {"all", "hardest"}
        Negatives of the batch that count.
    chunk_size : int, optional
        As for `RowLoss`; items of one group are never negatives.
    """

    def __init__(
        self, *, margin: float = 0.2, negatives: Negatives = "all", chunk_size: int | None = None
    ) -> None:
        # The fixed temperature is never used.
        super().__init__(learnable=False, chunk_size=chunk_size)
        self.margin = check_number("margin", margin)
        if negatives not in ("all", "hardest"):
            raise InputError(f"negatives must be 'all' or 'hardest', got {negatives!r}")
        self.negatives = negatives

    @property
    def temperature(self) -> None:  # type: ignore[override]
        """None: the loss has no temperature."""
        return None

    def row_losses(self, rows: Rows) -> Tensor:
        """Return the loss of each anchor (b,)."""
        own = rows.positives(rows.cross)
        hinge = (self.margin - own[:, None] + rows.cross).clamp_min(0.0).masked_fill(rows.same, 0.0)
        if self.negatives == "hardest":
            return hinge.amax(dim=1)
        return hinge.sum(dim=1) / (~rows.same).sum(dim=1)
