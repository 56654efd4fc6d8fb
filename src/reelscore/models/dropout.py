"""Activations enter; in training a share of them is silent by chance, the rest as much louder.

`torch.nn.Dropout` draws a random number for each activation, which on a processor takes as long as the layer that
follows. A byte of chance is enough: eight activations share one draw of 64 bits.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_LEVELS = 256


class Dropout(nn.Module):
    """What `torch.nn.Dropout` is, of a share in steps of 1/256.

    Parameters
    ----------
    share : float
        Of the activations that are silent, in [0, 1).
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.silent = min(round(share * _LEVELS), _LEVELS - 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return x of any shape, some of it 0 in training; the expected value is x."""
        if not self.training or self.silent == 0:
            return x
        draws = torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=x.device).random_(-(2**63), None)
        heard = draws.view(torch.uint8)[: x.numel()].view(x.shape) >= self.silent
        return x * heard * (_LEVELS / (_LEVELS - self.silent))
