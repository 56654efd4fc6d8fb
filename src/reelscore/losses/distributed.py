"""A loss over the batches of all processes.

In a distributed run each process holds a part of the batch, and a contrastive loss needs all of it for its negatives.
Gathering with gradients gives every process the loss of the whole batch. After DistributedDataParallel averages the
gradients, they equal those of a single process with the whole batch. Gathering without gradients would lose the
gradient through the rows of other processes.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.distributed as dist
import torch.distributed.nn.functional as dist_nn
from torch import Tensor

from reelscore.errors import InputError

from .base import Labels, LossParts, PairLoss, check_tensors, to_group
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
    ) -> LossParts:
        """Return the loss of the whole batch and its terms; arguments as for `PairLoss`.

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
        return self.loss.parts(
            _gather_with_gradient(video_embeddings),
            _gather_with_gradient(music_embeddings),
            **{name: None if value is None else _gather(value) for name, value in frozen.items()},
        )


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


def _gather_with_gradient(values: Tensor) -> Tensor:
    parts = dist_nn.all_gather(values.contiguous())  # type: ignore[no-untyped-call]
    return torch.cat(parts)


def _gather(values: Tensor) -> Tensor:
    parts = [torch.empty_like(values) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, values.detach().contiguous())
    return torch.cat(parts)
