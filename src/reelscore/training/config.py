"""Training configuration."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

from reelscore.errors import ConfigError
from reelscore.losses.config import LossConfig
from reelscore.models.config import ModelConfig

MIN_VALIDATION_PAIRS = 1000
"""From this number on, the validation pairs choose the epoch to keep; fewer would choose by chance."""

STATE_FILE, REFIT_STATE_FILE = "training.safetensors", "refit.safetensors"
"""Training states of an unfinished run, in the model's folder."""

Method = Literal["auto", "kernel", "ii"]
Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Settings of a training run; on one machine, settings and pairs determine the weights to the byte.

    Attributes
    ----------
    method : {"auto", "kernel", "ii"}
        ``"kernel"``: linear and kernel CCA in closed form. ``"ii"``: the two sequence encoders with the inter-intra
        loss, II-CLVM, or II-CLVTM with text. ``"auto"``: ``"kernel"``, and also the network where there are many
        pairs and cross-validation clearly shows a gain (`auto`). The other settings apply to the network.
    model : ModelConfig
    loss : LossConfig
    learning_rate : float
        Peak learning rate, after linear warmup and before cosine decay.
    weight_decay : float
        Weight decay of AdamW, on matrices only.
    warmup : float
        Share of all steps with a rising learning rate, in [0, 1).
    epochs : int
        Maximum number of epochs, unless `steps` needs more.
    steps : int
        Minimum number of optimiser steps. A few hundred pairs make only one or two steps in an epoch.
    patience : int
        Training stops after this many epochs without a better validation.
    batch_size : int
        Maximum batch size, over all processes; a smaller set is one batch.
    chunk_size : int, optional
        Maximum number of pairs that a process encodes at once. A larger batch is encoded in chunks: first without a
        graph for the loss, then chunk by chunk for the gradient (gradient caching, Gao et al., arXiv 2101.06983). The
        result is the same to rounding, memory is that of a chunk, and the towers run forward twice.
    precision : {"auto", "float32", "bfloat16"}
        Arithmetic of the towers (autocast); the loss is computed in single precision. ``"auto"`` is ``"bfloat16"`` on a
        CUDA device that supports it, else ``"float32"``.
    keep : {"auto", "best", "last"}
        Epoch whose weights are kept: the one with the best validation, or the last. ``"auto"`` is ``"best"`` with
        at least `MIN_VALIDATION_PAIRS` validation pairs.
    refit : bool
        Train the final model on training and validation pairs together, for the best number of epochs. The stored
        validation metrics are those of the model before the refit.
    validate : bool
        Train on the training pairs first and measure on the validation pairs. Without it, or without validation pairs,
        the model trains once on all pairs, for all epochs, and stores no validation metrics.
    seed : int
    """

    method: Method = "auto"
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    warmup: float = 0.05
    epochs: int = 50
    steps: int = 150
    patience: int = 30
    batch_size: int = 256
    chunk_size: int | None = None
    precision: Precision = "auto"
    keep: Literal["auto", "best", "last"] = "auto"
    refit: bool = True
    validate: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        self._require("learning_rate", lambda value: value > 0, "positive")
        self._require("weight_decay", lambda value: value >= 0, "not negative")
        self._require("warmup", lambda value: 0 <= value < 1, "in [0, 1)")
        self._require("batch_size", lambda value: value >= 2, "at least 2: a single pair has no negative")
        if self.chunk_size is not None:
            self._require("chunk_size", lambda value: value >= 1, "at least 1")
        for name in ("epochs", "patience"):
            self._require(name, lambda value: value >= 1, "at least 1")
        self._require("steps", lambda value: value >= 0, "not negative")
        self._require("seed", lambda value: value >= 0, "not negative")
        if self.method not in get_args(Method):
            raise ConfigError(f"train.method must be 'auto', 'kernel' or 'ii', got {self.method!r}")
        if self.precision not in get_args(Precision):
            raise ConfigError(
                f"train.precision must be 'auto', 'float32' or 'bfloat16', got {self.precision!r}"
            )
        if self.keep not in ("auto", "best", "last"):
            raise ConfigError(f"train.keep must be 'auto', 'best' or 'last', got {self.keep!r}")
        if not self.validate and (not self.refit or self.keep == "best"):
            raise ConfigError(
                "train.validate = false measures nothing on validation pairs: it needs refit = true and "
                "keep = 'last' or 'auto'"
            )

    def _require(self, name: str, holds: object, what: str) -> None:
        value = getattr(self, name)
        if not math.isfinite(value) or not holds(value):  # type: ignore[operator]
            raise ConfigError(f"train.{name} must be {what}, got {value!r}")
