"""Measure how many training pairs the kernel model needs to beat chance."""

from __future__ import annotations

from dataclasses import dataclass

from reelscore.errors import ConfigError
from research.plan_files import Plan
from research.recipes import public
from research.report.comparison import compare
from research.result import Place, Result
from research.runs.runner import Run, Runner
from research.runs.tuning import set_recipe, system_runs
from research.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class PairsNeededPlan(Plan):
    """Plan of `pairs-needed`; `numbers` are the numbers of training pairs, used where a set has so many."""

    numbers: tuple[int, ...] = (50, 100, 300, 1000)

    def __post_init__(self) -> None:
        super(PairsNeededPlan, self).__post_init__()  # a slots dataclass is a new class, so super() fails
        if not self.numbers or sorted(set(self.numbers)) != list(self.numbers) or self.numbers[0] < 2:
            raise ConfigError(f"numbers must increase from at least 2, got {list(self.numbers)}")


def run(plan: PairsNeededPlan, runner: Runner) -> Result:
    """Fit every system on every number of pairs."""
    sizes = {name: _num_training_pairs(plan, runner, name) for name in plan.sets}
    runs: dict[Place, list[Run]] = {}
    for number in plan.numbers:
        for name in plan.sets:
            if number <= sizes[name]:
                recipe = set_recipe(name, pairs=number)
                for title, each in system_runs(plan, name, recipe, {}).items():
                    runs[name, f"{title}, {number} pairs"] = each
    return Result("pairs-needed", compare(runner.perform_all(runs)), {"training_pairs": sizes})


def _num_training_pairs(plan: PairsNeededPlan, runner: Runner, name: str) -> int:
    """Return the number of pairs outside the test part of the fold that has the fewest."""
    folds = (
        public.load({"name": name, "fold": f, "folds": plan.folds}, runner.data) for f in range(plan.folds)
    )
    return min(len(pairs) - pairs.split.count("test") for pairs in folds)


def finding(result: Result) -> str:
    """State from which number of pairs on each set is clearly above chance, and at least twice chance."""
    first: dict[str, list[str]] = {}
    for row in result.rows:
        name, label = row.place
        number = label.split(", ")[1].removesuffix(" pairs")
        above, twice = first.setdefault(name, ["none", "none"])
        chance = row.chance or 0.0
        if above == "none" and row.estimate.low > chance:
            above = number
        if twice == "none" and row.estimate.mean >= 2 * chance:
            twice = number
        first[name] = [above, twice]
    parts = [f"{name} {above} and {twice}" for name, (above, twice) in first.items()]
    return (
        f"Smallest number of pairs with the interval above chance, and with twice chance: {'; '.join(parts)}."
    )


STUDY = Study(
    name="pairs-needed",
    title="How many pairs training needs",
    question="How many pairs does the kernel model need?",
    setup="R@10 of the kernel model by the number of pairs it is fitted on. Brackets: interval of the mean.",
    plan=PairsNeededPlan,
    run=run,
    sets=lambda plan: plan.sets,
    finding=finding,
    corner="training",
)
