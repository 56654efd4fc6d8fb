"""Losses on the change of a modality's similarity structure.

With S0 = Y Yᵀ the cosine similarities before the tower and S = X Xᵀ those after it, without the diagonals:

    kl:          L = mean_i KL( p_i ‖ q_i ),   p_i = softmax_j(S0_ij / t0),  q_i = softmax_j(S_ij / t1)
    mse:         L = mean_{i ≠ j} (S_ij − S0_ij)²
    order:       L = mean_{i, δ, r} [ S_{i, o_i(r + δ)} − S_{i, o_i(r)} ]₊,   δ = 1, 2, 4, …

``order`` is after the soft intra-modal structure of VM-NET (Hong et al., arXiv 1704.06761): items nearer in the frozen
features must stay nearer. VM-NET counts every triple (i, j, k). Here o_i sorts the other items by decreasing S0, and
rank r is compared with the ranks 1, 2, 4, … after it: B log B triples for each anchor instead of B². Ties of S0 are
skipped.

S0 is constant, so a form computes its value and G = ∂L/∂S; since S = X Xᵀ, ∂L/∂X = (G + Gᵀ) X. This explicit gradient
keeps no (B, B) tensor for the backward pass, and computed in blocks it never holds one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


class Form(NamedTuple):
    """A comparison of two similarity structures.

    Attributes
    ----------
    compare : callable
        (S / t1, S0 / t0, start) -> the share of the loss and its gradient by the first argument, (b, B). Both
        arguments hold the rows start, start + 1, … (b, B) and may be overwritten.
    before_temperature, after_temperature : float
        t0 and t1, applied to a factor of the matrix products, which is smaller than the product.
    symmetric : bool
        Whether the gradient is a symmetric matrix.
    """

    compare: Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]]
    before_temperature: float = 1.0
    after_temperature: float = 1.0
    symmetric: bool = False


def kl_form(before_temperature: float, after_temperature: float) -> Form:
    """Return the form that compares neighbourhoods by their KL divergence; t0 and t1 set their widths.

    With logits a and b, p = softmax(a) and q = softmax(b), a row's divergence is
    Σ p (a − b) − logsumexp(a) + logsumexp(b), and its gradient by b is q − p.
    """
    return Form(_kl, before_temperature, after_temperature)


def mse_form() -> Form:
    """Return the form that compares the similarities by their squared difference."""
    return Form(_mse, symmetric=True)


def order_form() -> Form:
    """Return the form that compares the order of the neighbours."""
    return Form(_order)


def _kl(after: Tensor, before: Tensor, start: int) -> tuple[Tensor, Tensor]:
    num_rows = after.shape[1]
    p, before_sum = _off_diagonal_softmax(before, start)
    q, after_sum = _off_diagonal_softmax(after, start)
    # Both diagonals hold the same number, so that their difference is 0 there, like p.
    apart = torch.dot(p.flatten(), before.sub_(after).flatten())
    value = (apart + (after_sum - before_sum).sum()) / num_rows
    return value, q.sub_(p).div_(num_rows)


def _mse(after: Tensor, before: Tensor, start: int) -> tuple[Tensor, Tensor]:
    difference = after.sub_(before)
    difference.diagonal(start).zero_()
    num_pairs = after.shape[1] * (after.shape[1] - 1)
    value = torch.dot(difference.flatten(), difference.flatten()) / num_pairs
    return value, difference.mul_(2.0 / num_pairs)


def _order(after: Tensor, before: Tensor, start: int) -> tuple[Tensor, Tensor]:
    num_rows = after.shape[1]
    before.diagonal(start).fill_(-math.inf)  # sorts the anchor last, where it is cut off
    ranked, order = before.sort(dim=1, descending=True, stable=True)
    ranked, order = ranked[:, :-1], order[:, :-1]
    similarity = after.gather(1, order)
    value, slope = after.new_zeros(()), torch.zeros_like(similarity)
    offsets = [1 << power for power in range(ranked.shape[1].bit_length()) if 1 << power < ranked.shape[1]]
    for offset in offsets:
        gain = similarity[:, offset:] - similarity[:, :-offset]
        violated = (gain > 0) & (ranked[:, :-offset] > ranked[:, offset:])
        share = 1.0 / (num_rows * len(offsets) * gain.shape[1])
        value = value + gain.mul_(violated).sum() * share
        slope[:, offset:] += violated * share
        slope[:, :-offset] -= violated * share
    return value, torch.zeros_like(after).scatter_(1, order, slope)


def structure_loss(
    embeddings: Tensor,
    frozen: Tensor,
    form: Form,
    *,
    chunk_size: int | None = None,
    rows: slice | None = None,
) -> Tensor:
    """Return the loss between the structures before and after the tower.

    Parameters
    ----------
    embeddings : Tensor, shape (B, D)
        X, rows of norm 1, in single or double precision: a form sums B² small terms in place, where autocast has no
        effect.
    frozen : Tensor, shape (B, P)
        Y, rows of norm 1 or 0 (`similarity.frozen_directions`), without gradient.
    form : Form
    chunk_size : int, optional
        Rows of S held at once; all by default.
    rows : slice, optional
        Rows of S whose share of the loss is returned; all by default.

    Returns
    -------
    Tensor, scalar

    Notes
    -----
    The gradients of slices that divide the batch add up to that of the loss. With a symmetric form, a slice gives its
    own embeddings their whole gradient and the others none, which saves a matrix product.
    """
    span = range(len(embeddings))[rows or slice(None)]
    value: Tensor = _StructureLoss.apply(embeddings, frozen, form, chunk_size, span)  # type: ignore[no-untyped-call]
    return value


class _StructureLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, embeddings: Tensor, frozen: Tensor, form: Form, chunk_size: int | None, rows: range
    ) -> Tensor:
        sharpness = 1.0 / form.after_temperature
        size = len(rows) if chunk_size is None else chunk_size
        value = embeddings.new_zeros(())
        slope = torch.zeros_like(embeddings) if ctx.needs_input_grad[0] else None
        for start in range(rows.start, rows.stop, size):
            block = slice(start, min(start + size, rows.stop))
            after = F.linear(embeddings[block] * sharpness, embeddings)
            before = F.linear(frozen[block] / form.before_temperature, frozen)
            share, gradient = form.compare(after, before, start)
            value = value + share
            if slope is None:
                continue
            if form.symmetric:
                slope[block] = gradient.mul_(2) @ embeddings
            elif len(gradient) == len(embeddings):
                # A contiguous copy of the transpose: adding the strided view takes four times as long.
                slope = gradient.add_(gradient.T.contiguous()) @ embeddings
            else:
                slope[block].addmm_(gradient, embeddings)
                slope.addmm_(gradient.T, embeddings[block])
        if slope is not None:
            ctx.save_for_backward(slope.mul_(sharpness))
        return value

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *upstream: Any) -> tuple[Tensor, None, None, None, None]:
        (by_embeddings,) = ctx.saved_tensors
        return by_embeddings * upstream[0], None, None, None, None


def _off_diagonal_softmax(logits: Tensor, start: int) -> tuple[Tensor, Tensor]:
    """Return the softmax of each row without its diagonal (b, B), and the row's logsumexp (b,)."""
    # The lowest finite number instead of −inf: its exponential is 0 too, and 0 · logit stays 0.
    logits.diagonal(start).fill_(torch.finfo(logits.dtype).min)
    softmax = logits.softmax(dim=1)
    # At the largest logit the softmax is at least 1 / B, so this is exact at every temperature.
    return softmax, logits.amax(dim=1) - softmax.amax(dim=1).log_()
