"""A plan in TOML enters (one file for each experiment), a checked dataclass leaves.

The plans that come with reelscore lie in ``plans/``: ``NAME.toml`` is the whole experiment and ``NAME-quick.toml``
its short form, which proves that it runs and says little about the method.
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
OURS, TWIN = "inter-intra", "infonce"
"""The loss in question, and the one that it is set against; names of `losses.build`."""


@dataclass(frozen=True, slots=True)
class LossSpace:
    """What is tried for one loss.

    Attributes
    ----------
    name : str
        A name of `losses.build`.
    knobs : mapping of str to sequence
        Paths in `TrainConfig`, such as ``"loss.intra_weight"``, with the values to try; every one with every other.
    label : str
        For people; the name without it.
    """

    name: str
    knobs: Mapping[str, Any]
    label: str = ""

    @property
    def title(self) -> str:
        """How tables call it."""
        return self.label or self.name

    @property
    def tries(self) -> list[dict[str, Any]]:
        """The values by path of each try, the last knob changing first."""
        return [
            dict(zip(self.knobs, values, strict=True)) for values in itertools.product(*self.knobs.values())
        ]


def check_folds(seeds: Sequence[int], folds: int) -> None:
    """Raise `ConfigError` unless every fold gets as many seeds."""
    if folds < 1 or len(seeds) % folds:
        raise ConfigError(f"every fold needs as many seeds: {len(seeds)} seeds do not go into {folds} folds")


def with_seeds(plan: T, number: int) -> T:
    """Return a plan with the seeds 0 to `number` - 1, and with as many folds, up to its own, as these go into.

    A plan that trains nothing has no seeds and stays as it is.
    """
    if not hasattr(plan, "seeds"):
        return plan
    changes: dict[str, Any] = {"seeds": tuple(range(number))}
    if hasattr(plan, "folds"):
        changes["folds"] = max(folds for folds in range(1, plan.folds + 1) if number % folds == 0)
    return dataclasses.replace(plan, **changes)  # type: ignore[type-var]


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedPlan:
    """A plan whose losses are first tuned on validation, each with the same number of tries.

    Attributes
    ----------
    sets : tuple of str
        Public sets.
    seeds : tuple of int
        Of the runs that are scored; none of them is used by the search.
    losses : tuple of LossSpace
    search_seeds : tuple of int
        Over which each try of the search is judged.
    train : TrainConfig
        What all share.
    folds : int
        With 1 the sets' own test parts are scored. With more the test part rotates: the i-th seed is trained and scored
        on fold i modulo `folds`. The search is done in the first fold: its tries are judged on validation pairs,
        which no fold scores, but learn from pairs that the later folds score.
    """

    sets: tuple[str, ...]
    seeds: tuple[int, ...]
    losses: tuple[LossSpace, ...]
    search_seeds: tuple[int, ...] = (100,)
    train: TrainConfig = field(default_factory=TrainConfig)
    folds: int = 1

    def __post_init__(self) -> None:
        check_folds(self.seeds, self.folds)
        for name in ("sets", "seeds", "losses", "search_seeds"):
            values = getattr(self, name)
            told = [str(getattr(v, "title", v)) for v in values]
            if not values or len(set(told)) != len(told):
                raise ConfigError(
                    f"{name} must name at least one, and none twice; got {', '.join(told) or 'none'}"
                )
        for space in self.losses:
            for path, values in space.knobs.items():
                if not isinstance(values, (list, tuple)):
                    raise ConfigError(
                        f"{space.title}: knobs must list the values of {path!r}, got {values!r}"
                    )
        sizes = {space.title: len(space.tries) for space in self.losses}
        if len(set(sizes.values())) != 1 or 0 in sizes.values():
            raise ConfigError(f"every loss needs the same number of tries, got {sizes}; level the lists")
        if both := sorted(set(self.seeds) & set(self.search_seeds)):
            raise ConfigError(f"seed {both[0]} both searches and is scored; give the search other seeds")
        for space in self.losses:
            for values in space.tries:
                changed(self.train, {"loss.name": space.name, **values})


@dataclass(frozen=True, slots=True, kw_only=True)
class MainPlan(TunedPlan):
    """Plan of `main`: all losses and the linear rivals on all sets.

    Attributes
    ----------
    linear : tuple of str
        Names in `methods.METHODS`.
    """

    linear: tuple[str, ...] = ("cca",)


@dataclass(frozen=True, slots=True, kw_only=True)
class FewPlan(TunedPlan):
    """Plan of `few`: the same losses and the CCA from shares of the training pairs."""

    shares: tuple[float, ...] = (0.05, 0.1, 0.25, 0.5, 1.0)

    def __post_init__(self) -> None:
        super(FewPlan, self).__post_init__()  # a class with slots is made twice: the bare form sees the first
        if sorted(set(self.shares)) != list(self.shares) or self.shares[0] <= 0 or self.shares[-1] != 1.0:
            raise ConfigError(f"shares must rise from above 0 to 1, got {list(self.shares)}")


def read_plan(kind: type[T], name: str, *, quick: bool = False, file: Path | None = None) -> T:
    """Read the plan of an experiment: the user's own file, else the one that comes with reelscore."""
    return read_toml(kind, file or PLANS / f"{name}{'-quick' if quick else ''}.toml")


def changed(config: TrainConfig, values: dict[str, Any]) -> TrainConfig:
    """Return the configuration with the values at dotted paths replaced; an unknown path is a `ConfigError`.

    Examples
    --------
    >>> changed(TrainConfig(), {"model.dim": 64, "seed": 3}).model.dim
    64
    """
    mapping = to_mapping(config)
    for path, value in values.items():
        *above, last = path.split(".")
        place = mapping
        for name in above:
            place = place.setdefault(name, {})
        place[last] = value
    return from_mapping(TrainConfig, mapping, where="train")


def plan_values(plan: Any) -> dict[str, Any]:
    """Return a plan as JSON values, to be kept with its result."""
    values: dict[str, Any] = dataclasses.asdict(plan)
    return values
