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

PRIOR = 0.05
"""Default share of false negatives among the negatives."""

Structure = Literal["correlated", "all", "mean"]


@dataclass(frozen=True, slots=True)
class LossConfig:
    """Name and parameters of a loss.

    Attributes
    ----------
    name : str
    temperature : float
        Initial τ; unused by `triplet` and `vmnet`.
    learnable_temperature : bool
    groups : {"negatives-masked", "positives"}
        For losses that support both.
    prior : float, optional
        π of the debiased inter term of ``inter-intra``; 0 is InfoNCE. By default `PRIOR`, or 0 with `robustness` or
        with groups as positives.
    robustness : float
        q of the robust inter term of ``inter-intra``; 0 is InfoNCE.
    intra : {"kl", "mse", "order", "multiscale"}
    intra_weight, before_temperature, after_temperature : float
        λ, t0 and t1 of ``inter-intra``.
    structure : {"correlated", "all", "mean"}, optional
        Frozen features that the loss reads, pooled over time: the canonical directions of the linear CCA of the
        training pairs, weighted by their correlation with the other modality; all columns; or the mean alone. By
        default ``"correlated"`` for ``inter-intra``, and ``"all"`` for the baselines, as in their sources.
    strength : float, optional
        Main parameter of a baseline (margin, weight, q, ...); by default that of the loss.
    chunk_size : int, optional
    """

    name: LossName = "inter-intra"
    temperature: float = 0.2
    learnable_temperature: bool = True
    groups: Literal["negatives-masked", "positives"] = "negatives-masked"
    prior: float | None = None
    robustness: float = 0.0
    intra: Literal["kl", "mse", "order", "multiscale"] = "kl"
    intra_weight: float = 1.0
    before_temperature: float = 0.1
    after_temperature: float = 0.1
    structure: Structure | None = None
    strength: float | None = None
    chunk_size: int | None = None

    @property
    def effective_prior(self) -> float:
        """π of the inter term: `prior` or its default."""
        if self.prior is not None:
            return self.prior
        return PRIOR if self.robustness == 0 and self.groups == "negatives-masked" else 0.0

    @property
    def effective_structure(self) -> Structure:
        """Frozen features that the loss reads: `structure` or its default."""
        return self.structure or ("correlated" if self.name == "inter-intra" else "all")

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
