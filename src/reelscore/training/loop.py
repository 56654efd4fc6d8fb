"""Pairs, a configuration and the settings of the CCA enter; a model that has learned for some epochs leaves.

The loop is the plain one: batches, loss, step; after each epoch the figures on validation, where there is any. Epoch e
draws its batches and its dropout from (seed, e) alone, which is why a run that was cut off and resumed gives the
same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
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
from .encode import Reader, new_model
from .initialise import CCASettings, fit_cca, place_cca, standardise
from .loss_inputs import LossInputs, member_losses
from .resume import Progress, load_state, save_state
from .schedule import warmup_cosine
from .validation import is_better, validate, watched

_STATE_EVERY_S = 10.0

_EVERY = 10  # epochs between two looks at validation, where the last epoch is kept in any case


@dataclass(frozen=True, slots=True)
class EpochReport:
    """What a run says after each epoch.

    Attributes
    ----------
    stage : {"search", "refit"}
        Learning from the training pairs, watched on validation; or from both, for as long as was found best.
    epoch, num_epochs : int
        Epoch 0 is the start, before any step.
    figures : dict
        The epoch's line of the history.
    best_epoch : int
    pairs_per_s : float
        Training pairs a second in this epoch; 0 for epoch 0.
    remaining_s : float
        At this rate, up to the last epoch of the stage; it may end earlier.
    """

    stage: Literal["search", "refit"]
    epoch: int
    num_epochs: int
    figures: dict[str, float]
    best_epoch: int
    pairs_per_s: float
    remaining_s: float


class Modules(nn.Module):
    """What learns: the model, and the loss with its temperature; and what the loss sees of the frozen features."""

    def __init__(self, model: DualEncoder, loss: PairLoss, frozen: LossInputs) -> None:
        super().__init__()
        self.model = model
        self.loss = loss
        self.frozen = frozen


@dataclass(frozen=True, slots=True)
class Fit:
    """One stage of a training.

    Attributes
    ----------
    modules : Modules
    optimizer : Optimizer
    config : TrainConfig
    learn : Reader
        Of the pairs that are learned from.
    val : Reader, optional
        Of those on which epochs are judged; without it the last epoch is the best.
    num_steps : int
        Of the schedule, over which the learning rate rises and falls.
    """

    modules: Modules
    optimizer: torch.optim.Optimizer
    config: TrainConfig
    learn: Reader
    val: Reader | None
    num_steps: int

    @property
    def steps_per_epoch(self) -> int:
        """How many batches an epoch has."""
        return num_batches(len(self.learn), batch_size=self.config.batch_size, training=True)

    @classmethod
    def start(
        cls,
        learn: PairSet,
        val: PairSet | None,
        config: TrainConfig,
        *,
        cca: Sequence[CCASettings],
        num_steps: int,
    ) -> Fit:
        """Build everything as it stands before the first step.

        Parameters
        ----------
        learn, val : PairSet
            See the attributes.
        config : TrainConfig
        cca : sequence of mapping
            Where the model has one, or the loss sees the features along its directions; the second one knows the text.
        num_steps : int
            See the attributes.
        """
        torch.manual_seed(config.seed)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        model = new_model(learn, config.model).to(device)
        standardise(model, learn)
        fitted = [fit_cca(model, learn, one, told=place == 1) for place, one in enumerate(cca)]
        if config.model.cca:
            for place, one in enumerate(fitted):
                place_cca(model, one, told=place == 1)
        modules = Modules(model, build_loss(config.loss), LossInputs(config.loss.sees, *fitted)).to(device)
        judge = None if val is None else Reader(model, val)
        return cls(modules, _optimizer(modules, config), config, Reader(model, learn), judge, num_steps)

    def go(
        self,
        state: Path,
        *,
        identity: str,
        epochs: int,
        progress: Callable[[EpochReport], None] | None,
    ) -> Progress:
        """Train up to epoch `epochs`, from the state in a file where there is one; the state is kept there as it goes.

        Parameters
        ----------
        state : Path
        identity : str
            Of the run, see `state.run_identity`.
        epochs : int
        progress : callable, optional
            Gets a `EpochReport` after each epoch.

        Returns
        -------
        Progress
            With the weights of the best epoch.

        Raises
        ------
        ArtifactError
            When the state is damaged or of another run.
        """
        done = Progress()
        if state.exists():
            done = load_state(state, identity=identity, modules=self.modules, optimizer=self.optimizer)
        saved_at = time.monotonic()
        while done.epoch <= epochs and not self._tired(done):
            started = time.monotonic()
            figures = self._epoch(done.epoch, judged=self._judged(done.epoch, epochs))
            if self._is_best(figures, done):
                done.best_epoch = done.epoch
                done.best = {name: value.clone() for name, value in self.modules.model.state_dict().items()}
            done.history.append(figures)
            if progress is not None:
                progress(self._report(done, epochs, time.monotonic() - started))
            done.epoch += 1
            over = done.epoch > epochs or self._tired(done)
            if over or time.monotonic() - saved_at >= _STATE_EVERY_S:
                save_state(
                    state, identity=identity, progress=done, modules=self.modules, optimizer=self.optimizer
                )
                saved_at = time.monotonic()
        return done

    def _tired(self, done: Progress) -> bool:
        return self.val is not None and done.epoch - done.best_epoch > self.config.patience

    def _is_best(self, figures: dict[str, float], done: Progress) -> bool:
        if self.val is None or self.config.keep == "last":
            return True
        return is_better(figures, done.history[done.best_epoch] if done.history else None)

    def _judged(self, number: int, epochs: int) -> bool:
        """Tell whether an epoch is looked at on validation: where none is chosen, now and then is enough."""
        if self.val is None:
            return False
        return self.config.keep == "best" or self.config.watch or number % _EVERY == 0 or number == epochs

    def _epoch(self, number: int, *, judged: bool) -> dict[str, float]:
        parts = self._steps(number) if number else {}
        temperature = self.modules.loss.temperature
        figures = {"epoch": number, **parts}
        if temperature is not None:
            figures["temperature"] = temperature
        if judged and self.val is not None:
            figures |= validate(self.val)
            if self.config.watch:
                figures |= watched(self.modules.loss, self.learn, self.val, frozen=self.modules.frozen)
        return figures

    def _steps(self, number: int) -> dict[str, float]:
        config = self.config
        per_epoch = self.steps_per_epoch
        rng = np.random.default_rng([config.seed, number])
        torch.manual_seed(int(rng.integers(2**62)))
        self.modules.train()
        sums: dict[str, float] = {}
        steps = 0
        batches = self.learn.batches(batch_size=config.batch_size, rng=rng, label_rate=config.label_rate)
        for position, batch in enumerate(batches):
            if bool((batch.group == batch.group[0]).all()):
                continue  # chance has drawn one group only: nothing to tell apart
            share = warmup_cosine(
                (number - 1) * per_epoch + position,
                num_steps=self.num_steps,
                warmup=config.warmup,
            )
            for options in self.optimizer.param_groups:
                options["lr"] = config.learning_rate * share
            loss = member_losses(self.modules.loss, batch, frozen=self.modules.frozen)
            self.optimizer.zero_grad()
            torch.autograd.backward(loss.total)
            self.optimizer.step()
            for name, value in {"loss": loss.total, **loss.parts}.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach())
            steps += 1
        return {name: value / steps for name, value in sums.items()}

    def _report(self, done: Progress, epochs: int, took_s: float) -> EpochReport:
        return EpochReport(
            stage="refit" if self.val is None else "search",
            epoch=done.epoch,
            num_epochs=epochs,
            figures=done.history[-1],
            best_epoch=done.best_epoch,
            pairs_per_s=len(self.learn) / max(took_s, 1e-9) if done.epoch else 0.0,
            remaining_s=took_s * (epochs - done.epoch),
        )


def _optimizer(modules: Modules, config: TrainConfig) -> torch.optim.Optimizer:
    learning = [p for p in modules.parameters() if p.requires_grad]
    matrices = [p for p in learning if p.ndim >= 2]
    others = [p for p in learning if p.ndim < 2]
    return torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": config.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
        fused=True,
    )
