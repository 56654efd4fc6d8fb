"""A small batch and the configurations of every loss, for tests of the losses."""

from __future__ import annotations

import torch

from reelscore.losses import LossConfig
from reelscore.losses.config import Intra
from reelscore.losses.factory import BASELINES

FORMS: list[Intra] = ["kl", "mse"]
CONFIGS = {
    **{name: LossConfig(name=name) for name in BASELINES},  # type: ignore[arg-type]
    **{f"inter-intra {form}": LossConfig(intra=form) for form in FORMS},
    "infonce, positives": LossConfig(name="infonce", groups="positives"),
    "siglip, positives": LossConfig(name="siglip", groups="positives"),
    "cwcl, positives": LossConfig(name="cwcl", groups="positives"),
    "rince, positives": LossConfig(name="rince", groups="positives"),
    "false-negative-cancellation, more": LossConfig(name="false-negative-cancellation", strength=0.3),
}
GROUP = torch.tensor([0, 0, 1, 2, 2, 2, 3, 4, 5])
SIZE = len(GROUP)


def rows(dim: int, *, seed: int, size: int = SIZE) -> torch.Tensor:
    return torch.randn(size, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def batch() -> dict[str, torch.Tensor]:
    return {
        "video_embeddings": rows(4, seed=1),
        "music_embeddings": rows(4, seed=2),
        "video_features": rows(6, seed=3),
        "music_features": rows(5, seed=4),
        "group": GROUP,
    }
