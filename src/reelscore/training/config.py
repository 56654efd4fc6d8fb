"""Configuration values enter; a checked `TrainConfig`, all that shapes a training run, leaves."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from reelscore.errors import ConfigError
from reelscore.losses.config import LossConfig
from reelscore.models.config import ModelConfig

ENOUGH = 1000
"""Validation pairs from which on these alone choose: the epoch that is kept, and the settings of the CCA."""


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How a model is trained; with the pairs it determines the weights to the byte on one machine.

    The defaults were chosen by cross-validation inside the training and validation pairs of four public sets.

    Attributes
    ----------
    model : ModelConfig
    loss : LossConfig
    learning_rate : float
        The highest; it rises over `warmup` and falls along half a cosine.
    weight_decay : float
        AdamW's, on matrices only.
    warmup : float
        Share of all steps in which the learning rate rises.
    epochs : int
        At most, unless `steps` asks for more.
    steps : int
        Optimiser steps that the epochs shall make at least: a few hundred pairs have one or two in an epoch.
    patience : int
        Epochs without a better validation that end the run.
    batch_size : int
        At most; fewer pairs make one batch.
    label_rate : float, optional
        Share of an item's negatives in a batch that carry its label: batches are then composed of labels
        (`data.composition`). Without it they are drawn at random.
    keep : {"auto", "best", "last"}
        Whose weights are kept: those of the epoch with the best validation, or those after all epochs. ``"auto"`` is
        ``"best"`` with `ENOUGH` validation pairs or more; fewer would mostly choose by luck.
    refit : bool
        Whether the model that is kept learns in the end from training and validation pairs together, for as
        many epochs as validation found best. Its figures on validation are those of the run before.
    validate : bool
        Whether that run comes first. Without it the model learns from both at once, for all epochs, and has no
        figures on validation: for experiments, which score it elsewhere.
    choose_share : bool
        Whether validation may speak for another share of the CCA than `model.cca_share` (`start.choose_share`).
    watch : bool
        Whether the history also holds loss and recall@10 without dropout on validation pairs and on as many
        training pairs.
    seed : int
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    warmup: float = 0.05
    epochs: int = 80
    steps: int = 160
    patience: int = 30
    batch_size: int = 256
    label_rate: float | None = None
    keep: Literal["auto", "best", "last"] = "auto"
    refit: bool = True
    validate: bool = True
    choose_share: bool = True
    watch: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        self._require("learning_rate", lambda value: value > 0, "positive")
        self._require("weight_decay", lambda value: value >= 0, "not negative")
        self._require("warmup", lambda value: 0 <= value < 1, "in [0, 1)")
        self._require("batch_size", lambda value: value >= 2, "at least 2: a lone pair has no negative")
        for name in ("epochs", "patience"):
            self._require(name, lambda value: value >= 1, "at least 1")
        self._require("steps", lambda value: value >= 0, "not negative")
        self._require("seed", lambda value: value >= 0, "not negative")
        if self.label_rate is not None:
            self._require("label_rate", lambda value: 0 <= value <= 1, "in [0, 1]")
        if self.keep not in ("auto", "best", "last"):
            raise ConfigError(f"train.keep must be 'auto', 'best' or 'last', got {self.keep!r}")
        if not self.validate and (not self.refit or self.keep == "best" or self.watch):
            raise ConfigError(
                "train.validate = false leaves validation no say: it needs refit = true, keep = 'last' or 'auto' and "
                "watch = false"
            )

    def _require(self, name: str, holds: object, what: str) -> None:
        value = getattr(self, name)
        if not math.isfinite(value) or not holds(value):  # type: ignore[operator]
            raise ConfigError(f"train.{name} must be {what}, got {value!r}")
