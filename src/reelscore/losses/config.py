"""Configuration values enter; a checked `LossConfig`, from which any loss of this room is built, leaves."""

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
"""Share of the negatives that are expected to suit, where nobody says otherwise."""

Structure = Literal["correlated", "all", "mean"]


@dataclass(frozen=True, slots=True)
class LossConfig:
    """Which loss, and how it is set.

    Attributes
    ----------
    name : str
    temperature : float
        τ at the start; `triplet` and `vmnet` have none.
    learnable_temperature : bool
    groups : {"negatives-masked", "positives"}
        For the losses that leave a choice.
    prior : float, optional
        π of the inter part of ``inter-intra``, debiased in place of InfoNCE. Without it `PRIOR`, or 0 where
        `robustness` or groups as positives ask for another form.
    robustness : float
        q of the inter part of ``inter-intra``, robust in place of InfoNCE; 0 is InfoNCE.
    intra : {"kl", "mse", "order", "multiscale"}
    intra_weight, before_temperature, after_temperature : float
        λ, t0 and t1 of ``inter-intra``.
    structure : {"correlated", "all", "mean"}, optional
        What the loss sees of the frozen features, pooled over time: the canonical directions that the linear CCA of the
        training pairs found, each as far as it is correlated with the other modality; all columns alike; or the
        mean alone. Without it ``"correlated"`` for ``inter-intra``, and for the baselines ``"all"``, as their
        sources take the features as they come.
    strength : float, optional
        The one knob of a baseline (margin, weight, q, ...); the loss's own default without it.
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
    def expects(self) -> float:
        """The π of the inter part, `prior` or its default."""
        if self.prior is not None:
            return self.prior
        return PRIOR if self.robustness == 0 and self.groups == "negatives-masked" else 0.0

    @property
    def sees(self) -> Structure:
        """What the loss sees of the frozen features, `structure` or its default."""
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
