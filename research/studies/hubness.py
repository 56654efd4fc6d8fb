"""A plan of sets and losses enters, what a correction for hubs is worth leaves.

A model is scored as it is, and with nearest-neighbour normalisation (`models.hubs`) whose bank is its own training
pairs and whose strength validation chooses. Test queries are in no bank.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reelscore.errors import ConfigError
from reelscore.training.config import TrainConfig
from research.plan_files import OURS, TWIN, changed, check_folds
from research.report.format import FOLDS, INTERVALS, count_of, with_both_intervals, with_interval
from research.report.intervals import Estimate, difference, estimate_of, paired
from research.result import Result, Table
from research.runs.runner import Outcome, Run, Runner
from research.runs.scoring import METRIC
from research.runs.tuning import fold_recipe

PLAIN, CORRECTED = "train", "train-hubs"
"""Names in `methods.METHODS`."""

Scored = Mapping[tuple[str, str, str], Sequence[Outcome]]
"""(set, loss, method) -> its outcomes, one a seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubsPlan:
    """Plan of `hubs`.

    Attributes
    ----------
    sets, losses : tuple of str
        Public sets, and `LossConfig.name`.
    seeds : tuple of int
    folds : int
        As in `TunedPlan`.
    train : TrainConfig
        What all share; validation must not be learned from, since it chooses the strength.
    """

    sets: tuple[str, ...]
    losses: tuple[str, ...] = (TWIN, OURS)
    seeds: tuple[int, ...]
    folds: int = 1
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        check_folds(self.seeds, self.folds)
        for name in ("sets", "losses", "seeds"):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise ConfigError(f"{name} must hold at least one value, and none twice; got {list(values)}")
        if self.train.refit or not self.train.validate:
            raise ConfigError(
                "the validation pairs choose the strength: the plan needs refit = false and validate = true"
            )


def conduct(plan: HubsPlan, runner: Runner) -> Result:
    """Train every loss on every set and fold, score it both ways, and state what came of it."""
    runs = {
        (name, loss, method): [
            Run(
                {"kind": "set", "name": name, **fold_recipe(plan.seeds, s, plan.folds)},
                config=changed(plan.train, {"loss.name": loss, "seed": s}),
                method=method,
            )
            for s in plan.seeds
        ]
        for name in plan.sets
        for loss in plan.losses
        for method in (PLAIN, CORRECTED)
    }
    outcomes = runner.perform((run for each in runs.values() for run in each), title="models")
    return conclude(plan, {place: done for place, each in runs.items() if (done := outcomes.of(each))})


def conclude(plan: HubsPlan, scored: Scored) -> Result:
    """Make the table and the answer from the outcomes."""
    gains: dict[tuple[str, str], Estimate] = {}
    rows = []
    for name in plan.sets:
        for loss in plan.losses:
            sides = [scored.get((name, loss, method), ()) for method in (CORRECTED, PLAIN)]
            both = paired(*sides)
            gain = difference(*both, METRIC) if all(both) else None
            if gain is not None:
                gains[name, loss] = gain
            means = [with_interval(estimate_of(done, METRIC) if done else None) for done in reversed(sides)]
            rows.append((f"{name}, {loss}", *means, with_both_intervals(gain), _strengths(sides[0])))
    return Result(
        name="hubs",
        title="A correction for hubs",
        question="Does taking from each score what a candidate gets from any query put the right tracks higher?",
        answer=_answer(plan, gains),
        tables=(
            Table(
                "R@10, mean of both directions, in percent",
                ("set, loss", "as it is", "corrected", "difference, points", "strengths chosen"),
                tuple(rows),
                "The strength, from 0 (nothing is changed) to 1, is chosen in each fold by the mean log rank on "
                "validation.",
            ),
        ),
        charts=(),
        notes=(FOLDS.format(plan.folds) if plan.folds > 1 else INTERVALS,),
        figures={
            "gains": [
                {"set": name, "loss": loss, "mean": one.mean, "interval": [one.low, one.high]}
                for (name, loss), one in gains.items()
            ]
        },
    )


def _strengths(outcomes: Sequence[Outcome]) -> str:
    return ", ".join(f"{outcome.facts['hub_strength']:g}" for outcome in outcomes) or "–"


def _answer(plan: HubsPlan, gains: Mapping[tuple[str, str], Estimate]) -> str:
    told = []
    for loss in plan.losses:
        own = {name: gains[name, loss] for name in plan.sets if (name, loss) in gains}
        if own:
            above = [name for name, gain in own.items() if gain.above_zero]
            below = [name for name, gain in own.items() if gain.high < 0]
            means = "; ".join(f"{100 * gain.mean:+.1f} on {name}" for name, gain in own.items())
            told.append(
                f"With {loss} it is worth, in points of R@10, {means}: its 95% interval lies above zero on "
                f"{count_of(above, len(own))}, below zero on {count_of(below, len(own))}."
            )
    return " ".join(told) or "Every run has failed, so there is nothing to tell."
