"""Towers with random parameters, and random batches for them."""

from __future__ import annotations

import numpy as np
import torch

from reelscore.models.config import ModelConfig
from reelscore.models.towers.tower import Tower

COLUMNS, TEXT_COLUMNS = 5, 4


def random_tower(config: ModelConfig, *, seed: int = 0) -> Tower:
    """Return a tower for `COLUMNS` feature columns with random parameters and buffers, in evaluation mode."""
    torch.manual_seed(seed)
    text_columns = TEXT_COLUMNS if config.takes_text else 0
    tower = Tower(COLUMNS, config=config, text_columns=text_columns).eval()
    with torch.no_grad():
        for name, value in tower.state_dict().items():
            value.copy_(torch.rand_like(value) + 0.5 if "scale" in name else torch.randn_like(value) * 0.5)
    return tower


def weights_of(tower: Tower) -> dict[str, np.ndarray]:
    """Return parameters and buffers as NumPy arrays."""
    return {name: value.numpy() for name, value in tower.state_dict().items()}


def batch(
    seed: int, lengths: tuple[int, ...], num_columns: int = COLUMNS
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return sequences of some lengths and their mask; the padding is random too."""
    generator = torch.Generator().manual_seed(seed)
    sequence = 2 * torch.randn(len(lengths), max(lengths), num_columns, generator=generator)
    return sequence, torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
