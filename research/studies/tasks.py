"""A plan of tasks and losses enters, how each loss carries over from task to task leaves.

Two questions make four families: do the sides of a pair come from two modalities or from one, and is training told
the pairs alone or classes too. A class is known to training by the groups of its pairs; splits, and what is tuned on,
know nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from reelscore.errors import ConfigError
from research.plan_files import OURS, TWIN, TunedPlan, changed
from research.report.format import (
    FOLDS,
    INTERVALS,
    MISSING,
    count_of,
    percent,
    with_both_intervals,
    with_interval,
)
from research.report.intervals import Estimate, difference, estimate_of, paired
from research.result import Chart, Line, Panel, Result, Table
from research.runs.runner import Outcome, Run, Runner
from research.runs.tuning import Choice, fold_recipe, settings_table, tune

FAMILIES: Mapping[str, str] = {
    "cross-self": "two modalities, told the pairs",
    "cross-supervised": "two modalities, told the classes",
    "uni-self": "one modality, told the pairs",
    "uni-supervised": "one modality, told the classes",
}
METRICS: Mapping[str, str] = {"recall@10": "R@10", "recall@1": "R@1", "suiting": "class mAP"}
Scored: TypeAlias = Mapping[tuple[str, str], Sequence[Outcome]]
"""(task, row of the table) -> its outcomes, one a seed."""


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
    metric : {"recall@10", "recall@1", "suiting"}
        What it is judged by: where the pair's own other half is ranked (first, where the task is easy), or all of
        one class.
    """

    name: str
    family: str
    recipe: Any
    metric: Literal["recall@10", "recall@1", "suiting"] = "recall@10"

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ConfigError(f"a task's family must be one of {', '.join(FAMILIES)}, got {self.family!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TasksPlan(TunedPlan):
    """Plan of `tasks`; `sets` are the public sets that the recipes read."""

    tasks: tuple[Task, ...]

    def __post_init__(self) -> None:
        super(
            TasksPlan, self
        ).__post_init__()  # a class with slots is made twice: the bare form sees the first
        names = [task.name for task in self.tasks]
        if not names or len(set(names)) != len(names):
            raise ConfigError(
                f"tasks must name at least one, and none twice; got {', '.join(names) or 'none'}"
            )


def conduct(plan: TasksPlan, runner: Runner) -> Result:
    """Tune every loss on every task, train from every seed, and state what came of it."""
    recipes = {
        (task.name, s): {**task.recipe, **fold_recipe(plan.seeds, s, plan.folds)}
        for task in plan.tasks
        for s in plan.seeds
    }
    chosen = tune(runner, plan, {task.name: recipes[task.name, plan.seeds[0]] for task in plan.tasks})
    runs = {
        place: [Run(recipes[place[0], s], config=changed(choice.config, {"seed": s})) for s in plan.seeds]
        for place, choice in chosen.items()
    }
    outcomes = runner.perform((run for each in runs.values() for run in each), title="test")
    return conclude(
        plan, {place: done for place, each in runs.items() if (done := outcomes.of(each))}, chosen
    )


def conclude(plan: TasksPlan, scored: Scored, chosen: Mapping[tuple[str, str], Choice]) -> Result:
    """Make the tables, the chart and the answer from the outcomes."""
    rows = [space.title for space in plan.losses]
    means: dict[tuple[str, str], Estimate] = {}
    gains: dict[tuple[str, str], Estimate] = {}
    for task in plan.tasks:
        for row in rows:
            if not (done := scored.get((task.name, row))):
                continue
            means[task.name, row] = estimate_of(done, task.metric)
            both = paired(done, scored.get((task.name, TWIN), ()))
            if row != TWIN and all(both):
                gains[task.name, row] = difference(*both, task.metric)
    return Result(
        name="tasks",
        title="Other tasks",
        question=(
            "Does the intra term help where the sides of a pair come from one modality, and where training knows "
            "classes?"
        ),
        answer=_answer(plan, gains),
        tables=tuple(
            _table(family, [task for task in plan.tasks if task.family == family], rows, scored, means, gains)
            for family in FAMILIES
            if any(task.family == family for task in plan.tasks)
        ),
        charts=(_chart(plan, rows, gains),) if gains else (),
        settings=(settings_table(plan, chosen),) if chosen else (),
        notes=(
            FOLDS.format(plan.folds) if plan.folds > 1 else INTERVALS,
            (
                f"{len(plan.seeds)} training seeds a row. Without classes every pair is a group of its own, unless the "
                "set says otherwise, and SupCon is then InfoNCE. Windows are the two halves of one source; both lie in "
                "its split. A pair of one class is two items of one split and of two sources. The settings of a "
                "loss are chosen by where the pair's own other half is ranked, never by the class; those of the CCA "
                "are cross-validated with what training is told."
            ),
        ),
        figures={
            "means": [
                {"task": t, "row": row, "mean": one.mean, "interval": [one.low, one.high]}
                for (t, row), one in means.items()
            ],
            "gains": [
                {"task": t, "row": row, "mean": one.mean, "interval": [one.low, one.high]}
                for (t, row), one in gains.items()
            ],
        },
    )


def _table(
    family: str,
    tasks: Sequence[Task],
    rows: Sequence[str],
    scored: Scored,
    means: Mapping[tuple[str, str], Estimate],
    gains: Mapping[tuple[str, str], Estimate],
) -> Table:
    cells = []
    for row in rows:
        there = [with_interval(means.get((task.name, row))) for task in tasks]
        against = [with_both_intervals(gains.get((task.name, row))) for task in tasks]
        cells.append((row, *there, *(against if row == OURS else [MISSING] * len(tasks))))
    random = []
    for task in tasks:
        done = next((each for (name, _), each in scored.items() if name == task.name), ())
        chances = [one.chance[task.metric] for one in done]
        random.append(percent(sum(chances) / len(chances)) if chances else MISSING)
    cells.append(("chance", *random, *[MISSING] * len(tasks)))
    titles = [f"{task.name}: {METRICS[task.metric]}" for task in tasks]
    return Table(
        f"{FAMILIES[family].capitalize()}, in percent",
        ("loss", *titles, *(f"{task.name}: less {TWIN}, points" for task in tasks)),
        tuple(cells),
    )


def _chart(plan: TasksPlan, rows: Sequence[str], gains: Mapping[tuple[str, str], Estimate]) -> Chart:
    names = [task.name for task in plan.tasks if any((task.name, row) in gains for row in rows)]
    lines = []
    for row in rows:
        there = [(place, gains[name, row]) for place, name in enumerate(names) if (name, row) in gains]
        if there:
            x, low, high = (
                tuple(100 * getattr(one, end) for _, one in there) for end in ("mean", "low", "high")
            )
            lines.append(Line(row, x, tuple(float(place) for place, _ in there), low, high))
    return Chart(
        "gains",
        f"What each loss adds to {TWIN}, in points of the task's metric",
        "points",
        "",
        (Panel("all tasks", tuple(lines)),),
        rows=tuple(names),
    )


def _answer(plan: TasksPlan, gains: Mapping[tuple[str, str], Estimate]) -> str:
    told = []
    for family, name in FAMILIES.items():
        tasks = [task.name for task in plan.tasks if task.family == family and (task.name, OURS) in gains]
        if tasks:
            above = [task for task in tasks if gains[task, OURS].mean > 0]
            beyond = [task for task in tasks if gains[task, OURS].above_zero]
            counted = count_of(above, len(tasks)).replace("sets", "tasks").replace("set", "task")
            certain = count_of(beyond, len(tasks)).replace("sets", "tasks").replace("set", "task")
            under = [task for task in tasks if gains[task, OURS].high < 0]
            below = f", and below on {', '.join(under)}" if under else ""
            told.append(f"{name}: above on {counted}, with its 95% interval on {certain}{below}")
    if not told:
        return f"The plan has no pair of {OURS} and {TWIN}; the tables stand for themselves."
    return f"{OURS.capitalize()} against {TWIN}, each tuned. {'; '.join(told)}."
