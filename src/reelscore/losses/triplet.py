"""Embeddings of paired videos and tracks enter; a bidirectional hinge loss with a margin leaves.

    all:      l(v_i) = mean_{j ∈ N_i} [α − s_ii + s_ij]₊
    hardest:  l(v_i) = max_{j ∈ N_i}  [α − s_ii + s_ij]₊

After Faghri et al., "VSE++: Improving Visual-Semantic Embeddings with Hard Negatives" (arXiv 1707.05612): their sum of
hinges and their max of hinges. The default is ``"all"``: many tracks suit one video, so that the hardest negative
of a batch is the likeliest to be a false one. It differs in the mean in place of the sum, so that the
margin and not the size of the batch sets the scale, and in N_i, which holds other groups only.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from reelscore.errors import InputError

from .base import check_knob
from .row_loss import RowLoss, Rows

Negatives = Literal["all", "hardest"]


class Triplet(RowLoss):
    """Bidirectional hinge; it has no temperature.

    Parameters
    ----------
    margin : float
        α, in cosine.
    negatives : {"all", "hardest"}
        Which negatives of the batch count.
    chunk_size : int, optional
        As for `RowLoss`; items of one group are never negatives.
    """

    def __init__(
        self, *, margin: float = 0.2, negatives: Negatives = "all", chunk_size: int | None = None
    ) -> None:
        # A temperature that is not learnable: the rows of this loss ask for none.
        super().__init__(learnable=False, chunk_size=chunk_size)
        self.margin = check_knob("margin", margin)
        if negatives not in ("all", "hardest"):
            raise InputError(f"negatives must be 'all' or 'hardest', got {negatives!r}")
        self.negatives = negatives

    @property
    def temperature(self) -> None:  # type: ignore[override]
        """None: a hinge has none."""
        return None

    def row_losses(self, rows: Rows) -> Tensor:
        """Return the loss of each anchor (b,)."""
        own = rows.at_home(rows.cross)
        hinge = (self.margin - own[:, None] + rows.cross).clamp_min(0.0).masked_fill(rows.same, 0.0)
        if self.negatives == "hardest":
            return hinge.amax(dim=1)
        return hinge.sum(dim=1) / (~rows.same).sum(dim=1)
