"""Embeddings and frozen directions of one modality enter; how far its similarity structure moved leaves.

With S0 = Y Yᵀ the cosine similarities before the tower and S = X Xᵀ those after it, off the diagonal:

    kl:   L = mean_i KL( softmax_j(S0_ij / t0) ‖ softmax_j(S_ij / t1) )
    mse:  L = mean_{i ≠ j} (S_ij − S0_ij)²

S0 is frozen, so a form need only say its value and, with G = ∂L/∂S, the sum G + Gᵀ; since S = X Xᵀ,
∂L/∂X = (G + Gᵀ) X. Doing that by hand leaves nothing of shape (B, B) to be kept for the backward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

Form = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(S, S0), both (B, B) and free to be overwritten -> the value of the loss and G + Gᵀ (B, B), G = ∂L/∂S."""


def kl_form(before_temperature: float, after_temperature: float) -> Form:
    """Return the form that compares neighbourhoods: t0 and t1 say how wide one is, before and after."""

    def form(after: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        log_p = _off_diagonal_log_softmax(before.div_(before_temperature))
        log_q = _off_diagonal_log_softmax(after.div_(after_temperature))
        p = log_p.exp()
        num_rows = len(p)
        value = (torch.dot(p.flatten(), log_p.flatten()) - torch.dot(p.flatten(), log_q.flatten())) / num_rows
        gradient = log_q.exp_().sub_(p).div_(num_rows * after_temperature)
        return value, gradient + gradient.T

    return form


def mse_form() -> Form:
    """Return the form that compares the similarities themselves."""

    def form(after: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        difference = after.sub_(before).fill_diagonal_(0.0)
        num_pairs = len(after) * (len(after) - 1)
        value = torch.dot(difference.flatten(), difference.flatten()) / num_pairs
        return value, difference.mul_(4.0 / num_pairs)  # G is symmetric already

    return form


def structure_loss(embeddings: Tensor, frozen: Tensor, form: Form) -> Tensor:
    """Return how far `form` finds the structure moved.

    Parameters
    ----------
    embeddings : Tensor, shape (B, D)
        X, rows of length 1.
    frozen : Tensor, shape (B, P)
        Y, rows of length 1 or 0 (`similarity.frozen_directions`); gets no gradient.
    form : Form
        `kl_form(...)` or `mse_form()`.

    Returns
    -------
    Tensor, scalar
    """
    value: Tensor = _StructureLoss.apply(embeddings, frozen, form)  # type: ignore[no-untyped-call]
    return value


class _StructureLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, embeddings: Tensor, frozen: Tensor, form: Form) -> Tensor:
        value, both_ways = form(F.linear(embeddings, embeddings), F.linear(frozen, frozen))
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(both_ways @ embeddings)
        return value

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *upstream: Any) -> tuple[Tensor, None, None]:
        (by_embeddings,) = ctx.saved_tensors
        return by_embeddings * upstream[0], None, None


def _off_diagonal_log_softmax(logits: Tensor) -> Tensor:
    # The lowest finite number, not −inf: its exponential is 0 all the same, and 0 · log p stays 0.
    return logits.fill_diagonal_(torch.finfo(logits.dtype).min).log_softmax(dim=1)
