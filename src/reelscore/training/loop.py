"""Pairs and a configuration enter; a trained model in a folder, and how it came about, leaves.

The loop is the plain one: batches, loss, step; after each epoch the validation figures; the best weights are
kept, and the run ends when they have not improved for `patience` epochs. Epoch e draws its batches and its
dropout from (seed, e) alone, which is why a run that was cut off and resumed gives the same bytes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..config import to_mapping
from ..data.batching import iterate, num_batches
from ..data.pairs import PairSet
from ..errors import InputError
from ..files import write_bytes
from ..losses import PairLoss, build_loss
from ..models.dual_encoder import DualEncoder
from ..models.folder import ModelCard, save_model
from .config import TrainConfig
from .embedding import device_of, encode, frozen
from .schedule import warmup_cosine
from .start import standardise, start_from_cca
from .state import FILE, Progress, load_state, run_identity, save_state
from .validation import is_better, validate, watched

HISTORY = "history.json"
_STATE_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class Report:
    """What a run says after each epoch.

    Attributes
    ----------
    epoch, num_epochs : int
        Epoch 0 is the start, before any step.
    figures : dict
        The epoch's line of the history.
    best_epoch : int
    pairs_per_s : float
        Training pairs a second in this epoch; 0 for epoch 0.
    remaining_s : float
        At this rate, up to the last epoch; the run may end earlier.
    """

    epoch: int
    num_epochs: int
    figures: dict[str, float]
    best_epoch: int
    pairs_per_s: float
    remaining_s: float


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A finished run.

    Attributes
    ----------
    folder : Path
    card : ModelCard
        As stored; `card.validation` holds the figures of the best epoch.
    history : tuple of dict
        For each epoch from 0: ``epoch``, the means of ``loss`` and its parts, ``temperature``, and the
        validation figures.
    best_epoch : int
    """

    folder: Path
    card: ModelCard
    history: tuple[dict[str, float], ...]
    best_epoch: int

    @property
    def best(self) -> dict[str, float]:
        """The history's line of the best epoch."""
        return self.history[self.best_epoch]


def train(
    pairs: PairSet,
    *,
    config: TrainConfig,
    folder: Path | str,
    progress: Callable[[Report], None] | None = None,
    resume: bool = False,
) -> TrainResult:
    """Train a model and save it.

    Parameters
    ----------
    pairs : PairSet
        With a train and a val split; the test split is not looked at.
    config : TrainConfig
    folder : Path or str
        Where the model goes: ``model.json``, weights and ``history.json``. While the run lasts a state lies
        beside them, from which it can be resumed.
    progress : callable, optional
        Gets a `Report` after each epoch.
    resume : bool
        Go on from the state in `folder` where there is one. Same bytes as a run never cut off.

    Returns
    -------
    TrainResult

    Raises
    ------
    InputError
        When a split is empty or all training pairs are of one group.
    ArtifactError
        When the state in `folder` is damaged or of another run.
    """
    target = Path(folder)
    learn, val = _parts(pairs)
    modules = _modules(pairs, config)
    optimizer = _optimizer(modules, config)
    state, identity = target / FILE, run_identity(pairs, config)
    if resume and state.exists():
        done = load_state(state, identity=identity, modules=modules, optimizer=optimizer)
    else:
        state.unlink(missing_ok=True)
        done = Progress()
        _start(modules.model, learn, val, config)
    run = _Run(modules, optimizer, config, learn, val)
    saved_at = time.monotonic()
    while done.epoch <= config.epochs and done.epoch - done.best_epoch <= config.patience:
        started = time.monotonic()
        figures = run.epoch(done.epoch)
        if config.keep == "last" or is_better(
            figures, done.history[done.best_epoch] if done.history else None
        ):
            done.best_epoch = done.epoch
            done.best = {name: value.clone() for name, value in modules.model.state_dict().items()}
        done.history.append(figures)
        if progress is not None:
            progress(_report(done, config, len(learn), time.monotonic() - started))
        done.epoch += 1
        if time.monotonic() - saved_at >= _STATE_EVERY_S:
            save_state(state, identity=identity, progress=done, modules=modules, optimizer=optimizer)
            saved_at = time.monotonic()
    return _finish(target, pairs, config, done)


class _Modules(nn.Module):
    def __init__(self, model: DualEncoder, loss: PairLoss) -> None:
        super().__init__()
        self.model = model
        self.loss = loss


@dataclass(frozen=True, slots=True)
class _Run:
    modules: _Modules
    optimizer: torch.optim.Optimizer
    config: TrainConfig
    learn: PairSet
    val: PairSet

    def epoch(self, number: int) -> dict[str, float]:
        parts = self._steps(number) if number else {}
        temperature = self.modules.loss.temperature
        return {
            "epoch": number,
            **parts,
            **({} if temperature is None else {"temperature": temperature}),
            **validate(self.modules.model, self.val),
            **(self._watched() if self.config.watch else {}),
        }

    def _watched(self) -> dict[str, float]:
        model, loss = self.modules.model, self.modules.loss
        return watched(model, loss, self.learn, self.val, pooling=self.config.loss.pooling)

    def _steps(self, number: int) -> dict[str, float]:
        config, learn = self.config, self.learn
        per_epoch = num_batches(len(learn), batch_size=config.batch_size, training=True)
        rng = np.random.default_rng([config.seed, number])
        torch.manual_seed(int(rng.integers(2**62)))
        self.modules.train()
        means: dict[str, float] = {}
        batches = iterate(
            learn,
            batch_size=config.batch_size,
            num_segments=config.model.num_segments,
            rng=rng,
            label_rate=config.label_rate,
        )
        for position, batch in enumerate(batches):
            if (batch.group == batch.group[0]).all():
                continue  # chance has drawn one group only: nothing to tell apart
            share = warmup_cosine(
                (number - 1) * per_epoch + position,
                num_steps=config.epochs * per_epoch,
                warmup=config.warmup,
            )
            for options in self.optimizer.param_groups:
                options["lr"] = config.learning_rate * share
            device = device_of(self.modules.model)
            video, music = encode(self.modules.model, batch)
            loss = self.modules.loss(
                video.embedding,
                music.embedding,
                video_features=frozen(video, config.loss.pooling),
                music_features=frozen(music, config.loss.pooling),
                group=torch.from_numpy(batch.group.copy()).to(device),
            )
            self.optimizer.zero_grad()
            loss.total.backward()
            self.optimizer.step()
            for name, value in {"loss": loss.total, **loss.parts}.items():
                means[name] = means.get(name, 0.0) + float(value.detach()) / per_epoch
        return means


def _parts(pairs: PairSet) -> tuple[PairSet, PairSet]:
    learn, val = pairs.where("train"), pairs.where("val")
    if (learn.group == learn.group[0]).all():
        raise InputError(
            f"training needs pairs of at least two groups, got {len(learn)} of one in {pairs.name}; "
            "add pairs with other music"
        )
    return learn, val


def _modules(pairs: PairSet, config: TrainConfig) -> _Modules:
    torch.manual_seed(config.seed)
    model = DualEncoder(*pairs.dims, config=config.model)
    return _Modules(model, build_loss(config.loss)).to("cuda" if torch.cuda.is_available() else "cpu")


def _optimizer(modules: _Modules, config: TrainConfig) -> torch.optim.Optimizer:
    matrices = [p for p in modules.parameters() if p.ndim >= 2]
    others = [p for p in modules.parameters() if p.ndim < 2]
    return torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": config.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
    )


def _start(model: DualEncoder, learn: PairSet, val: PairSet, config: TrainConfig) -> None:
    standardise(model, learn)
    if config.start == "cca":
        start_from_cca(model, learn, val)


def _report(done: Progress, config: TrainConfig, num_pairs: int, took_s: float) -> Report:
    return Report(
        epoch=done.epoch,
        num_epochs=config.epochs,
        figures=done.history[-1],
        best_epoch=done.best_epoch,
        pairs_per_s=num_pairs / max(took_s, 1e-9) if done.epoch else 0.0,
        remaining_s=took_s * (config.epochs - done.epoch),
    )


def _finish(target: Path, pairs: PairSet, config: TrainConfig, done: Progress) -> TrainResult:
    card = save_model(
        target,
        weights={name: value.cpu().numpy() for name, value in done.best.items()},
        card=ModelCard(
            config=config.model,
            video_encoder=pairs.video_encoder,
            music_encoder=pairs.music_encoder,
            video_columns=pairs.dims[0],
            music_columns=pairs.dims[1],
            training=to_mapping(config),
            validation=done.history[done.best_epoch],
        ),
    )
    lines = {"best_epoch": done.best_epoch, "epochs": done.history}
    write_bytes(target / HISTORY, (json.dumps(lines, indent=1) + "\n").encode())
    (target / FILE).unlink(missing_ok=True)
    return TrainResult(target, card, tuple(done.history), done.best_epoch)
