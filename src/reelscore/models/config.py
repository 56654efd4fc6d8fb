"""Configuration values enter; a checked `ModelConfig`, from which the towers are built, leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..errors import ConfigError
from ..sampling import DEFAULT_NUM_SEGMENTS

TowerKind = Literal["mean", "attention", "transformer"]


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The form of the two towers.

    Attributes
    ----------
    tower : {"mean", "attention", "transformer"}
        How a tower reads the sequence: by mean and deviation over time and two layers; by layers over each
        segment and attention pooling; by a two-layer transformer.
    dim : int
        D of the embedding.
    width : int
        Width of the hidden layers; a multiple of `num_heads`.
    num_heads : int
        Attention heads; ``mean`` has none.
    dropout : float
        In training, the share of hidden units that is silent.
    positions : bool
        Whether segments know where in the source they lie.
    linear : bool
        Whether a linear path from mean and deviation to the embedding runs beside the layers, so that a
        tower can start from what a linear method finds.
    num_segments : int
        N of Global Sparse sampling.
    """

    tower: TowerKind = "attention"
    dim: int = 256
    width: int = 256
    num_heads: int = 4
    dropout: float = 0.3
    positions: bool = False
    linear: bool = True
    num_segments: int = DEFAULT_NUM_SEGMENTS

    def __post_init__(self) -> None:
        for name in ("dim", "width", "num_heads", "num_segments"):
            if getattr(self, name) < 1:
                raise ConfigError(f"model.{name} must be at least 1, got {getattr(self, name)}")
        if self.tower not in ("mean", "attention", "transformer"):
            raise ConfigError(f"model.tower must be 'mean', 'attention' or 'transformer', got {self.tower!r}")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"model.dropout must lie in [0, 1), got {self.dropout}")
        if self.tower != "mean" and self.width % self.num_heads:
            raise ConfigError(
                f"model.width must be a multiple of num_heads, got {self.width} and {self.num_heads}"
            )
        if self.positions and self.tower == "mean":
            raise ConfigError("model.positions needs a tower that reads the order: attention or transformer")
        if self.positions and self.width % 2:
            raise ConfigError(f"model.width must be even with positions, got {self.width}")


CLIP = 6.0
"""Standardised features are kept within this many deviations, so that one odd file cannot shout down the rest."""

NUM_LAYERS = 2
"""Layers of the transformer."""

NORM_EPSILON = 1e-5
"""What layer normalisation adds to the variance."""
