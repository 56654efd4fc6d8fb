"""One of two processes that share a batch: RANK RENDEZVOUS_FILE OUTPUT_FILE."""

from __future__ import annotations

import sys
from datetime import timedelta

import torch
import torch.distributed as dist

from reelscore.errors import InputError
from reelscore.losses import Gathered, InterIntraLoss, LossConfig, build_loss
from reelscore.losses.factory import BASELINES

RANK, RENDEZVOUS, OUT = int(sys.argv[1]), sys.argv[2], sys.argv[3]


def main() -> None:
    dist.init_process_group(
        "gloo",
        init_method=f"file://{RENDEZVOUS}",
        rank=RANK,
        world_size=2,
        timeout=timedelta(seconds=60),
    )
    torch.manual_seed(0)
    x, y = torch.randn(8, 5, dtype=torch.float64), torch.randn(8, 6, dtype=torch.float64)
    group = torch.tensor([0, 0, 1, 2, 3, 1, 4, 5])
    video, music = torch.nn.Linear(5, 3).double(), torch.nn.Linear(6, 3).double()
    loss = Gathered(InterIntraLoss().double())
    own = slice(4 * RANK, 4 * RANK + 4)
    total = loss(
        video(x[own]),
        music(y[own]),
        video_features=x[own],
        music_features=y[own],
        labels=group[own].tolist(),
    )
    total.backward()
    found = {"total": total.detach()}
    for name, parameter in [
        *video.named_parameters("video"),
        *music.named_parameters("music"),
        *loss.named_parameters(),
    ]:
        assert parameter.grad is not None
        dist.all_reduce(parameter.grad)  # with / 2 below: the mean that DistributedDataParallel takes
        found[name] = parameter.grad / 2
    for name in BASELINES:
        baseline = Gathered(build_loss(LossConfig(name=name)).double())
        shown = {"video_features": x[own], "music_features": y[own], "group": group[own]}
        sides = [embedding.detach().requires_grad_() for embedding in (video(x[own]), music(y[own]))]
        total = baseline(*sides, **shown)
        found[name] = torch.stack(torch.autograd.grad(total, sides)) / 2
        found[f"{name}, total"] = total.detach()
    size, four = 3 + RANK, torch.eye(4)
    sequences, real = torch.ones(4, 2, 5), torch.ones(4, 2, dtype=torch.bool)
    real[2] = RANK == 0
    bad = {
        "unequal": {
            "video_embeddings": torch.eye(size),
            "music_embeddings": torch.eye(size),
            "video_features": torch.eye(size),
            "music_features": torch.eye(size),
        },
        "dtypes": {"video_features": four.double() if RANK else four, "music_features": four},
        "nothing real": {"video_features": sequences, "video_mask": real, "music_features": four},
        "labels": {
            "video_features": four,
            "music_features": four,
            "labels": ["a", "b", "c", "d"] if RANK else torch.arange(4),
        },
    }
    errors = {}
    for name, given in bad.items():
        try:
            loss(**{"video_embeddings": four, "music_embeddings": four, **given})
        except InputError as error:
            errors[name] = str(error)
    torch.save((found, errors), OUT)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
