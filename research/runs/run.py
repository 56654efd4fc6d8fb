"""A run, its outcome and collections of outcomes, each with a JSON form."""

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

from .changes import CHANGES
from .methods import METHODS
from .scoring import DIRECTIONS, TRUTH, Ranking


def hash_of(values: Any) -> str:
    """Return the hash of JSON values, independent of the order of keys."""
    return hashlib.blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Run:
    """One fit and its scoring.

    Attributes
    ----------
    data : mapping
        The recipe of the data.
    method : str
        A key of `methods.METHODS`.
    config : TrainConfig, optional
        For a method that trains; its seed is the run's seed.
    score : {"test", "val"}
        The split that is scored. With ``val`` the test pairs are removed before the method sees the data.
    change : str
        A key of `changes.CHANGES`: how the scored pairs are changed, such as ``"clip"``, 30 s of each video.
    """

    data: Recipe
    method: str = "network"
    config: TrainConfig | None = None
    score: Literal["test", "val"] = "test"
    change: str = ""

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ConfigError(f"a run's method must be one of {', '.join(METHODS)}, got {self.method!r}")
        if self.change not in CHANGES:
            raise ConfigError(f"a run's change must be one of {', '.join(CHANGES)}, got {self.change!r}")
        if (self.config is None) == (self.method == "network"):
            raise ConfigError(
                f"a run needs a configuration if and only if it is a network, got {self.method!r}"
            )
        if self.score == "val" and self.method != "network":
            raise ConfigError(f"{self.method} chooses its settings on the validation pairs: score it on test")

    def to_json(self) -> dict[str, Any]:
        """Return the run as plain values."""
        config = {} if self.config is None else {"config": to_mapping(self.config)}
        values = {"data": dict(self.data), "method": self.method, "score": self.score, "change": self.change}
        return values | config

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Run:
        """Rebuild the result of `to_json`."""
        config = values.get("config")
        return cls(**{**values, "config": None if config is None else from_mapping(TrainConfig, config)})

    @property
    def key(self) -> str:
        """Hash of the run, without the content of its files."""
        return hash_of(self.to_json())


@dataclass(frozen=True, eq=False)
class Outcome:
    """The result of a run.

    Attributes
    ----------
    run : Run
    directions : mapping
        ``video_to_music`` and ``music_to_video`` -> `Ranking`.
    cluster : ndarray of int64, shape (Q,)
        Queries of one number are resampled together; the same for both directions.
    chance : mapping
        Expected metrics of a random order.
    facts : mapping
        ``epochs``, or the ``settings`` that a method chose.
    seconds : float
        Wall-clock time of fitting and scoring.
    machine : str
    code : str
        Hash of the sources.
    """

    run: Run
    directions: Mapping[str, Ranking]
    cluster: IntArray
    chance: Mapping[str, float]
    facts: Mapping[str, Any]
    seconds: float
    machine: str
    code: str

    @cached_property
    def metrics(self) -> dict[str, float]:
        """`METRICS`, ``log_rank`` and, with a ground truth, ``truth_map``: means of the two directions."""
        each = [self.metrics_of(direction) for direction in DIRECTIONS]
        return {name: float(np.mean([values[name] for values in each])) for name in each[0]}

    def metrics_of(self, direction: str) -> dict[str, float]:
        """Return the metrics of one direction."""
        ranking = self.directions[direction]
        values = dict(zip(METRICS, summary(ranking.ranks, ranking.precisions).tolist(), strict=True))
        values["log_rank"] = float(np.mean(np.log(ranking.ranks)))
        return values if ranking.truth is None else {**values, TRUTH: float(np.mean(ranking.truth))}

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as plain values."""
        return {
            "run": self.run.to_json(),
            "directions": {name: one.to_json() for name, one in self.directions.items()},
            "cluster": self.cluster.tolist(),
            "chance": dict(self.chance),
            "facts": dict(self.facts),
            "seconds": self.seconds,
            "machine": self.machine,
            "code": self.code,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Outcome:
        """Rebuild the result of `to_json`."""
        return cls(
            Run.from_json(values["run"]),
            {name: Ranking.from_json(one) for name, one in values["directions"].items()},
            np.asarray(values["cluster"], np.int64),
            values["chance"],
            values["facts"],
            values["seconds"],
            values["machine"],
            values["code"],
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that failed, with the reason."""

    run: Run
    reason: str


class Outcomes:
    """Outcomes by their run; `failures` holds the runs that failed."""

    def __init__(self, outcomes: Iterable[Outcome], failures: Sequence[Failure] = ()) -> None:
        self._by_key = {outcome.run.key: outcome for outcome in outcomes}
        self.failures = tuple(failures)

    def __getitem__(self, run: Run) -> Outcome:
        return self._by_key[run.key]

    def __contains__(self, run: object) -> bool:
        return isinstance(run, Run) and run.key in self._by_key

    def __len__(self) -> int:
        return len(self._by_key)

    def of(self, runs: Iterable[Run]) -> list[Outcome]:
        """Return the outcomes of `runs` in their order, without the failed ones."""
        return [self[run] for run in runs if run in self]

    def all(self) -> list[Outcome]:
        """Return every outcome."""
        return list(self._by_key.values())
