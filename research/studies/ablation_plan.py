"""Plan of the ablation and the names of its variations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reelscore.errors import ConfigError
from reelscore.training.config import TrainConfig
from research.plan_files import INFONCE, INTER_INTRA, check_folds, check_unique

EXCERPTS: Mapping[str, str] = {
    "middle": "excerpt from the middle",
    "anywhere": "excerpt from anywhere",
    "spread": "spread, fixed positions in training",
    "sparse": "spread, random positions in training (GS)",
}
NETWORK, WITH_CCA = "one network", "one network and CCA"
PARTS: Mapping[str, Mapping[str, Any]] = {
    NETWORK: {"model.cca": False},
    "two networks": {"model.cca": False, "model.members": 2},
    WITH_CCA: {"model.cca": True},
    "two networks and CCA": {"model.cca": True, "model.members": 2},
    "one network and CCA, refit": {"model.cca": True, "refit": True},
}
"""Parts of the embedding -> training settings."""
PLAIN_LOSS, FULL_LOSS = "InfoNCE", "InfoNCE, with intra term"
TERMS: Mapping[str, Mapping[str, Any]] = {
    PLAIN_LOSS: {"loss.name": INFONCE},
    FULL_LOSS: {},
}
"""Terms of the loss of one network without CCA -> training settings."""
LINEAR: Mapping[str, str] = {"CCA": "cca-train", "CCA, refit": "cca"}
"""Linear part of the embedding -> its name in `methods.METHODS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationPlan:
    """Plan of `ablation`.

    Attributes
    ----------
    set : str
        A public set with sequences.
    part_sets : tuple of str
        Public sets on which the parts of model and loss are compared.
    seeds : tuple of int
    folds : int
        As in `TunedPlan`.
    poolings : tuple of str
        `ModelConfig.pooling`.
    forms, weights, structures : tuple
        Of the intra term, in all combinations: `LossConfig.intra`, `.intra_weight` and `.structure`.
    segments : tuple of int
        N of Global Sparse sampling; 0 keeps every row.
    excerpts : tuple of int
        N at which a contiguous excerpt is compared with Global Sparse sampling.
    train : TrainConfig
        Shared settings, with the inter-intra loss.
    """

    set: str = "muvisync"
    part_sets: tuple[str, ...] = ()
    seeds: tuple[int, ...]
    folds: int = 1
    poolings: tuple[str, ...] = ("texture", "mean+deviation")
    forms: tuple[str, ...] = ("kl", "mse", "order", "multiscale")
    weights: tuple[float, ...] = (0.3, 1.0, 3.0)
    structures: tuple[str, ...] = ("features",)
    segments: tuple[int, ...] = (8, 16, 32, 64, 128, 0)
    excerpts: tuple[int, ...] = (16, 64)
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        check_folds(self.seeds, self.folds)
        check_unique(self, "seeds", "forms", "weights", "structures", "segments")
        if min(self.segments) < 0 or min(self.excerpts, default=1) < 1:
            raise ConfigError(
                f"segments must not be negative and excerpts at least 1, got {self.segments}, {self.excerpts}"
            )
        if self.train.loss.name != INTER_INTRA:
            raise ConfigError(f"the ablation varies {INTER_INTRA}, got a plan of {self.train.loss.name}")
