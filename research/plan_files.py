"""Plans of the studies, read from TOML files.

The built-in plans lie in ``plans/``: ``NAME.toml`` is the full study and ``NAME-quick.toml`` a short form for testing.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from reelscore.config import from_mapping, read_toml, to_mapping
from reelscore.errors import ConfigError
from reelscore.training.config import TrainConfig

T = TypeVar("T")
PLANS = Path(str(files(__package__) / "plans"))
INTER_INTRA, INFONCE = "inter-intra", "infonce"
"""The method's loss and its baseline; names of `losses.build_loss`."""


@dataclass(frozen=True, slots=True)
class LossSpace:
    """Search space of one loss.

    Attributes
    ----------
    name : str
        A name of `losses.build_loss`.
    knobs : mapping of str to sequence
        Paths in `TrainConfig`, such as ``"loss.intra_weight"``, with the values to try; all combinations are tried.
    label : str
        Name in tables; by default `name`.
    """

    name: str
    knobs: Mapping[str, Any]
    label: str = ""

    @property
    def title(self) -> str:
        """Name in tables."""
        return self.label or self.name

    @property
    def tries(self) -> list[dict[str, Any]]:
        """The values by path of each try; the last knob varies fastest."""
        return [
            dict(zip(self.knobs, values, strict=True)) for values in itertools.product(*self.knobs.values())
        ]


def check_folds(seeds: Sequence[int], folds: int) -> None:
    """Raise `ConfigError` unless every fold gets the same number of seeds."""
    if folds < 1 or len(seeds) % folds:
        raise ConfigError(f"every fold needs the same number of seeds: {len(seeds)} seeds, {folds} folds")


def check_unique(plan: Any, *names: str) -> None:
    """Raise `ConfigError` for a field of the plan that is empty or lists a value twice."""
    for name in names:
        values = [str(getattr(v, "title", getattr(v, "name", v))) for v in getattr(plan, name)]
        if not values or len(set(values)) != len(values):
            raise ConfigError(
                f"{name} must list at least one value and none twice, got {', '.join(values) or 'none'}"
            )


def with_seeds(plan: T, number: int) -> T:
    """Return the plan with the seeds 0 to `number` - 1 and the largest number of folds that divides it.

    A plan without seeds is returned as it is.
    """
    if not hasattr(plan, "seeds"):
        return plan
    changes: dict[str, Any] = {"seeds": tuple(range(number))}
    if hasattr(plan, "folds"):
        changes["folds"] = max(folds for folds in range(1, plan.folds + 1) if number % folds == 0)
    return dataclasses.replace(plan, **changes)  # type: ignore[type-var]


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedPlan:
    """Plan whose losses are first tuned on validation, each with the same number of tries.

    Attributes
    ----------
    sets : tuple of str
        Public sets.
    seeds : tuple of int
        Of the scored runs; the search uses none of them.
    losses : tuple of LossSpace
    search_seeds : tuple of int
        Each try is judged by its mean over these.
    train : TrainConfig
        Shared settings.
    folds : int
        With 1 the sets' own test parts are scored. With more the test part rotates: seed i is trained and scored on
        fold i modulo `folds`. The search runs in the first fold and is judged on validation pairs, which no fold
        scores; its training pairs include test pairs of the later folds.
    """

    sets: tuple[str, ...]
    seeds: tuple[int, ...]
    losses: tuple[LossSpace, ...]
    search_seeds: tuple[int, ...] = (100,)
    train: TrainConfig = field(default_factory=TrainConfig)
    folds: int = 1

    def __post_init__(self) -> None:
        check_folds(self.seeds, self.folds)
        check_unique(self, "sets", "seeds", "losses", "search_seeds")
        for space in self.losses:
            for path, values in space.knobs.items():
                if not isinstance(values, (list, tuple)):
                    raise ConfigError(
                        f"{space.title}: knobs must list the values of {path!r}, got {values!r}"
                    )
        sizes = {space.title: len(space.tries) for space in self.losses}
        if len(set(sizes.values())) != 1 or 0 in sizes.values():
            raise ConfigError(f"every loss needs the same number of tries, got {sizes}")
        if both := sorted(set(self.seeds) & set(self.search_seeds)):
            raise ConfigError(f"seed {both[0]} is in seeds and in search_seeds: give the search other seeds")
        for space in self.losses:
            for values in space.tries:
                changed(self.train, {"loss.name": space.name, **values})


@dataclass(frozen=True, slots=True, kw_only=True)
class LossesPlan(TunedPlan):
    """Plan of `losses`; `linear` names the linear baselines in `methods.METHODS`."""

    linear: tuple[str, ...] = ("cca",)


@dataclass(frozen=True, slots=True, kw_only=True)
class FewPairsPlan(TunedPlan):
    """Plan of `few-pairs`; `shares` are the shares of the training pairs."""

    shares: tuple[float, ...] = (0.05, 0.1, 0.25, 0.5, 1.0)

    def __post_init__(self) -> None:
        super(FewPairsPlan, self).__post_init__()  # a slots dataclass is a new class, so super() fails
        if sorted(set(self.shares)) != list(self.shares) or self.shares[0] <= 0 or self.shares[-1] != 1.0:
            raise ConfigError(f"shares must increase from above 0 to 1, got {list(self.shares)}")


def read_plan(kind: type[T], name: str, *, quick: bool = False, file: Path | None = None) -> T:
    """Read the plan of a study from the user's file, else the built-in one."""
    return read_toml(kind, file or PLANS / f"{name}{'-quick' if quick else ''}.toml")


def changed(config: TrainConfig, values: dict[str, Any]) -> TrainConfig:
    """Return the configuration with values at dotted paths replaced; an unknown path raises `ConfigError`.

    Examples
    --------
    >>> changed(TrainConfig(), {"model.dim": 64, "seed": 3}).model.dim
    64
    """
    mapping = to_mapping(config)
    for path, value in values.items():
        *parents, last = path.split(".")
        table = mapping
        for name in parents:
            table = table.setdefault(name, {})
        table[last] = value
    return from_mapping(TrainConfig, mapping, where="train")
