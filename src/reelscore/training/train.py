"""Pairs and a configuration enter; a trained model in a folder, and how it came about, leaves.

Two stages of one `Fit`. The search learns from the training pairs and finds on validation how many epochs are best, how
the CCA is set and what it counts; the refit learns once more, from both, by what was found. Who wants no refit keeps
the model of the search.
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

from .config import ENOUGH, TrainConfig
from .encode import Reader, embed_pairs, pooled_rows, take
from .initialise import choose_share, set_share, tune_cca
from .loop import EpochReport, Fit
from .resume import FILE, REFIT_FILE, Progress, run_identity
from .validation import validate

__all__ = ["EpochReport", "TrainResult", "train"]

HISTORY = "history.json"
BANK_SIZE = 512
"""Training videos, at most, whose embeddings are stored beside a model."""


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A finished run.

    Attributes
    ----------
    folder : Path
    card : ModelCard
        As stored; `card.validation` holds `best`.
    history : tuple of dict
        For each epoch of the search from 0: ``epoch``, the means of ``loss`` and its parts, ``temperature``, and the
        validation figures where it was looked at.
    best_epoch : int
        The last one without validation.
    best : dict
        The validation figures of the best epoch, with the share of the CCA (``cca_share``) that was chosen in the end;
        none without validation.
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
        With a train and a val split; the test split is not looked at.
    config : TrainConfig
    folder : Path or str
        Where the model goes: ``model.json``, weights and ``history.json``, and what the model of the search, which has
        not learned from them, makes of the validation pairs. While the run lasts a state lies beside them, from which
        it can be resumed.
    progress : callable, optional
        Gets a `EpochReport` after each epoch.
    resume : bool
        Go on from the state in `folder` where there is one. Same bytes as a run never cut off.

    Returns
    -------
    TrainResult

    Raises
    ------
    InputError
        When a split is empty, all training pairs are of one group, or the model takes text and they have none.
    ArtifactError
        When the state in `folder` is damaged or of another run.
    """
    target = Path(folder)
    config = _resolved(config, pairs)
    learn, val = _parts(pairs, config)
    states = target / FILE, target / REFIT_FILE
    if not resume:
        for state in states:
            state.unlink(missing_ok=True)
    identity = run_identity(pairs, config)
    needed = config.model.cca or config.loss.sees == "correlated"
    halves = (False, True) if config.model.takes_text else (False,)
    cca = [tune_cca(pairs, config.model, told=told) for told in halves] if needed else []
    done, share = Progress(best_epoch=config.epochs), None
    best: dict[str, float] = {}
    num_steps = config.epochs * _steps_per_epoch(len(learn), config)
    if config.validate:
        search = Fit.start(learn, val, config, cca=cca, num_steps=num_steps)
        done = search.go(states[0], identity=identity, epochs=config.epochs, progress=progress)
        model = search.modules.model
        model.load_state_dict(done.best)
        best = done.history[done.best_epoch]
        if config.model.cca:
            share = choose_share(model, val) if config.choose_share else config.model.cca_share
            set_share(model, share)
            best = {**best, **validate(Reader(model, val)), "cca_share": share}
    refitted: list[dict[str, float]] = []
    if config.refit:
        both = take(pairs, pairs.indices("train", "val"), config.model)
        refit = Fit.start(both, None, config, cca=cca, num_steps=num_steps)
        # As many steps as were best, at the same learning rates: more pairs may make more steps of an epoch.
        epochs = math.ceil(done.best_epoch * _steps_per_epoch(len(learn), config) / refit.steps_per_epoch)
        refitted = refit.go(states[1], identity=identity, epochs=epochs, progress=progress).history
        model = refit.modules.model
        if share is not None:
            set_share(model, share)
    lines = {"best_epoch": done.best_epoch, "epochs": done.history, "refit": refitted}
    card = _save(target, model, pairs, config, best, bank=_bank(model, learn))
    write_bytes(target / HISTORY, (json.dumps(lines, indent=1) + "\n").encode())
    for state in states:
        state.unlink(missing_ok=True)
    return TrainResult(target, card, tuple(done.history), done.best_epoch, best)


def _parts(pairs: PairSet, config: TrainConfig) -> tuple[PairSet, PairSet]:
    learn = take(pairs, pairs.indices("train"), config.model)
    val = take(pairs, pairs.indices("val"), config.model)
    if (learn.group == learn.group[0]).all():
        raise InputError(
            f"training needs pairs of at least two groups, got {len(learn)} of one in {pairs.name}; "
            "add pairs with other music"
        )
    for side, rows in zip(get_args(Modality), pooled_rows(learn, config.model), strict=True):
        if (rows == rows[0]).all():
            raise InputError(
                f"training needs features that differ, got {len(learn)} training pairs of {pairs.name} with one and "
                f"the same {side} (such as rows of zeros); look at its file, or at the encoder"
            )
    if config.model.takes_text and not learn.text_columns:
        raise InputError(
            f"model.takes_text needs training pairs with text, got none among {len(learn)} of {pairs.name}; "
            "add text to the pairs, or set model.takes_text = false"
        )
    return learn, val


def _resolved(config: TrainConfig, pairs: PairSet) -> TrainConfig:
    num_segments = config.model.num_segments or pairs.num_segments
    enough: Literal["best", "last"] = (
        "best" if config.validate and pairs.split.count("val") >= ENOUGH else "last"
    )
    needed = math.ceil(config.steps / _steps_per_epoch(len(pairs.indices("train")), config))
    return replace(
        config,
        model=replace(config.model, num_segments=num_segments),
        keep=enough if config.keep == "auto" else config.keep,
        epochs=max(config.epochs, needed),
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


def _bank(model: DualEncoder, learn: PairSet) -> FloatArray:
    """Embed a sample of the training videos, evenly spaced over the set, as queries for the hubness correction."""
    index = np.unique(np.linspace(0, len(learn) - 1, min(BANK_SIZE, len(learn))).round().astype(int))
    return embed_pairs(model, take(learn, index, model.config))[0].embedding
