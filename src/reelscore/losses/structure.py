"""Embeddings and frozen directions of one modality enter; how far its similarity structure moved leaves.

With S0 = Y Yᵀ the cosine similarities before the tower and S = X Xᵀ those after it, off the diagonal:

    kl:   L = mean_i KL( softmax_j(S0_ij / t0) ‖ softmax_j(S_ij / t1) )
    mse:  L = mean_{i ≠ j} (S_ij − S0_ij)²

S0 is frozen, so a form need only say its value and G = ∂L/∂S; since S = X Xᵀ, ∂L/∂X = (G + Gᵀ) X. Doing that by
hand leaves nothing of shape (B, B) to be kept for the backward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


class Form(NamedTuple):
    """How two similarity structures are compared.

    Attributes
    ----------
    compare : callable
        (S / t1, S0 / t0), both (B, B) and free to be overwritten -> the value of the loss and its gradient
        by the first, (B, B).
    before_temperature, after_temperature : float
        t0 and t1. They scale a factor of the products, which is smaller than the products themselves.
    symmetric : bool
        Whether the gradient is a symmetric matrix.
    """

    compare: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    before_temperature: float = 1.0
    after_temperature: float = 1.0
    symmetric: bool = False


def kl_form(before_temperature: float, after_temperature: float) -> Form:
    """Return the form that compares neighbourhoods: t0 and t1 say how wide one is, before and after.

    With logits a and b, p = softmax(a) and q = softmax(b), a row's divergence is
    Σ p (a − b) − logsumexp(a) + logsumexp(b), and its gradient by b is q − p.
    """
    return Form(_kl, before_temperature, after_temperature)


def mse_form() -> Form:
    """Return the form that compares the similarities themselves."""
    return Form(_mse, symmetric=True)


def _kl(after: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    num_rows = len(after)
    p, before_sum = _off_diagonal_softmax(before)
    q, after_sum = _off_diagonal_softmax(after)
    # Both diagonals hold the same number, so that their difference is 0 where p is.
    apart = torch.dot(p.flatten(), before.sub_(after).flatten())
    value = (apart + (after_sum - before_sum).sum()) / num_rows
    return value, q.sub_(p).div_(num_rows)


def _mse(after: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    difference = after.sub_(before).fill_diagonal_(0.0)
    num_pairs = len(after) * (len(after) - 1)
    value = torch.dot(difference.flatten(), difference.flatten()) / num_pairs
    return value, difference.mul_(2.0 / num_pairs)


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
        sharpness = 1.0 / form.after_temperature
        after = F.linear(embeddings * sharpness, embeddings)
        before = F.linear(frozen / form.before_temperature, frozen)
        value, gradient = form.compare(after, before)
        if ctx.needs_input_grad[0]:
            # A copy of the transpose reads and writes in blocks; adding the strided view takes four times as long.
            both_ways = gradient.mul_(2) if form.symmetric else gradient.add_(gradient.T.contiguous())
            ctx.save_for_backward((both_ways @ embeddings).mul_(sharpness))
        return value

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *upstream: Any) -> tuple[Tensor, None, None]:
        (by_embeddings,) = ctx.saved_tensors
        return by_embeddings * upstream[0], None, None


def _off_diagonal_softmax(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return the softmax of each row without its diagonal (B, B), and the row's logsumexp (B,)."""
    # The lowest finite number, not −inf: its exponential is 0 all the same, and 0 · logit stays 0.
    softmax = logits.fill_diagonal_(torch.finfo(logits.dtype).min).softmax(dim=1)
    # At the largest logit the softmax is at least 1 / B, so this is exact at every temperature.
    return softmax, logits.amax(dim=1) - softmax.amax(dim=1).log_()
