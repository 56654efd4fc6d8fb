"""The optimiser of a network and its learning rate schedule."""

from __future__ import annotations

import math

import torch

from .config import TrainConfig
from .gradient import Modules


def warmup_cosine(step: int, *, num_steps: int, warmup: float) -> float:
    """Return the factor of the learning rate: linear warmup, then half a cosine.

    Parameters
    ----------
    step : int
        From 0 to `num_steps` - 1.
    num_steps : int
    warmup : float
        Share of the steps with a rising rate, in [0, 1).

    Returns
    -------
    float in (0, 1]

    Examples
    --------
    >>> [round(warmup_cosine(step, num_steps=6, warmup=0.34), 3) for step in range(6)]
    [0.5, 1.0, 1.0, 0.854, 0.5, 0.146]
    """
    rising = int(num_steps * warmup)
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, num_steps - rising)))


def new_optimizer(modules: Modules, config: TrainConfig) -> torch.optim.Optimizer:
    """Return AdamW for the parameters to learn, without weight decay of biases and scales."""
    parameters = [p for p in modules.parameters() if p.requires_grad]
    return torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
        fused=True,
    )
