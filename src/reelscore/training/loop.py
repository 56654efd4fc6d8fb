"""Epoch loop: batches, loss, optimiser step, validation and checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from reelscore.data.pairs import PairSet
from reelscore.errors import ReelscoreError
from reelscore.losses import build_loss
from reelscore.losses.base import LossParts

from .config import TrainConfig
from .distributed import Processes
from .encode import PairEncoder, TrainingBatch, new_model
from .features import frozen_features
from .gradient import Modules, backward
from .optimizer import new_optimizer, warmup_cosine
from .resume import EpochState, TrainingState, apply_state, read_state, save_state
from .scales import StreamScales
from .validation import is_better, validate

if TYPE_CHECKING:
    from reelscore.data.streaming import StreamedPairs

_SAVE_INTERVAL_S = 10.0
"""Longest time from one saved state to the next; the first states follow sooner, see `Trainer.run`."""

_VALIDATION_INTERVAL = 10  # in epochs, if the last epoch is kept in any case


@dataclass(frozen=True, slots=True)
class EpochReport:
    """Progress of a run after an epoch.

    Attributes
    ----------
    stage : {"search", "refit"}
        Training on the training pairs with validation, or on both splits for the best number of epochs.
    epoch, num_epochs : int
        Epochs are counted from 1; epoch 0 is the model before the first step.
    figures : dict
        The epoch's line of the history.
    best_epoch : int
    pairs_per_s : float
        Training pairs per second in this epoch; 0 for epoch 0.
    remaining_s : float
        Time to the last epoch of the stage at this rate; early stopping may shorten it.
    """

    stage: Literal["search", "refit"]
    epoch: int
    num_epochs: int
    figures: dict[str, float]
    best_epoch: int
    pairs_per_s: float
    remaining_s: float


@dataclass(frozen=True, slots=True)
class Trainer:
    """One stage of a training run.

    Attributes
    ----------
    modules : Modules
    optimizer : Optimizer
    config : TrainConfig
    train : PairEncoder
        Pairs to learn from.
    val : PairEncoder, optional
        Pairs for validation; without them the last epoch is the best.
    num_steps : int
        Number of steps of the learning rate schedule.
    processes : Processes
        Each encodes a part of every batch and computes its share of the loss. All hold the same weights.
    """

    modules: Modules
    optimizer: torch.optim.Optimizer
    config: TrainConfig
    train: PairEncoder
    val: PairEncoder | None
    num_steps: int
    processes: Processes

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches in an epoch."""
        return self.train.num_batches(self.config.batch_size)

    @classmethod
    def create(
        cls,
        train: PairSet | StreamedPairs,
        val: PairSet | StreamedPairs | None,
        config: TrainConfig,
        *,
        num_steps: int,
    ) -> Trainer:
        """Build and initialise model, loss and optimiser.

        Parameters
        ----------
        train, val : PairSet or StreamedPairs
        config : TrainConfig
        num_steps : int
            Number of steps of the learning rate schedule.
        """
        torch.manual_seed(config.seed)
        processes = Processes.current()
        device = "cuda" if torch.cuda.is_available() else "cpu"
        if not isinstance(train, PairSet):
            train = replace(train, with_text=train.with_text and config.model.takes_text)
        model = new_model(train, config.model).to(device)
        loss = build_loss(config.loss)
        modules = Modules(model, loss).to(device)
        frozen = None
        if not isinstance(train, PairSet):
            scales = StreamScales.of(train, processes)
            scales.set_in(model)
            train = replace(train, describe=scales.frozen_features if loss.needs else None)
        elif loss.needs:
            frozen = frozen_features(train, config.loss.structure, with_text=config.model.takes_text)
        val_encoder = None if val is None else PairEncoder(model, val)
        optimizer = new_optimizer(modules, config)
        encoder = PairEncoder(model, train, frozen=frozen)
        processes.share(modules.state_dict().values())
        return cls(modules, optimizer, config, encoder, val_encoder, num_steps, processes)

    def run(
        self,
        state_path: Path,
        *,
        identity: str,
        epochs: int,
        progress: Callable[[EpochReport], None] | None,
    ) -> TrainingState:
        """Train up to epoch `epochs` and save the state now and then; resume if there is a saved state.

        A state is saved after the first step or epoch, which is epoch 0 in a new run, then after 1, 2, 4 and 8 s, then
        every 10 s, in each case when the step has ended. Process 0 saves and loads it.

        Parameters
        ----------
        state_path : Path
        identity : str
            Hash of the run, see `resume.run_identity`.
        epochs : int
        progress : callable, optional
            Called with an `EpochReport` after each epoch.

        Returns
        -------
        TrainingState
            With the weights of the best epoch.

        Raises
        ------
        ArtifactError
            When the saved state is damaged or belongs to another run.
        """
        state, tensors = self.processes.from_first(lambda: read_state(state_path, identity=identity))
        apply_state(tensors, modules=self.modules, optimizer=self.optimizer)
        save = _Saver(self, state_path, identity)
        while not self._is_finished(state, epochs):
            started, skipped = time.monotonic(), state.within.step
            epoch = state.next_epoch
            figures = {"epoch": epoch, **(self._epoch(epoch, state, save) if epoch else {})}
            if self.modules.loss.temperature is not None:
                figures["temperature"] = self.modules.loss.temperature
            if self.val is not None and self._is_validated(epoch, epochs):
                figures |= self._validate(self.val)
            if self._is_best(figures, state):
                state.best_epoch = epoch
                state.best = {name: value.clone() for name, value in self.modules.model.state_dict().items()}
            state.history.append(figures)
            if progress is not None:
                progress(self._report(state, epochs, time.monotonic() - started, skipped=skipped))
            state.next_epoch += 1
            state.within = EpochState()
            save(state, at_once=self._is_finished(state, epochs))
        return state

    def _is_finished(self, state: TrainingState, epochs: int) -> bool:
        stopped_early = self.val is not None and state.next_epoch - state.best_epoch > self.config.patience
        return state.next_epoch > epochs or stopped_early

    def _is_best(self, figures: dict[str, float], state: TrainingState) -> bool:
        if self.val is None or self.config.keep == "last":
            return True
        return is_better(figures, state.history[state.best_epoch] if state.history else None)

    def _is_validated(self, epoch: int, epochs: int) -> bool:
        if self.val is None:
            return False
        return self.config.keep == "best" or epoch % _VALIDATION_INTERVAL == 0 or epoch == epochs

    def _validate(self, val: PairEncoder) -> dict[str, float]:
        return self.processes.from_first(lambda: validate(val))

    def _epoch(self, epoch: int, state: TrainingState, save: _Saver) -> dict[str, float]:
        """Train for the rest of an epoch and return the means of the loss and its parts."""
        config, within = self.config, state.within
        # Random states depend on (seed, epoch, step) alone, so a resumed run gives the same bytes.
        rng = np.random.default_rng([config.seed, epoch])
        torch.manual_seed(int(rng.integers(2**62)))
        batches = self.train.batches(
            batch_size=config.batch_size, rng=rng, part=self.processes.part, first=within.step
        )
        within.restore_random(rng)
        self.modules.train()
        for step, batch in enumerate(batches, start=within.step):
            factor = warmup_cosine(
                (epoch - 1) * self.steps_per_epoch + step,
                num_steps=self.num_steps,
                warmup=config.warmup,
            )
            for options in self.optimizer.param_groups:
                options["lr"] = config.learning_rate * factor
            self.optimizer.zero_grad()
            loss = self._backward(batch)
            if loss is not None:
                self.optimizer.step()
                within.add({"loss": loss.total, **loss.parts})
            within.step = step + 1
            if within.step < self.steps_per_epoch:
                save(state, rng=rng)
        return within.means()

    def _backward(self, batch: TrainingBatch) -> LossParts | None:
        config = self.config
        size = min(config.batch_size, len(self.train))
        try:
            return backward(
                self.modules,
                batch,
                size=size,
                chunk_size=config.chunk_size,
                precision=config.precision,
                processes=self.processes,
            )
        except torch.OutOfMemoryError as error:
            raise ReelscoreError(
                f"the GPU has too little memory for a batch of {size} pairs in chunks of "
                f"{config.chunk_size or size}; set a smaller train.chunk_size and run the same command again to "
                "continue, or a smaller loss.chunk_size or train.batch_size with --overwrite"
            ) from error

    def _report(self, state: TrainingState, epochs: int, seconds: float, *, skipped: int) -> EpochReport:
        epoch = state.next_epoch
        seconds /= 1 - skipped / self.steps_per_epoch  # of a whole epoch
        return EpochReport(
            stage="refit" if self.val is None else "search",
            epoch=epoch,
            num_epochs=epochs,
            figures=state.history[-1],
            best_epoch=state.best_epoch,
            pairs_per_s=len(self.train) / max(seconds, 1e-9) if epoch else 0.0,
            remaining_s=seconds * (epochs - epoch),
        )


class _Saver:
    """Saves the state of a run in process 0, at intervals that grow to `_SAVE_INTERVAL_S`."""

    def __init__(self, trainer: Trainer, path: Path, identity: str) -> None:
        self._trainer, self._path, self._identity = trainer, path, identity
        self._saved_at, self._interval_s = time.monotonic(), 0.0

    def __call__(
        self, state: TrainingState, *, rng: np.random.Generator | None = None, at_once: bool = False
    ) -> None:
        """Save the state if it is time; `rng` is the random state within an epoch."""
        if self._trainer.processes.rank or not (
            at_once or time.monotonic() - self._saved_at >= self._interval_s
        ):
            return
        save_state(
            self._path,
            identity=self._identity,
            state=state,
            modules=self._trainer.modules,
            optimizer=self._trainer.optimizer,
            rng=rng,
        )
        self._saved_at = time.monotonic()
        self._interval_s = min(_SAVE_INTERVAL_S, max(1.0, 2 * self._interval_s))
