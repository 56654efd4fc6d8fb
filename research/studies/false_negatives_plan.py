"""Plan of the study of false negatives, and the names of its rows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from reelscore.errors import ConfigError
from reelscore.training.config import TrainConfig
from research.plan_files import INFONCE, INTER_INTRA, LossSpace, TunedPlan
from research.recipes.synthetic import SyntheticSettings

ORACLE_INFONCE, ORACLE_SUPCON = "infonce, oracle", "supcon, oracle"
REGIMES: tuple[tuple[bool, str], ...] = ((False, "last"), (False, "best"), (True, "last"), (True, "best"))
"""Whether the embedding has a CCA, and which epoch's weights are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseNegativesPlan(TunedPlan):
    """Plan of `false-negatives`; `sets` are public sets with a partial ground truth.

    Attributes
    ----------
    synthetic : SyntheticSettings
        The run's seed replaces its seed.
    rates : tuple of float
        Shares of false negatives among an anchor's negatives, from 0.
    at : float
        The rate at which training regimes and topic scales are compared.
    fixed_learning_rate : float
        Of every loss in that comparison; high enough that InfoNCE converges.
    topic_scales : tuple of float
        Values of `SyntheticSettings.topic`: how strongly the frozen features show the topic.
    real_losses : tuple of str
        Titles of the losses that are also trained on the public sets.
    real_train : TrainConfig
        Shared settings of those runs.
    """

    synthetic: SyntheticSettings = field(default_factory=SyntheticSettings)
    rates: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6)
    at: float = 0.4
    fixed_learning_rate: float = 1e-3
    topic_scales: tuple[float, ...] = (1.0, 2.0, 3.0)
    real_losses: tuple[str, ...] = (INFONCE, INTER_INTRA)
    real_train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        super(FalseNegativesPlan, self).__post_init__()  # a slots dataclass is a new class, so super() fails
        increasing = self.rates[:1] == (0.0,) and sorted(set(self.rates)) == list(self.rates)
        if not increasing or self.at not in self.rates[1:]:
            raise ConfigError(
                f"rates must increase from 0 and include at = {self.at}, got {list(self.rates)}"
            )
        titles = [space.title for space in self.losses]
        for title in (INFONCE, INTER_INTRA, *self.real_losses):
            if title not in titles:
                raise ConfigError(f"losses must include the title {title!r}, got {', '.join(titles)}")


def rate_name(rate: float) -> str:
    """Return a rate in percent.

    Examples
    --------
    >>> rate_name(0.4)
    '40%'
    """
    return f"{100 * rate:g}%"


def oracle_spaces(plan: FalseNegativesPlan) -> tuple[LossSpace, ...]:
    """Return the search spaces of the two oracle rows, each with the tries of InfoNCE."""
    infonce = next(space for space in plan.losses if space.title == INFONCE)
    return replace(infonce, label=ORACLE_INFONCE), replace(infonce, name="supcon", label=ORACLE_SUPCON)


def fixed_rows(plan: FalseNegativesPlan) -> tuple[tuple[float, str], ...]:
    """Return the rates and rows that are compared at one learning rate."""
    return (
        (0.0, INFONCE),
        (plan.at, INFONCE),
        (0.0, INTER_INTRA),
        (plan.at, INTER_INTRA),
        (plan.at, ORACLE_INFONCE),
    )
