"""Measure what the hubness correction is worth.

Each model is scored as trained and with the correction (`matching.hubness`). The query bank is its own training
pairs, which never hold a test query, and validation chooses the strength.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from reelscore.errors import ConfigError
from reelscore.training.config import TrainConfig
from research.plan_files import INFONCE, INTER_INTRA, changed, check_folds, check_unique
from research.report.comparison import compare
from research.report.table import count_above, differences
from research.result import Place, Result
from research.runs.runner import Run, Runner
from research.runs.tuning import fold_recipe
from research.study import Study

PLAIN, CORRECTED = "as trained", "corrected"
METHODS = {PLAIN: "train", CORRECTED: "train-corrected"}


@dataclass(frozen=True, slots=True, kw_only=True)
class HubnessPlan:
    """Plan of `hubness`.

    Attributes
    ----------
    sets, losses : tuple of str
        Public sets, and `LossConfig.name`.
    seeds : tuple of int
    folds : int
        As in `TunedPlan`.
    train : TrainConfig
        Shared settings. It must not learn from the validation pairs, because they choose the strength.
    """

    sets: tuple[str, ...]
    losses: tuple[str, ...] = (INFONCE, INTER_INTRA)
    seeds: tuple[int, ...]
    folds: int = 1
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        check_folds(self.seeds, self.folds)
        check_unique(self, "sets", "losses", "seeds")
        if self.train.refit or not self.train.validate:
            raise ConfigError(
                "the validation pairs choose the strength: the plan needs refit = false and validate = true"
            )


def run(plan: HubnessPlan, runner: Runner) -> Result:
    """Train every loss on every set and fold and score it with and without the correction."""
    runs: dict[Place, list[Run]] = {
        (column, name, loss): [
            Run(
                {"kind": "set", "name": name, **fold_recipe(plan.seeds, s, plan.folds)},
                config=changed(plan.train, {"loss.name": loss, "seed": s}),
                method=method,
            )
            for s in plan.seeds
        ]
        for name in plan.sets
        for loss in plan.losses
        for column, method in METHODS.items()
    }
    scored = runner.perform_all(runs, title="models")
    strengths = {
        f"{name}, {loss}": [outcome.facts["strength"] for outcome in done]
        for (column, name, loss), done in scored.items()
        if column == CORRECTED
    }
    rows = compare(scored, lambda place: [(PLAIN, *place[1:])])
    return Result("hubness", rows, {"strengths": strengths})


def finding(result: Result) -> str:
    """State on how many sets and losses the correction changes R@10."""
    found = differences(result.rows, PLAIN, lambda p: " ".join(p[1:]))
    return f"Interval of what the correction adds: {count_above(found)}."


STUDY = Study(
    name="hubness",
    title="Hubness correction",
    question="Does nearest-neighbour normalisation of the scores rank the right tracks higher?",
    setup="R@10. Models untuned, half the epochs of the other studies. Brackets: difference from the model as trained.",
    plan=HubnessPlan,
    run=run,
    sets=lambda plan: plan.sets,
    finding=finding,
    corner="set, loss",
    baseline=PLAIN,
)
