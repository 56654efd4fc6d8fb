"""What is asked for and what came of it: a `Run` enters a runner, an `Outcome` leaves; both can be kept as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from reelscore.config import from_mapping, to_mapping
from reelscore.data.pairs import IntArray
from reelscore.errors import ConfigError
from reelscore.evaluation.metrics import METRICS, summary
from reelscore.training.config import TrainConfig
from research.recipes.recipe import Recipe

from .methods import METHODS, TRAINED
from .scoring import DIRECTIONS, Ranking


def hash_of(values: Any) -> str:
    """Return the hash of JSON values, whatever the order of their keys."""
    return hashlib.blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Run:
    """One fit and its scoring.

    Attributes
    ----------
    data : mapping
        The recipe of the data, see `material.Recipe`.
    method : str
        A key of `methods.METHODS`.
    config : TrainConfig, optional
        Of a run that trains; its seed is the run's seed.
    score : {"test", "val"}
        What the fitted is scored on. For ``val`` the test pairs are taken away before anything sees the data.
    curve : bool
        Whether the history of the epochs is kept.
    """

    data: Recipe
    method: str = "train"
    config: TrainConfig | None = None
    score: Literal["test", "val"] = "test"
    curve: bool = False

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ConfigError(f"a run's method must be one of {', '.join(METHODS)}, got {self.method!r}")
        if (self.config is None) == (self.method in TRAINED):
            raise ConfigError(f"a run needs a configuration if and only if it trains, got {self.method!r}")
        if self.score == "val" and self.method != "train":
            raise ConfigError(f"{self.method} chooses its settings on the validation pairs; score it on test")

    def to_json(self) -> dict[str, Any]:
        """Return the run as plain values."""
        config = {} if self.config is None else {"config": to_mapping(self.config)}
        told = {"data": dict(self.data), "method": self.method, "score": self.score, "curve": self.curve}
        return told | config

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Run:
        """Rebuild what `to_json` gave."""
        config = values.get("config")
        return cls(**{**values, "config": None if config is None else from_mapping(TrainConfig, config)})

    @property
    def key(self) -> str:
        """Hash of what was asked for, whatever bytes the files hold."""
        return hash_of(self.to_json())


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a run gave.

    Attributes
    ----------
    run : Run
    directions : mapping
        ``video_to_music`` and ``music_to_video`` -> `Ranking` of every query.
    cluster : ndarray of int64, shape (Q,)
        Queries to be resampled together, the same for both directions.
    chance : mapping
        What a random order would give.
    facts : mapping
        ``best_epoch`` and ``epochs``, or the ``settings`` that a linear rival chose.
    history : tuple of dict
        The line of each epoch, where the run asked for the curve.
    seconds : float
        Of fitting and scoring, by the wall clock.
    machine : str
        What it ran on.
    code : str
        Hash of the sources that made it.
    """

    run: Run
    directions: Mapping[str, Ranking]
    cluster: IntArray
    chance: Mapping[str, float]
    facts: Mapping[str, Any]
    history: tuple[Mapping[str, float], ...]
    seconds: float
    machine: str
    code: str

    @cached_property
    def metrics(self) -> dict[str, float]:
        """`METRICS`, ``log_rank`` and, where the truth is known, ``suiting``: means of the two directions."""
        each = [self.metrics_of(direction) for direction in DIRECTIONS]
        return {name: float(np.mean([told[name] for told in each])) for name in each[0]}

    def metrics_of(self, direction: str) -> dict[str, float]:
        """Return the metrics of one direction."""
        found = self.directions[direction]
        told = dict(zip(METRICS, summary(found.ranks, found.precisions).tolist(), strict=True))
        told["log_rank"] = float(np.mean(np.log(found.ranks)))
        return told if found.suiting is None else {**told, "suiting": float(np.mean(found.suiting))}

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as plain values."""
        return {
            "run": self.run.to_json(),
            "directions": {name: one.to_json() for name, one in self.directions.items()},
            "cluster": self.cluster.tolist(),
            "chance": dict(self.chance),
            "facts": dict(self.facts),
            "history": [dict(line) for line in self.history],
            "seconds": self.seconds,
            "machine": self.machine,
            "code": self.code,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Outcome:
        """Rebuild what `to_json` gave."""
        return cls(
            Run.from_json(values["run"]),
            {name: Ranking.from_json(one) for name, one in values["directions"].items()},
            np.asarray(values["cluster"], np.int64),
            values["chance"],
            values["facts"],
            tuple(values["history"]),
            values["seconds"],
            values["machine"],
            values["code"],
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that gave nothing, and why."""

    run: Run
    reason: str


class Outcomes:
    """The outcomes of many runs, found by their run; runs that failed are in `failures`."""

    def __init__(self, found: Iterable[Outcome], failures: Sequence[Failure] = ()) -> None:
        self._found = {outcome.run.key: outcome for outcome in found}
        self.failures = tuple(failures)

    def __getitem__(self, run: Run) -> Outcome:
        return self._found[run.key]

    def __contains__(self, run: object) -> bool:
        return isinstance(run, Run) and run.key in self._found

    def __len__(self) -> int:
        return len(self._found)

    def of(self, runs: Iterable[Run]) -> list[Outcome]:
        """Return the outcomes of those of `runs` that gave one, in their order."""
        return [self[run] for run in runs if run in self]

    def all(self) -> list[Outcome]:
        """Return every outcome."""
        return list(self._found.values())
