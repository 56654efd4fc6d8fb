"""Train a model on pairs and save it.

The search trains on the training pairs and uses validation to choose the number of epochs, the settings of the CCA and
its share of the score. The refit trains again on both splits with these choices.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from reelscore.config import to_mapping
from reelscore.data.batching import num_batches
from reelscore.data.pairs import PairSet
from reelscore.errors import InputError
from reelscore.files import write_bytes
from reelscore.models.towers.dual_encoder import DualEncoder
from reelscore.models.trained.folder import ModelCard, save_model
from reelscore.types import FloatArray, Modality

from .config import MIN_VALIDATION_PAIRS, TrainConfig
from .encode import PairEncoder, embed_pairs, pooled_rows, take
from .initialise import choose_cca_share, set_cca_share, tune_cca
from .loop import EpochReport, Trainer
from .resume import REFIT_STATE_FILE, STATE_FILE, TrainingState, run_identity
from .validation import validate

__all__ = ["EpochReport", "TrainResult", "train"]

HISTORY_FILE = "history.json"
BANK_SIZE = 512
"""Maximum number of training videos whose embeddings are saved with a model."""


@dataclass(frozen=True, slots=True)
class TrainResult:
    """Result of a finished run.

    Attributes
    ----------
    folder : Path
    card : ModelCard
        The saved metadata; `card.validation` is `best`.
    history : tuple of dict
        One line for each epoch of the search; line 0 is the model before the first step. ``epoch``, the means of
        ``loss`` and its parts, ``temperature``, and the validation metrics of the epochs that were validated.
    best_epoch : int
        The epoch that was kept, from 1; 0 if no epoch improved on the untrained model. The last one without validation.
    best : dict
        The validation metrics of that epoch and the chosen share of the CCA (``cca_share``); empty without
        validation.
    """

    folder: Path
    card: ModelCard
    history: tuple[dict[str, float], ...]
    best_epoch: int
    best: dict[str, float]


def train(
    pairs: PairSet,
    *,
    config: TrainConfig,
    folder: Path | str,
    progress: Callable[[EpochReport], None] | None = None,
    resume: bool = False,
) -> TrainResult:
    """Train a model and save it.

    Parameters
    ----------
    pairs : PairSet
        With a train and a val split; the test split is not used.
    config : TrainConfig
    folder : Path or str
        Folder for ``model.json``, the weights and ``history.json``. During the run it also holds the training state.
    progress : callable, optional
        Called with an `EpochReport` after each epoch.
    resume : bool
        Continue from the training state in `folder`, if there is one. The result has the same bytes as that of an
        uninterrupted run.

    Returns
    -------
    TrainResult

    Raises
    ------
    InputError
        When a split is empty, all training pairs are of one group, or the model takes text and they have none.
    ArtifactError
        When the training state in `folder` is damaged or belongs to another run.
    """
    target = Path(folder)
    config = _resolved(config, pairs)
    train_pairs, val = _split(pairs, config)
    states = target / STATE_FILE, target / REFIT_STATE_FILE
    if not resume:
        for state in states:
            state.unlink(missing_ok=True)
    identity = run_identity(pairs, config)
    needs_cca = config.model.cca or config.loss.structure == "correlated"
    halves = (False, True) if config.model.takes_text else (False,)
    cca = [tune_cca(pairs, config.model, with_text=half) for half in halves] if needs_cca else []
    search, share = TrainingState(best_epoch=config.epochs), None
    best: dict[str, float] = {}
    num_steps = config.epochs * _steps_per_epoch(len(train_pairs), config)
    if config.validate:
        trainer = Trainer.create(train_pairs, val, config, cca=cca, num_steps=num_steps)
        search = trainer.run(states[0], identity=identity, epochs=config.epochs, progress=progress)
        model = trainer.modules.model
        model.load_state_dict(search.best)
        best = search.history[search.best_epoch]
        if config.model.cca:
            share = choose_cca_share(model, val) if config.choose_share else config.model.cca_share
            set_cca_share(model, share)
            best = {**best, **validate(PairEncoder(model, val)), "cca_share": share}
    refit_history: list[dict[str, float]] = []
    if config.refit:
        both = take(pairs, pairs.indices("train", "val"), config.model)
        refit = Trainer.create(both, None, config, cca=cca, num_steps=num_steps)
        # More pairs may make more steps an epoch: convert to the best number of steps, at the same learning rates.
        steps = search.best_epoch * _steps_per_epoch(len(train_pairs), config)
        epochs = math.ceil(steps / refit.steps_per_epoch)
        refit_history = refit.run(states[1], identity=identity, epochs=epochs, progress=progress).history
        model = refit.modules.model
        if share is not None:
            set_cca_share(model, share)
    history = {"best_epoch": search.best_epoch, "epochs": search.history, "refit": refit_history}
    card = _save(target, model, pairs, config, best, bank=_bank(model, train_pairs))
    write_bytes(target / HISTORY_FILE, (json.dumps(history, indent=1) + "\n").encode())
    for state in states:
        state.unlink(missing_ok=True)
    return TrainResult(target, card, tuple(search.history), search.best_epoch, best)


def _split(pairs: PairSet, config: TrainConfig) -> tuple[PairSet, PairSet]:
    """Return training and validation pairs, or raise `InputError` if a model cannot be trained on them."""
    train_pairs = take(pairs, pairs.indices("train"), config.model)
    val = take(pairs, pairs.indices("val"), config.model)
    if (train_pairs.group == train_pairs.group[0]).all():
        raise InputError(
            f"training needs pairs of at least two groups, but the {len(train_pairs)} training pairs of {pairs.name} "
            "are of one group; add pairs with other music"
        )
    for side, rows in zip(get_args(Modality), pooled_rows(train_pairs, config.model), strict=True):
        if (rows == rows[0]).all():
            raise InputError(
                f"training needs features that differ, but the {len(train_pairs)} training pairs of {pairs.name} have "
                f"one and the same {side} features (such as rows of zeros); check its files and the encoder"
            )
    if config.model.takes_text and not train_pairs.text_columns:
        raise InputError(
            f"model.takes_text needs training pairs with text, got none among {len(train_pairs)} of {pairs.name}; "
            "add text to the pairs, or set model.takes_text = false"
        )
    return train_pairs, val


def _resolved(config: TrainConfig, pairs: PairSet) -> TrainConfig:
    num_segments = config.model.num_segments or pairs.num_segments
    enough_pairs = pairs.split.count("val") >= MIN_VALIDATION_PAIRS
    default: Literal["best", "last"] = "best" if config.validate and enough_pairs else "last"
    min_epochs = math.ceil(config.steps / _steps_per_epoch(len(pairs.indices("train")), config))
    return replace(
        config,
        model=replace(config.model, num_segments=num_segments),
        keep=default if config.keep == "auto" else config.keep,
        epochs=max(config.epochs, min_epochs),
    )


def _steps_per_epoch(num_pairs: int, config: TrainConfig) -> int:
    return num_batches(num_pairs, batch_size=config.batch_size, training=True)


def _save(
    target: Path,
    model: DualEncoder,
    pairs: PairSet,
    config: TrainConfig,
    best: dict[str, float],
    *,
    bank: FloatArray,
) -> ModelCard:
    return save_model(
        target,
        weights=model.weights(),
        bank=bank,
        card=ModelCard(
            config=config.model,
            encoder=pairs.encoder,
            video_encoder=pairs.video_encoder,
            music_encoder=pairs.music_encoder,
            video_columns=pairs.dims[0],
            music_columns=pairs.dims[1],
            text_encoder=pairs.text_encoder if config.model.takes_text else None,
            text_columns=pairs.text_columns if config.model.takes_text else 0,
            words=dict(pairs.words or {}) if config.model.takes_text else {},
            training=to_mapping(config),
            validation=best,
        ),
    )


def _bank(model: DualEncoder, train_pairs: PairSet) -> FloatArray:
    """Embed a sample of the training videos, evenly spaced over the set, as queries for the hubness correction."""
    size = len(train_pairs)
    index = np.unique(np.linspace(0, size - 1, min(BANK_SIZE, size)).round().astype(int))
    return embed_pairs(model, take(train_pairs, index, model.config))[0].embedding
