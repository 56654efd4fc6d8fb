"""Compare the losses on other tasks: within one modality, and with classes.

Training sees a class through the groups of its pairs. Splits and tuning never use classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from reelscore.errors import ConfigError
from research.plan_files import INFONCE, INTER_INTRA, TunedPlan, changed, check_unique
from research.report.comparison import compare
from research.report.table import count_above, differences
from research.result import Place, Result
from research.runs.runner import Run, Runner
from research.runs.tuning import choice_records, fold_recipe, tune
from research.study import Study

FAMILIES: Mapping[str, str] = {
    "cross-self": "two modalities, trained on pairs",
    "cross-supervised": "two modalities, scored by class",
    "uni-self": "one modality, trained on pairs",
    "uni-supervised": "one modality, trained on classes",
}


@dataclass(frozen=True, slots=True)
class Task:
    """One task.

    Attributes
    ----------
    name : str
    family : str
        A key of `FAMILIES`.
    recipe : mapping
        Of its data.
    metric : {"recall@10", "recall@1", "truth_map"}
        ``truth_map`` scores by class. ``recall@1`` is for tasks that are too easy for R@10.
    """

    name: str
    family: str
    recipe: Any
    metric: Literal["recall@10", "recall@1", "truth_map"] = "recall@10"

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ConfigError(f"a task's family must be one of {', '.join(FAMILIES)}, got {self.family!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TasksPlan(TunedPlan):
    """Plan of `tasks`; `sets` are the public sets that the recipes read."""

    tasks: tuple[Task, ...]

    def __post_init__(self) -> None:
        super(TasksPlan, self).__post_init__()  # a slots dataclass is a new class, so super() fails
        check_unique(self, "tasks")


def run(plan: TasksPlan, runner: Runner) -> Result:
    """Tune every loss on every task and train it from every seed."""
    recipes = {
        (task.name, seed): {**task.recipe, **fold_recipe(plan.seeds, seed, plan.folds)}
        for task in plan.tasks
        for seed in plan.seeds
    }
    chosen = tune(runner, plan, {task.name: recipes[task.name, plan.seeds[0]] for task in plan.tasks})
    runs: dict[Place, list[Run]] = {
        (loss, name): [Run(recipes[name, s], config=changed(choice.config, {"seed": s})) for s in plan.seeds]
        for (name, loss), choice in chosen.items()
    }
    metrics = {task.name: task.metric for task in plan.tasks}
    rows = compare(
        runner.perform_all(runs, title="test"),
        lambda place: [(INFONCE, place[1])],
        metric=lambda place: metrics[place[1]],
    )
    figures = {
        "settings": choice_records(chosen),
        "families": {task.name: FAMILIES[task.family] for task in plan.tasks},
    }
    return Result("tasks", rows, figures)


def finding(result: Result) -> str:
    """State for each family on how many tasks the inter-intra loss differs from InfoNCE."""
    families: Mapping[str, str] = result.figures["families"]
    gains = differences(result.rows, INFONCE, lambda p: p[1] if p[0] == INTER_INTRA else None)
    parts = []
    for family in dict.fromkeys(families.values()):
        found = {name: one for name, one in gains.items() if families[name] == family}
        if found:
            parts.append(f"{family}: {count_above(found)}")
    return f"Interval of the difference between {INTER_INTRA} and InfoNCE. {'; '.join(parts).capitalize()}."


STUDY = Study(
    name="tasks",
    title="Other tasks",
    question="Does the intra term help within one modality, and where training knows classes?",
    setup=(
        "mAP counts every item of the class. The tasks on one modality pair the two halves of a sequence, or two items "
        "of a class and two sources. Settings are chosen by the pairs, never by the classes. Brackets: difference "
        "from InfoNCE."
    ),
    plan=TasksPlan,
    run=run,
    sets=lambda plan: plan.sets,
    finding=finding,
    corner="task",
    baseline=INFONCE,
)
