"""One of K processes that share a batch: RANK K RENDEZVOUS_FILE OUTPUT_FILE."""

from __future__ import annotations

import sys
from datetime import timedelta

import torch
import torch.distributed as dist

from reelscore.errors import InputError
from reelscore.losses import Gathered, InterIntraLoss, LossConfig, build_loss
from reelscore.losses.distributed import gather_rows
from reelscore.losses.factory import BASELINES

NUM_PAIRS = 12
GROUP = (0, 0, 1, 2, 3, 3, 3, 3, 2, 6, 3, 7)
"""The second of three processes has no negative for item 10."""

CONFIGS = {
    **{name: LossConfig(name=name, chunk_size=3) for name in BASELINES},  # type: ignore[arg-type]
    "infonce, one product": LossConfig(name="infonce"),
    "infonce, positives": LossConfig(name="infonce", groups="positives"),
    "inter-intra, kl": LossConfig(intra="kl"),
}


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.nn.Linear, torch.nn.Linear]:
    """Return the features of the whole batch and a linear tower for each side, in double precision."""
    torch.manual_seed(0)
    x = torch.randn(NUM_PAIRS, 5, dtype=torch.float64)
    y = torch.randn(NUM_PAIRS, 6, dtype=torch.float64)
    return x, y, torch.nn.Linear(5, 3).double(), torch.nn.Linear(6, 3).double()


def main(rank: int, world_size: int, rendezvous: str, out: str) -> None:
    dist.init_process_group(
        "gloo",
        init_method=f"file://{rendezvous}",
        rank=rank,
        world_size=world_size,
        timeout=timedelta(seconds=60),
    )
    x, y, video, music = batch()
    group = torch.tensor(GROUP)
    loss = Gathered(InterIntraLoss().double())
    size = NUM_PAIRS // world_size
    own = slice(size * rank, size * rank + size)
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
        found[name] = parameter.grad
        if not name.startswith("loss"):
            dist.all_reduce(
                parameter.grad
            )  # with the division below: the mean that DistributedDataParallel takes
            found[name] = parameter.grad / world_size
    for name, config in CONFIGS.items():
        baseline = Gathered(build_loss(config).double())
        shown = {"video_features": x[own], "music_features": y[own], "group": group[own]}
        sides = [embedding.detach().requires_grad_() for embedding in (video(x[own]), music(y[own]))]
        total = baseline(*sides, **shown)
        found[name] = torch.stack(torch.autograd.grad(total, sides)) / world_size
        found[f"{name}, total"] = total.detach()
    # Parts of different sizes: 1, 2, ... rows with a weight for each row of the whole.
    sizes = [1 + number for number in range(world_size)]
    part = (torch.arange(sizes[rank], dtype=torch.float64) + 10 * rank).requires_grad_()
    whole = gather_rows(part, sizes)
    (gradient,) = torch.autograd.grad((whole * torch.arange(len(whole)) ** 2).sum(), part)
    found |= {"parts": whole.detach(), "gradient of a part": gradient / world_size}
    size, four = 3 + rank, torch.eye(4)
    sequences, real = torch.ones(4, 2, 5), torch.ones(4, 2, dtype=torch.bool)
    real[2] = rank == 0
    bad = {
        "unequal": {
            "video_embeddings": torch.eye(size),
            "music_embeddings": torch.eye(size),
            "video_features": torch.eye(size),
            "music_features": torch.eye(size),
        },
        "dtypes": {"video_features": four.double() if rank else four, "music_features": four},
        "nothing real": {"video_features": sequences, "video_mask": real, "music_features": four},
        "labels": {
            "video_features": four,
            "music_features": four,
            "labels": ["a", "b", "c", "d"] if rank else torch.arange(4),
        },
    }
    errors = {}
    for name, given in bad.items():
        try:
            loss(**{"video_embeddings": four, "music_embeddings": four, **given})
        except InputError as error:
            errors[name] = str(error)
    torch.save((found, errors), out)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
