"""Vary one choice of the inter-intra method at a time: the form of the intra term, the encoder, the number of clips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reelscore.errors import ConfigError
from reelscore.training.config import TrainConfig
from research.report.comparison import compare
from research.report.table import count_above, differences
from research.result import Place, Result
from research.runs.runner import Run, Runner
from research.runs.tuning import set_recipe
from research.study import Study
from research.systems import BUDGET, II, changed

ROWS: Mapping[str, Mapping[str, Any]] = {
    II: {},
    "kl": {"loss.intra": "kl"},
    "transformer": {"model.encoder": "transformer"},
    "8 clips": {"model.num_segments": 8},
    "64 clips": {"model.num_segments": 64},
}
"""Row of the table -> what differs from the default: mse, attention pooling, 32 clips."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationPlan:
    """Plan of `ablation`.

    Attributes
    ----------
    rows : mapping
        Public set -> names of its rows.
    folds : int
    train : TrainConfig
        Shared settings; nothing is tuned.
    """

    rows: Mapping[str, Any] = field(default_factory=dict)
    folds: int = 5
    train: TrainConfig = BUDGET

    def __post_init__(self) -> None:
        for name, titles in self.rows.items():
            if unknown := [title for title in titles if title not in ROWS]:
                raise ConfigError(f"rows.{name} must be of {', '.join(ROWS)}; got {unknown[0]!r}")


def run(plan: AblationPlan, runner: Runner) -> Result:
    """Train every row in every fold."""
    runs: dict[Place, list[Run]] = {
        (name, title): [
            Run(
                set_recipe(name, fold=fold, folds=plan.folds),
                config=changed(plan.train, {**ROWS[title], "seed": fold}),
            )
            for fold in range(plan.folds)
        ]
        for name, titles in plan.rows.items()
        for title in titles
    }
    return Result("ablation", compare(runner.perform_all(runs), lambda place: [(place[0], II)]))


def finding(result: Result) -> str:
    """State which rows differ from the default."""
    parts = []
    for title in dict.fromkeys(row.place[1] for row in result.rows if row.place[1] != II):
        own = [row for row in result.rows if row.place[1] == title]
        found = differences(own, II, lambda place: place[0])
        parts.append(f"{title}: {count_above(found)}")
    return f"Interval of the difference from the default. {'; '.join(parts).capitalize()}."


STUDY = Study(
    name="ablation",
    title="Ablation",
    question="What do the form of the intra term, the encoder and the number of clips change?",
    setup=(
        "R@10 without tuning. `ii` is the default: mse, attention pooling, 32 clips. Brackets: difference from it."
    ),
    plan=AblationPlan,
    run=run,
    sets=lambda plan: tuple(plan.rows),
    finding=finding,
    corner="variation",
    baseline=II,
)
