"""Embeddings and frozen directions of one modality enter; how far its similarity structure moved leaves.

With S0 = Y Yᵀ the cosine similarities before the tower and S = X Xᵀ those after it, off the diagonal:

    kl:          L = mean_i KL( p_i ‖ q_i ),   p_i = softmax_j(S0_ij / t0),  q_i = softmax_j(S_ij / t1)
    mse:         L = mean_{i ≠ j} (S_ij − S0_ij)²
    order:       L = mean_{i, δ, r} [ S_{i, o_i(r + δ)} − S_{i, o_i(r)} ]₊,   δ = 1, 2, 4, …
    multiscale:  L = Σ_l w_l mean_i JS( softmax_j(S0_ij / 2^l t0) ‖ softmax_j(S_ij / 2^l t1) ),   l = 0, 1, 2

``order`` is after the soft intra-modal structure of VM-NET (Hong et al., arXiv 1804.08426): whom the frozen
encoder holds closer shall stay closer. There each triple (i, j, k) counts; here o_i sorts the others by falling
S0 and a place r is compared with those 1, 2, 4, … behind it, B log B triples an anchor in place of B², and places
that S0 holds equally close are not compared. ``multiscale`` is after STRUCTURE (arXiv 2506.16895), which compares
powers of a random walk over the neighbourhoods by their Jensen-Shannon divergence with weights 1/l; here doubling
the temperature widens the neighbourhood in place of a further step, which needs no product of (B, B) matrices,
w_l ∝ 1 / (l + 1).

S0 is frozen, so a form need only say its value and G = ∂L/∂S; since S = X Xᵀ, ∂L/∂X = (G + Gᵀ) X. Doing that by
hand leaves nothing of shape (B, B) to be kept for the backward pass, and block by block nothing of it at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

SCALES = (1.0, 2.0, 4.0)
"""What ``multiscale`` multiplies both temperatures by."""


class Form(NamedTuple):
    """How two similarity structures are compared.

    Attributes
    ----------
    compare : callable
        (S / t1, S0 / t0, start), rows start, start + 1, … of both, (b, B), free to be overwritten -> the rows' share
        of the loss and its gradient by the first, (b, B).
    before_temperature, after_temperature : float
        t0 and t1. They scale a factor of the products, which is smaller than the products themselves.
    symmetric : bool
        Whether the gradient is a symmetric matrix.
    """

    compare: Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]]
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


def order_form() -> Form:
    """Return the form that compares who is closer than whom."""
    return Form(_order)


def multiscale_form(before_temperature: float, after_temperature: float) -> Form:
    """Return the form that compares neighbourhoods of several widths.

    With m = (p + q) / 2 a row's divergence is ½ Σ p log(p/m) + ½ Σ q log(q/m); its gradient by the logits of q is
    q (u − Σ q u) with u = ½ log(q/m).
    """
    return Form(_multiscale, before_temperature, after_temperature)


def _kl(after: Tensor, before: Tensor, start: int) -> tuple[Tensor, Tensor]:
    num_rows = after.shape[1]
    p, before_sum = _off_diagonal_softmax(before, start)
    q, after_sum = _off_diagonal_softmax(after, start)
    # Both diagonals hold the same number, so that their difference is 0 where p is.
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
    before.diagonal(start).fill_(-math.inf)  # sorts the anchor itself last, where it is cut off
    known, places = before.sort(dim=1, descending=True, stable=True)
    known, places = known[:, :-1], places[:, :-1]
    found = after.gather(1, places)
    value, slope = after.new_zeros(()), torch.zeros_like(found)
    offsets = [1 << power for power in range(known.shape[1].bit_length()) if 1 << power < known.shape[1]]
    for offset in offsets:
        worse = found[:, offset:] - found[:, :-offset]
        wrong = (worse > 0) & (known[:, :-offset] > known[:, offset:])
        share = 1.0 / (num_rows * len(offsets) * worse.shape[1])
        value = value + worse.mul_(wrong).sum() * share
        slope[:, offset:] += wrong * share
        slope[:, :-offset] -= wrong * share
    return value, torch.zeros_like(after).scatter_(1, places, slope)


def _multiscale(after: Tensor, before: Tensor, start: int) -> tuple[Tensor, Tensor]:
    num_rows = after.shape[1]
    after.diagonal(start).fill_(-math.inf)
    before.diagonal(start).fill_(-math.inf)
    weights = [1.0 / (place + 1) for place in range(len(SCALES))]
    value, slope = after.new_zeros(()), torch.zeros_like(after)
    for scale, weight in zip(SCALES, weights, strict=True):
        share = weight / sum(weights) / num_rows
        log_p = (before / scale).log_softmax(dim=1)
        log_q = (after / scale).log_softmax(dim=1)
        log_m = torch.logaddexp(log_p, log_q) - math.log(2.0)
        p, q = log_p.exp(), log_q.exp()
        # On the diagonal both are 0 and their logarithms −inf.
        u = _zero_where_empty(q, log_q - log_m).mul_(0.5)
        value = value + share * (0.5 * (p * _zero_where_empty(p, log_p - log_m)).sum() + (q * u).sum())
        slope += (share / scale) * q * (u - (q * u).sum(dim=1, keepdim=True))
    return value, slope


def structure_loss(
    embeddings: Tensor, frozen: Tensor, form: Form, *, chunk_size: int | None = None
) -> Tensor:
    """Return how far `form` finds the structure moved.

    Parameters
    ----------
    embeddings : Tensor, shape (B, D)
        X, rows of length 1, of single precision or double: a form sums B² small terms, and works in place, where
        nothing is autocast.
    frozen : Tensor, shape (B, P)
        Y, rows of length 1 or 0 (`similarity.frozen_directions`); gets no gradient.
    form : Form
    chunk_size : int, optional
        Rows of S that are held at once; all without it.

    Returns
    -------
    Tensor, scalar
    """
    value: Tensor = _StructureLoss.apply(embeddings, frozen, form, chunk_size)  # type: ignore[no-untyped-call]
    return value


class _StructureLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, embeddings: Tensor, frozen: Tensor, form: Form, chunk_size: int | None) -> Tensor:
        sharpness = 1.0 / form.after_temperature
        size = len(embeddings) if chunk_size is None else chunk_size
        value = embeddings.new_zeros(())
        slope = torch.zeros_like(embeddings) if ctx.needs_input_grad[0] and size < len(embeddings) else None
        for start in range(0, len(embeddings), size):
            block = slice(start, start + size)
            after = F.linear(embeddings[block] * sharpness, embeddings)
            before = F.linear(frozen[block] / form.before_temperature, frozen)
            share, gradient = form.compare(after, before, start)
            value = value + share
            if slope is not None:
                slope[block].addmm_(gradient, embeddings)
                slope.addmm_(gradient.T, embeddings[block])
            elif ctx.needs_input_grad[0]:
                # A copy of the transpose reads and writes in blocks; adding the strided view takes four times as long.
                both_ways = gradient.mul_(2) if form.symmetric else gradient.add_(gradient.T.contiguous())
                slope = both_ways @ embeddings
        if slope is not None:
            ctx.save_for_backward(slope.mul_(sharpness))
        return value

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *upstream: Any) -> tuple[Tensor, None, None, None]:
        (by_embeddings,) = ctx.saved_tensors
        return by_embeddings * upstream[0], None, None, None


def _off_diagonal_softmax(logits: Tensor, start: int) -> tuple[Tensor, Tensor]:
    """Return the softmax of each row without its diagonal (b, B), and the row's logsumexp (b,)."""
    # The lowest finite number, not −inf: its exponential is 0 all the same, and 0 · logit stays 0.
    logits.diagonal(start).fill_(torch.finfo(logits.dtype).min)
    softmax = logits.softmax(dim=1)
    # At the largest logit the softmax is at least 1 / B, so this is exact at every temperature.
    return softmax, logits.amax(dim=1) - softmax.amax(dim=1).log_()


def _zero_where_empty(probability: Tensor, values: Tensor) -> Tensor:
    return values.masked_fill_(probability == 0, 0.0)
