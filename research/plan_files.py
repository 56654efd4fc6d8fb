"""Plans of the studies, read from TOML files.

The built-in plans lie in ``plans/``: ``NAME.toml`` is the full study and ``NAME-quick.toml`` a short form for testing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from reelscore.config import read_toml
from reelscore.errors import ConfigError
from reelscore.training.config import TrainConfig

from .systems import BUDGET, System, system

T = TypeVar("T")
PLANS = Path(str(files(__package__) / "plans"))
SEARCH_SEED = 100
"""Training seed of the search; the scored runs have the number of their fold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Plan of a study that compares systems on public sets.

    Attributes
    ----------
    systems : mapping
        Public set -> titles of its systems.
    folds : int
        The test part rotates over so many folds. Fold i is trained from seed i and scored once.
    max_tries : int, optional
        Only the first tries of each system's search; all by default.
    train : TrainConfig
        Shared settings of the networks.
    """

    systems: Mapping[str, Any]
    folds: int = 5
    max_tries: int | None = None
    train: TrainConfig = BUDGET

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise ConfigError(f"folds must be at least 2, got {self.folds}")
        for name, titles in self.systems.items():
            check_titles(name, titles)

    @property
    def sets(self) -> tuple[str, ...]:
        """The public sets."""
        return tuple(self.systems)

    def systems_of(self, name: str) -> list[System]:
        """Return the systems of a set."""
        return [system(title) for title in self.systems[name]]


def check_titles(name: str, titles: Sequence[str]) -> None:
    """Raise `ConfigError` unless a list of systems is complete, known and without repetition."""
    if not isinstance(titles, (list, tuple)) or not titles or len(set(titles)) != len(titles):
        raise ConfigError(f"systems.{name} must list at least one system and none twice, got {titles!r}")
    for title in titles:
        system(title)


def read_plan(kind: type[T], name: str, *, quick: bool = False, file: Path | None = None) -> T:
    """Read the plan of a study from the user's file, else the built-in one."""
    return read_toml(kind, file or PLANS / f"{name}{'-quick' if quick else ''}.toml")
