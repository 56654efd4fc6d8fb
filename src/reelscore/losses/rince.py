"""Embeddings of pairs enter; the robust InfoNCE loss leaves.

    l(v_i) = −e^{q a_i} / q + (λ Σ_{j ∈ {i} ∪ N_i} e^{a_ij})^q / q,    a_ij = (s_ij − 1) / τ

Chuang et al., "Robust Contrastive Learning against Noisy Views" (RINCE, arXiv 2201.04309). q towards 0 gives InfoNCE
(plus log λ), q = 1 a symmetric loss that noisy pairs hurt less. It differs in a_ij: taking 1 off the cosine multiplies
the loss by the constant e^{−q/τ}, and no exponential can overflow. q = 0.5 is the default of the
authors' code, λ = 0.025 that of another public one; the authors' runs on ImageNet take λ = 0.01 with q = 0.1 and 0.6.
Where a group is positive, e^{a_i} is summed over it.
"""

from __future__ import annotations

from torch import Tensor

from .base import check_knob
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
        As for `RowLoss`. `learnable` is off as published: the scale of the loss depends on τ, and a τ that
        follows it down starves the gradient.
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
        self.q = check_knob("q", q, low=1e-6, high=1.0)
        self.density = check_knob("density", density, low=1e-9)

    def row_losses(self, rows: Rows) -> Tensor:
        """Return the loss of each anchor (b,)."""
        logits = (rows.cross - 1.0) * self.scale()
        if self.groups == "positives":
            own = logits.masked_fill(~rows.same, -float("inf")).logsumexp(dim=1)
        else:
            own, logits = rows.at_home(logits), rows.without_kin(logits)
        everything = self.density**self.q * (self.q * logits.logsumexp(dim=1)).exp()
        loss: Tensor = (everything - (self.q * own).exp()) / self.q
        return loss
