"""Robust InfoNCE loss (RINCE).

    l(v_i) = −e^{q a_i} / q + (λ Σ_{j ∈ {i} ∪ N_i} e^{a_ij})^q / q,    a_ij = (s_ij − 1) / τ

Chuang et al., "Robust Contrastive Learning against Noisy Views" (arXiv 2201.04309). As q tends to 0 it becomes InfoNCE
plus log λ; q = 1 gives a symmetric loss that is less sensitive to noisy pairs. Difference: a_ij subtracts 1 from the
cosine, which multiplies the loss by the constant e^{−q/τ} and prevents overflow. The default q = 0.5 is that of the
authors' code, λ = 0.025 that of another public one; their ImageNet runs use λ = 0.01 with q = 0.1 and 0.6. With groups
as positives, e^{a_i} is summed over the group.
"""

from __future__ import annotations

from torch import Tensor

from .base import check_number
from .row_loss import Groups, RowLoss, Rows


class RINCE(RowLoss):
    """Robust InfoNCE.

    Parameters
    ----------
    q : float
        In (0, 1].
    density : float
        λ, the weight of positives against negatives.
    temperature, learnable, groups, chunk_size
        As for `RowLoss`. `learnable` is off, as published: the scale of the loss depends on τ, and a τ learned to
        reduce it would shrink the gradient.
    """

    def __init__(
        self,
        *,
        temperature: float = 0.07,
        learnable: bool = False,
        groups: Groups = "negatives-masked",
        q: float = 0.5,
        density: float = 0.025,
        chunk_size: int | None = None,
    ) -> None:
        super().__init__(temperature=temperature, learnable=learnable, groups=groups, chunk_size=chunk_size)
        self.q = check_number("q", q, low=1e-6, high=1.0)
        self.density = check_number("density", density, low=1e-9)

    def row_losses(self, rows: Rows) -> Tensor:
        """Return the loss of each anchor (b,)."""
        logits = (rows.cross - 1.0) * self.scale(rows.cross)
        if self.groups == "positives":
            own = logits.masked_fill(~rows.same, -float("inf")).logsumexp(dim=1)
        else:
            own, logits = rows.positives(logits), rows.mask_group(logits)
        everything = self.density**self.q * (self.q * logits.logsumexp(dim=1)).exp()
        loss: Tensor = (everything - (self.q * own).exp()) / self.q
        return loss
