"""Train the two sequence encoders: a search with validation, then a refit on all pairs.

The search trains on the training pairs and chooses the number of epochs on the validation pairs. The refit trains again
on both with this choice.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from reelscore.data.batching import num_batches
from reelscore.data.pairs import PairSet
from reelscore.errors import InputError, missing_extra
from reelscore.features.sampling import DEFAULT_NUM_SEGMENTS

from .config import MIN_VALIDATION_PAIRS, REFIT_STATE_FILE, STATE_FILE, Precision, TrainConfig

try:
    import torch
except ImportError as error:
    raise missing_extra("the network of --method ii needs torch", "train") from error

from .distributed import Processes
from .encode import PairEncoder
from .loop import EpochReport, Trainer
from .resume import TrainingState, run_identity
from .validation import validate

if TYPE_CHECKING:
    from reelscore.data.streaming import StreamedPairs

MAX_STREAMED_VALIDATION = 10_000
"""Validation pairs of a streamed set that are ranked, evenly spaced; each is compared with all."""


@dataclass(frozen=True, slots=True)
class Network:
    """A trained network.

    Attributes
    ----------
    config : TrainConfig
        The resolved settings.
    weights : dict of str to ndarray of float32
    search, refit : tuple of dict
        The history of each stage: one line for each epoch; line 0 of the search is the model before the first step.
    best_epoch : int
    best : dict
        Validation metrics of the search's best epoch; empty without validation.
    """

    config: TrainConfig
    weights: dict[str, npt.NDArray[np.float32]]
    search: tuple[dict[str, float], ...]
    refit: tuple[dict[str, float], ...]
    best_epoch: int
    best: dict[str, float]


def fit_network(
    pairs: PairSet | StreamedPairs,
    config: TrainConfig,
    folder: Path,
    *,
    progress: Callable[[EpochReport], None] | None = None,
) -> Network:
    """Train a network on the training and validation pairs, continuing from the training state in the folder."""
    train_pairs = pairs.where("train")
    has_val = pairs.count("val") > 0
    config = _resolved(config, pairs, has_val=has_val)
    processes = Processes.current()
    if min(config.batch_size, len(train_pairs)) < processes.size:
        raise InputError(
            f"{processes.size} processes need at least as many pairs in a batch, got "
            f"{min(config.batch_size, len(train_pairs))}; start fewer processes, or raise train.batch_size"
        )
    identity = run_identity(pairs, config)
    num_steps = config.epochs * _steps_per_epoch(len(train_pairs), config)
    search = TrainingState(best_epoch=config.epochs)
    best: dict[str, float] = {}
    if config.validate:
        val = pairs.where("val")
        if not isinstance(val, PairSet) and len(val) > MAX_STREAMED_VALIDATION:
            val = val.take(np.linspace(0, len(val) - 1, MAX_STREAMED_VALIDATION).astype(np.int64))
        trainer = Trainer.create(train_pairs, val, config, num_steps=num_steps)
        search = trainer.run(folder / STATE_FILE, identity=identity, epochs=config.epochs, progress=progress)
        model = trainer.modules.model
        model.load_state_dict(search.best)
        measured = processes.from_first(lambda: validate(PairEncoder(model, val)))
        best = {**search.history[search.best_epoch], **measured}
    refit_history: list[dict[str, float]] = []
    if config.refit:
        both = pairs.take(pairs.indices("train", "val") if has_val else pairs.indices("train"))
        refit = Trainer.create(both, None, config, num_steps=num_steps)
        # More pairs may make more steps an epoch: convert to the best number of steps, at the same learning rates.
        steps = search.best_epoch * _steps_per_epoch(len(train_pairs), config)
        epochs = math.ceil(steps / refit.steps_per_epoch)
        state = refit.run(folder / REFIT_STATE_FILE, identity=identity, epochs=epochs, progress=progress)
        refit_history = state.history
        model = refit.modules.model
    return Network(
        config, model.weights(), tuple(search.history), tuple(refit_history), search.best_epoch, best
    )


def _resolved(config: TrainConfig, pairs: PairSet | StreamedPairs, *, has_val: bool) -> TrainConfig:
    num_segments = config.model.num_segments or min(pairs.num_segments, DEFAULT_NUM_SEGMENTS)
    validates = config.validate and has_val
    enough_pairs = pairs.count("val") >= MIN_VALIDATION_PAIRS
    default: Literal["best", "last"] = "best" if validates and enough_pairs else "last"
    min_epochs = math.ceil(config.steps / _steps_per_epoch(pairs.count("train"), config))
    return replace(
        config,
        model=replace(config.model, num_segments=num_segments),
        keep=config.keep if validates and config.keep != "auto" else default,
        validate=validates,
        refit=config.refit or not validates,
        epochs=max(config.epochs, min_epochs),
        precision=_precision(config),
    )


def _precision(config: TrainConfig) -> Precision:
    if config.precision != "auto":
        return config.precision
    has_bfloat16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16" if has_bfloat16 else "float32"


def _steps_per_epoch(num_pairs: int, config: TrainConfig) -> int:
    return num_batches(num_pairs, batch_size=config.batch_size, training=True)
