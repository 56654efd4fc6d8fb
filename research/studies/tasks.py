"""Compare the inter-intra loss with InfoNCE where classes are known: on two modalities, and within one.

Training sees a class through the groups of its pairs. Splits and tuning never use classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reelscore.errors import ConfigError
from research.plan_files import Plan
from research.recipes.recipe import Recipe
from research.report.comparison import compare
from research.report.table import count_above, differences
from research.result import Place, Result
from research.runs.runner import Run, Runner
from research.runs.scoring import TRUTH
from research.runs.tuning import choice_records, system_runs, tune
from research.study import Study
from research.systems import II, INFONCE

TASKS: Mapping[str, Recipe] = {
    "image and text, classes": {"kind": "labelled", "name": "wikipedia", "oracle": True},
    "music, classes": {"kind": "same-class", "name": "emomv", "side": "music", "oracle": True},
}
"""Task -> recipe of its data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TasksPlan(Plan):
    """Plan of `tasks`; `systems` lists the systems of each task."""

    systems: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super(TasksPlan, self).__post_init__()  # a slots dataclass is a new class, so super() fails
        if unknown := [name for name in self.systems if name not in TASKS]:
            raise ConfigError(f"a task must be one of {'; '.join(TASKS)}, got {unknown[0]!r}")


def run(plan: TasksPlan, runner: Runner) -> Result:
    """Tune every system on every task and score it in every fold."""
    recipes = {name: TASKS[name] for name in plan.systems}
    chosen = tune(runner, plan, recipes)
    runs: dict[Place, list[Run]] = {}
    for name, recipe in recipes.items():
        for title, each in system_runs(plan, name, recipe, chosen).items():
            runs[title, name] = each
    rows = compare(
        runner.perform_all(runs, title="test"),
        lambda place: [(INFONCE, place[1])],
        metric=lambda _: TRUTH,
    )
    return Result("tasks", rows, {"settings": choice_records(chosen)})


def finding(result: Result) -> str:
    """State on which tasks the inter-intra loss differs from InfoNCE."""
    found = differences(result.rows, INFONCE, lambda p: p[1] if p[0] == II else None)
    return f"`{II}` less `{INFONCE}`: {count_above(found)}."


STUDY = Study(
    name="tasks",
    title="Other tasks",
    question="Does the intra term help within one modality, and where training knows classes?",
    setup=(
        "mAP counts every item of the class. Image and text: wikipedia. Music: two tracks of a class, from emomv. "
        "Settings are chosen by the pairs, never by the classes. Brackets: difference from InfoNCE."
    ),
    plan=TasksPlan,
    run=run,
    sets=lambda plan: tuple(TASKS[name]["name"] for name in plan.systems),
    finding=finding,
    corner="task",
    baseline=INFONCE,
)
