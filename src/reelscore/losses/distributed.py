"""A loss enters; the same loss over the batches of all processes together leaves.

Each process of a distributed run sees a part of the batch, and a contrastive loss wants the whole: its negatives.
Gathering with the gradient kept gives on every process the loss of the whole batch, and after the mean of gradients
that DistributedDataParallel takes exactly the gradient that one process with the whole batch would have. Without the
gradient of what other processes gathered it would be wrong.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.distributed as dist
import torch.distributed.nn.functional as dist_nn
from torch import Tensor, nn

from reelscore.errors import InputError

from .base import LossParts, PairLoss, check_tensors
from .similarity import pooled_features, told


class Gathered(nn.Module):
    """A `PairLoss` over the batches of all processes.

    Parameters
    ----------
    loss : PairLoss

    Notes
    -----
    Called like the loss itself. Every process must hold equally many items and pass the same arguments; group labels
    must mean the same on every process. Feature sequences are pooled before they travel. Where no process group is
    initialised, this is the loss itself.
    """

    def __init__(self, loss: PairLoss) -> None:
        super().__init__()
        self.loss = loss

    def forward(
        self,
        video_embeddings: Tensor,
        music_embeddings: Tensor,
        *,
        video_features: Tensor | None = None,
        music_features: Tensor | None = None,
        video_mask: Tensor | None = None,
        music_mask: Tensor | None = None,
        group: Tensor | None = None,
    ) -> LossParts:
        """Return the loss of the whole batch; arguments as for `PairLoss`.

        Raises
        ------
        InputError
            As the loss itself; also when the processes hold unequal numbers of items or unequal arguments. What one
            process cannot bring is an error on all of them.
        """
        if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
            whole: LossParts = self.loss(
                video_embeddings,
                music_embeddings,
                video_features=video_features,
                music_features=music_features,
                video_mask=video_mask,
                music_mask=music_mask,
                group=group,
            )
            return whole
        if "video" not in self.loss.needs:
            video_features = None
        if "music" not in self.loss.needs:
            music_features = None
        frozen: dict[str, Tensor | None] = {}
        failure = None
        try:
            check_tensors(video_embeddings, music_embeddings, group)
            frozen = {
                "video_features": _pooled("video", video_features, video_mask),
                "music_features": _pooled("music", music_features, music_mask),
                "group": group,
            }
        except Exception as error:  # the others wait for what this process has to say
            failure = error
        given = {"video_embeddings": video_embeddings, "music_embeddings": music_embeddings, **frozen}
        _check_alike(given, failure)
        gathered: LossParts = self.loss(
            _with_gradient(video_embeddings),
            _with_gradient(music_embeddings),
            **{name: None if value is None else _whole(value) for name, value in frozen.items()},
        )
        return gathered


def _pooled(name: str, features: Tensor | None, mask: Tensor | None) -> Tensor | None:
    if features is None:
        return None
    return pooled_features(features, mask, what=f"{name}_features", mask_what=f"{name}_mask")


def _check_alike(given: Mapping[str, Tensor | None], failure: Exception | None) -> None:
    mine = {name: None if value is None else told(value) for name, value in given.items()}
    failed = None if failure is None else f"{type(failure).__name__}: {failure}"
    everyone: list[tuple[str | None, dict[str, str | None]]] = [(None, {})] * dist.get_world_size()
    dist.all_gather_object(everyone, (failed, mine))
    if failure is not None:
        raise failure
    for process, (failed, _) in enumerate(everyone):
        if failed is not None:
            raise InputError(f"process {process} cannot bring its part of the batch: {failed}")
    for process, (_, theirs) in enumerate(everyone):
        if theirs != mine:
            raise InputError(
                f"every process must pass tensors of the same dtypes and shapes, got {mine} on process "
                f"{dist.get_rank()} and {theirs} on process {process}; drop the incomplete last batch (drop_last=True)"
            )


def _with_gradient(values: Tensor) -> Tensor:
    parts = dist_nn.all_gather(values.contiguous())  # type: ignore[no-untyped-call]
    return torch.cat(parts)


def _whole(values: Tensor) -> Tensor:
    parts = [torch.empty_like(values) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, values.detach().contiguous())
    return torch.cat(parts)
