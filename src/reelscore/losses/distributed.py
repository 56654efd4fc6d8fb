"""A loss over the batches of all processes.

In a distributed run each process holds a part of the batch, and a contrastive loss needs all of it for its negatives.
`gather_rows` gives every process the embeddings E of the whole batch. Process k computes the share L_k(E) of its own
items as anchors, and all sum the shares to L = Σ_k L_k. Both exchanges sum gradients over the K processes in the
backward pass, as each of them differentiates L. With respect to the parameters θ of the towers, process k then has

    g_k = K ∂L/∂E_k ∂E_k/∂θ,        mean of the g_k = ∂L/∂θ,

where E_k are its rows. The mean is what DistributedDataParallel takes. Gathering without gradients would lose the
gradient through the rows of other processes. Of the loss's own parameters each process sees the gradient of its share
alone, so it is averaged here: all processes have the whole, also outside DistributedDataParallel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from reelscore.errors import InputError

from .base import Gather, Labels, LossParts, PairLoss, check_tensors, to_group
from .similarity import describe, pooled_features


class Gathered(PairLoss):
    """A `PairLoss` over the batches of all processes.

    Parameters
    ----------
    loss : PairLoss

    Notes
    -----
    Called like the loss. Every process must hold the same number of items and pass the same arguments; labels must be
    global. Feature sequences are pooled before they are gathered. Without an initialised process group this is
    the loss.

    Each process computes 1/K of the loss. A loss of your own is computed whole by each, unless it overrides
    `PairLoss.compute_rows`.
    """

    def __init__(self, loss: PairLoss) -> None:
        super().__init__()
        self.loss = loss

    @property
    def needs(self) -> frozenset[str]:
        """`needs` of the loss."""
        return self.loss.needs

    @property
    def temperature(self) -> float | None:
        """Current τ of the loss."""
        return self.loss.temperature

    def parts(
        self,
        video_embeddings: Tensor,
        music_embeddings: Tensor,
        labels: Labels | None = None,
        *,
        video_features: Tensor | None = None,
        music_features: Tensor | None = None,
        video_mask: Tensor | None = None,
        music_mask: Tensor | None = None,
        group: Labels | None = None,
        rows: slice | None = None,
        gather: Gather | None = None,
    ) -> LossParts:
        """Return the loss of the whole batch and its terms; arguments as for `PairLoss`.

        With several processes, `rows` are the anchors that this process computes, by default its own items. The slices
        of all must divide the whole batch.

        Raises
        ------
        InputError
            As the loss; also if the processes have different numbers of items or different arguments. An error of one
            process is raised on all of them.
        """
        if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
            return self.loss.parts(
                video_embeddings,
                music_embeddings,
                labels,
                video_features=video_features,
                music_features=music_features,
                video_mask=video_mask,
                music_mask=music_mask,
                group=group,
                rows=rows,
                gather=gather,
            )
        if "video" not in self.loss.needs:
            video_features = None
        if "music" not in self.loss.needs:
            music_features = None
        frozen: dict[str, Tensor | None] = {}
        failure = None
        try:
            check_tensors(video_embeddings, music_embeddings)
            frozen = {
                "video_features": _pooled("video", video_features, video_mask),
                "music_features": _pooled("music", music_features, music_mask),
                "labels": to_group(labels, group, video_embeddings),
            }
        except Exception as error:  # raised in _check_alike, after all processes have exchanged their state
            failure = error
        inputs = {"video_embeddings": video_embeddings, "music_embeddings": music_embeddings, **frozen}
        _check_alike(inputs, failure)
        start = dist.get_rank() * len(video_embeddings)
        return sum_of_shares(
            self.loss,
            slice(start, start + len(video_embeddings)) if rows is None else rows,
            **{name: None if value is None else gather_rows(value) for name, value in inputs.items()},
        )


def sum_of_shares(loss: PairLoss, rows: slice, **arguments: Tensor | None) -> LossParts:
    """Return the loss of a gathered batch, of which this process computes the anchors `rows`.

    The gradient is as the module's docstring says; other arguments as for `PairLoss.parts`.
    """
    module = _Parts(loss)
    parameters = {name: _MeanOfGradients.apply(value) for name, value in module.named_parameters()}  # type: ignore[no-untyped-call]
    own: LossParts = torch.func.functional_call(
        module, parameters, kwargs={**arguments, "rows": rows, "gather": gather_rows}
    )
    total, *parts = _Sum.apply(torch.stack([own.total, *own.parts.values()]))  # type: ignore[no-untyped-call]
    return LossParts(total, {name: value.detach() for name, value in zip(own.parts, parts, strict=True)})


class _Parts(nn.Module):
    """`PairLoss.parts` as the forward method, which `torch.func.functional_call` calls."""

    def __init__(self, loss: PairLoss) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, **arguments: Any) -> LossParts:
        return self.loss.parts(**arguments)


def gather_rows(values: Tensor, sizes: Sequence[int] | None = None) -> Tensor:
    """Return the rows of all processes, in the order of the processes.

    Parameters
    ----------
    values : Tensor, shape (B, ...)
        The rows of this process; of the same dtype and further shape on every process.
    sizes : sequence of int, optional
        Number of rows of each process; by default all have B.

    Returns
    -------
    Tensor, shape (sum of the sizes, ...)
        With a gradient if `values` has one. The mean of the processes' gradients is that of one process with all rows.
    """
    sizes = [len(values)] * dist.get_world_size() if sizes is None else sizes
    rows: Tensor = _Gather.apply(values, sizes)  # type: ignore[no-untyped-call]
    return rows


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, sizes: Sequence[int]) -> Tensor:
        ctx.sizes = sizes
        longest = max(sizes)
        padded = values
        if len(values) < longest:  # gloo gathers tensors of one shape
            padded = values.new_zeros((longest, *values.shape[1:]))
            padded[: len(values)] = values
        parts = [torch.empty_like(padded, memory_format=torch.contiguous_format) for _ in sizes]
        dist.all_gather(parts, padded.contiguous())
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return torch.split(_summed(gradient), ctx.sizes)[dist.get_rank()], None


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        return _summed(values)

    @staticmethod
    @once_differentiable
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return _summed(gradient)


class _MeanOfGradients(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, parameter: Tensor) -> Tensor:
        # A view, because a loss may bound its parameters in place.
        return parameter.view_as(parameter)

    @staticmethod
    @once_differentiable
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return _summed(gradient) / dist.get_world_size()


def _summed(values: Tensor) -> Tensor:
    """Return the sum over all processes."""
    total = values.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total


def _pooled(name: str, features: Tensor | None, mask: Tensor | None) -> Tensor | None:
    if features is None:
        return None
    return pooled_features(features, mask, what=f"{name}_features", mask_what=f"{name}_mask")


def _check_alike(inputs: Mapping[str, Tensor | None], failure: Exception | None) -> None:
    own = {name: None if value is None else describe(value) for name, value in inputs.items()}
    failed = None if failure is None else f"{type(failure).__name__}: {failure}"
    everyone: list[tuple[str | None, dict[str, str | None]]] = [(None, {})] * dist.get_world_size()
    dist.all_gather_object(everyone, (failed, own))
    if failure is not None:
        raise failure
    for process, (failed, _) in enumerate(everyone):
        if failed is not None:
            raise InputError(f"process {process} has no valid part of the batch: {failed}")
    for process, (_, other) in enumerate(everyone):
        if other != own:
            raise InputError(
                f"every process must pass tensors of the same dtypes and shapes, got {own} on process "
                f"{dist.get_rank()} and {other} on process {process}; drop the incomplete last batch (drop_last=True)"
            )
