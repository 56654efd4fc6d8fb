"""The plan of `noise` enters as TOML, a checked dataclass and the names of what is compared leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from reelscore.errors import ConfigError
from reelscore.training.config import TrainConfig
from research.plan_files import OURS, TWIN, LossSpace, TunedPlan
from research.recipes.synthetic import World
from research.runs.runner import Outcome

MASKED, POSITIVES = "infonce, told the truth", "supcon, told the truth"
REGIMES: tuple[tuple[bool, str], ...] = (
    (False, "last"),
    (False, "best"),
    (True, "last"),
    (True, "best"),
)
"""Whether the linear CCA is a part of the embedding, and whose weights are kept."""

Place: TypeAlias = tuple[Any, ...]
Scored: TypeAlias = Mapping[Place, Sequence[Outcome]]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoisePlan(TunedPlan):
    """Plan of `noise`; `sets` are the public sets of which a part of the truth is known.

    Attributes
    ----------
    world : World
        Its seed is replaced by that of the run.
    rates : tuple of float
        Shares of false negatives among an anchor's negatives, from 0.
    at : float
        The rate at which regimes, loudness and curves are looked at.
    fixed_learning_rate : float
        Of every loss there: high enough that InfoNCE is trained to its end.
    loudness : tuple of float
        Values of `World.topic`: how far the frozen features know the truth.
    real_losses : tuple of str
        Titles of the losses that also train on the public sets.
    real_train : TrainConfig
        What those runs share.
    """

    world: World = field(default_factory=World)
    rates: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6)
    at: float = 0.4
    fixed_learning_rate: float = 1e-3
    loudness: tuple[float, ...] = (1.0, 2.0, 3.0)
    real_losses: tuple[str, ...] = (TWIN, OURS)
    real_train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        super(
            NoisePlan, self
        ).__post_init__()  # a class with slots is made twice: the bare form sees the first
        if (
            self.rates[:1] != (0.0,)
            or sorted(set(self.rates)) != list(self.rates)
            or self.at not in self.rates[1:]
        ):
            raise ConfigError(
                f"rates must rise from 0 and hold the rate 'at', got {list(self.rates)} and {self.at}"
            )
        titles = [space.title for space in self.losses]
        for title in (TWIN, OURS, *self.real_losses):
            if title not in titles:
                raise ConfigError(f"noise needs a loss of the title {title!r}, got {', '.join(titles)}")


def name_of(rate: float) -> str:
    """Return a rate in percent, by which its settings are found.

    Examples
    --------
    >>> name_of(0.4)
    '40%'
    """
    return f"{100 * rate:g}%"


def told_spaces(plan: NoisePlan) -> tuple[LossSpace, ...]:
    """Return what is tried for the two rows that are told the truth in training: as much as for InfoNCE."""
    twin = next(space for space in plan.losses if space.title == TWIN)
    return replace(twin, label=MASKED), replace(twin, name="supcon", label=POSITIVES)


def fixed_rows(plan: NoisePlan) -> tuple[tuple[float, str, Literal["pairs", "topics"]], ...]:
    """Return what is compared at fixed settings: rate, row and what training is told."""
    return (
        (0.0, TWIN, "pairs"),
        (plan.at, TWIN, "pairs"),
        (0.0, OURS, "pairs"),
        (plan.at, OURS, "pairs"),
        (plan.at, MASKED, "topics"),
    )
