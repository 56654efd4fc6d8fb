"""Configuration of a loss."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from reelscore.errors import ConfigError

LossName = Literal[
    "inter-intra",
    "infonce",
    "supcon",
    "triplet",
    "vmnet",
    "siglip",
    "cyclip",
    "crossclr",
    "cwcl",
    "cusa",
    "rince",
    "debiased",
    "false-negative-cancellation",
]

Intra = Literal["mse", "kl"]
Structure = Literal["features", "correlated"]

# Defaults of the inter-intra loss.
INTRA: Intra = "mse"
INTRA_WEIGHT = 1.0
TEMPERATURE = 0.2
BEFORE_TEMPERATURE = 0.1
AFTER_TEMPERATURE = 0.1


@dataclass(frozen=True, slots=True)
class LossConfig:
    """Name and parameters of a loss.

    Attributes
    ----------
    name : str
    temperature : float
        Initial τ; unused by `triplet` and `vmnet`.
    learnable_temperature : bool
        Unused by ``rince``, whose τ is fixed: its scale depends on τ, and learning would shrink the gradient.
    groups : {"negatives-masked", "positives"}
        For losses that support both.
    intra : {"mse", "kl"}
    intra_weight, before_temperature, after_temperature : float
        λ, t0 and t1 of ``inter-intra``.
    structure : {"features", "correlated"}
        What the loss reads of the frozen features, pooled over time: all columns, or the canonical directions of the
        linear CCA of the training pairs, weighted by their correlation with the other modality.
    strength : float, optional
        Main parameter of a baseline (margin, weight, q, ...); by default that of the loss.
    chunk_size : int, optional
    """

    name: LossName = "inter-intra"
    temperature: float = TEMPERATURE
    learnable_temperature: bool = True
    groups: Literal["negatives-masked", "positives"] = "negatives-masked"
    intra: Intra = INTRA
    intra_weight: float = INTRA_WEIGHT
    before_temperature: float = BEFORE_TEMPERATURE
    after_temperature: float = AFTER_TEMPERATURE
    structure: Structure = "features"
    strength: float | None = None
    chunk_size: int | None = None

    def __post_init__(self) -> None:
        lowest = 0.01 if self.learnable_temperature else 0.0
        for name in ("temperature", "before_temperature", "after_temperature", "intra_weight"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"loss.{name} must be finite and not negative, got {value!r}")
            if value == 0 and name != "intra_weight":
                raise ConfigError(f"loss.{name} must be positive, got {value!r}")
        if self.temperature < lowest:
            raise ConfigError(
                f"loss.temperature must be at least {lowest} when it is learnable, got {self.temperature!r}"
            )
