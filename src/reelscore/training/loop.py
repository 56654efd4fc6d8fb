"""Epoch loop: batches, loss, optimiser step, validation and checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from reelscore.data.batching import num_batches
from reelscore.data.pairs import PairSet
from reelscore.losses import PairLoss, build_loss
from reelscore.models.towers.dual_encoder import DualEncoder

from .config import TrainConfig
from .encode import PairEncoder, new_model
from .features import frozen_features
from .resume import TrainingState, load_state, save_state
from .validation import is_better, validate

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


class Modules(nn.Module):
    """Model and loss, with their parameters."""

    def __init__(self, model: DualEncoder, loss: PairLoss) -> None:
        super().__init__()
        self.model = model
        self.loss = loss


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
    """

    modules: Modules
    optimizer: torch.optim.Optimizer
    config: TrainConfig
    train: PairEncoder
    val: PairEncoder | None
    num_steps: int

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches in an epoch."""
        return num_batches(len(self.train), batch_size=self.config.batch_size, training=True)

    @classmethod
    def create(
        cls,
        train: PairSet,
        val: PairSet | None,
        config: TrainConfig,
        *,
        num_steps: int,
    ) -> Trainer:
        """Build and initialise model, loss and optimiser.

        Parameters
        ----------
        train, val : PairSet
        config : TrainConfig
        num_steps : int
            Number of steps of the learning rate schedule.
        """
        torch.manual_seed(config.seed)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        model = new_model(train, config.model).to(device)
        loss = build_loss(config.loss)
        modules = Modules(model, loss).to(device)
        frozen = None
        if loss.needs:
            frozen = frozen_features(train, config.loss.structure, with_text=config.model.takes_text)
        val_encoder = None if val is None else PairEncoder(model, val)
        optimizer = _optimizer(modules, config)
        encoder = PairEncoder(model, train, frozen=frozen)
        return cls(modules, optimizer, config, encoder, val_encoder, num_steps)

    def run(
        self,
        state_path: Path,
        *,
        identity: str,
        epochs: int,
        progress: Callable[[EpochReport], None] | None,
    ) -> TrainingState:
        """Train up to epoch `epochs` and save the state now and then; resume if there is a saved state.

        A state is saved after the first epoch, which is epoch 0 in a new run, then after 1, 2, 4 and 8 s, then every
        10 s, in each case when the epoch has ended.

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
        state = TrainingState()
        if state_path.exists():
            state = load_state(state_path, identity=identity, modules=self.modules, optimizer=self.optimizer)
        saved_at, interval_s = time.monotonic(), 0.0
        while not self._is_finished(state, epochs):
            started = time.monotonic()
            epoch = state.next_epoch
            figures = self._epoch(epoch, validated=self._is_validated(epoch, epochs))
            if self._is_best(figures, state):
                state.best_epoch = epoch
                state.best = {name: value.clone() for name, value in self.modules.model.state_dict().items()}
            state.history.append(figures)
            if progress is not None:
                progress(self._report(state, epochs, time.monotonic() - started))
            state.next_epoch += 1
            if self._is_finished(state, epochs) or time.monotonic() - saved_at >= interval_s:
                save_state(
                    state_path,
                    identity=identity,
                    state=state,
                    modules=self.modules,
                    optimizer=self.optimizer,
                )
                saved_at, interval_s = time.monotonic(), min(_SAVE_INTERVAL_S, max(1.0, 2 * interval_s))
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

    def _epoch(self, epoch: int, *, validated: bool) -> dict[str, float]:
        figures = {"epoch": epoch, **(self._steps(epoch) if epoch else {})}
        temperature = self.modules.loss.temperature
        if temperature is not None:
            figures["temperature"] = temperature
        if validated and self.val is not None:
            figures |= validate(self.val)
        return figures

    def _steps(self, epoch: int) -> dict[str, float]:
        """Train for one epoch and return the means of the loss and its parts."""
        config = self.config
        # Random states depend on (seed, epoch) alone, so a resumed run gives the same bytes.
        rng = np.random.default_rng([config.seed, epoch])
        torch.manual_seed(int(rng.integers(2**62)))
        self.modules.train()
        sums: dict[str, float] = {}
        steps = 0
        batches = self.train.batches(batch_size=config.batch_size, rng=rng)
        for position, batch in enumerate(batches):
            if bool((batch.group == batch.group[0]).all()):
                continue  # a batch of one group has no negatives
            factor = warmup_cosine(
                (epoch - 1) * self.steps_per_epoch + position,
                num_steps=self.num_steps,
                warmup=config.warmup,
            )
            for options in self.optimizer.param_groups:
                options["lr"] = config.learning_rate * factor
            loss = self.modules.loss.parts(
                batch.video,
                batch.music,
                video_features=batch.video_features,
                music_features=batch.music_features,
                group=batch.group,
            )
            self.optimizer.zero_grad()
            torch.autograd.backward(loss.total)
            self.optimizer.step()
            for name, value in {"loss": loss.total, **loss.parts}.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach())
            steps += 1
        return {name: value / steps for name, value in sums.items()}

    def _report(self, state: TrainingState, epochs: int, seconds: float) -> EpochReport:
        epoch = state.next_epoch
        return EpochReport(
            stage="refit" if self.val is None else "search",
            epoch=epoch,
            num_epochs=epochs,
            figures=state.history[-1],
            best_epoch=state.best_epoch,
            pairs_per_s=len(self.train) / max(seconds, 1e-9) if epoch else 0.0,
            remaining_s=seconds * (epochs - epoch),
        )


def warmup_cosine(step: int, *, num_steps: int, warmup: float) -> float:
    """Return the factor of the learning rate: linear warmup, then half a cosine.

    Parameters
    ----------
    step : int
        From 0 to `num_steps` - 1.
    num_steps : int
    warmup : float
        Share of the steps with a rising rate, in [0, 1).

    Returns
    -------
    float in (0, 1]

    Examples
    --------
    >>> [round(warmup_cosine(step, num_steps=6, warmup=0.34), 3) for step in range(6)]
    [0.5, 1.0, 1.0, 0.854, 0.5, 0.146]
    """
    rising = int(num_steps * warmup)
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, num_steps - rising)))


def _optimizer(modules: Modules, config: TrainConfig) -> torch.optim.Optimizer:
    parameters = [p for p in modules.parameters() if p.requires_grad]
    return torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
        fused=True,
    )
