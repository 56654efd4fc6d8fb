"""Train on shares of the training pairs.

The shares of one draw are nested and keep whole sources together (`public.subset`). Each seed has its own draw, the
same for every loss. The settings are those that the search chose on all pairs.
"""

from __future__ import annotations

from research.plan_files import INFONCE, INTER_INTRA, FewPairsPlan, changed
from research.recipes.recipe import Recipe
from research.report.comparison import compare
from research.report.table import count_above, differences
from research.result import Place, Result
from research.runs.runner import Run, Runner
from research.runs.tuning import choice_records, set_recipe, tune
from research.study import Study

from .losses import title_of

LINEAR = "cca"


def run(plan: FewPairsPlan, runner: Runner) -> Result:
    """Tune on all pairs, then train on each share from every seed."""
    chosen = tune(runner, plan, {name: set_recipe(plan, name, plan.seeds[0]) for name in plan.sets})
    runs: dict[Place, list[Run]] = {}
    for share in plan.shares:
        for (name, title), choice in chosen.items():
            runs[f"{share:.0%}", name, title] = [
                Run(share_recipe(plan, name, share, seed), config=changed(choice.config, {"seed": seed}))
                for seed in plan.seeds
            ]
        for name in plan.sets:
            seeds = plan.seeds if share < 1 else plan.seeds[: plan.folds]
            runs[f"{share:.0%}", name, title_of(LINEAR)] = [
                Run(share_recipe(plan, name, share, seed), method=LINEAR) for seed in seeds
            ]
    rows = compare(runner.perform_all(runs, title="shares"), lambda place: [(*place[:-1], INFONCE)])
    return Result("few-pairs", rows, {"settings": choice_records(chosen)})


def share_recipe(plan: FewPairsPlan, name: str, share: float, seed: int) -> Recipe:
    """Return the recipe of a share; all pairs have the recipe of the study `losses`, which shares its runs."""
    recipe = set_recipe(plan, name, seed)
    return recipe if share == 1.0 else {**recipe, "share": share, "draw": seed}


def finding(result: Result) -> str:
    """State the smallest share at which the inter-intra loss reaches InfoNCE's mean on all pairs."""
    by_place = {row.place: row for row in result.rows}
    shares = list(dict.fromkeys(row.place[0] for row in result.rows))
    reached = []
    for name in dict.fromkeys(row.place[1] for row in result.rows):
        full = by_place.get((shares[-1], name, INFONCE))
        first = next(
            (
                share
                for share in shares
                if full is not None
                and (row := by_place.get((share, name, INTER_INTRA))) is not None
                and row.estimate.mean >= full.estimate.mean
            ),
            "no share",
        )
        reached.append(f"{name} {first}")
    found = differences(result.rows, INFONCE, lambda p: f"{p[1]} at {p[0]}" if p[2] == INTER_INTRA else None)
    return (
        f"{INTER_INTRA.capitalize()} reaches InfoNCE's mean on all pairs with: {', '.join(reached)}. "
        f"Interval of its difference from InfoNCE at the same share: {count_above(found)}."
    )


STUDY = Study(
    name="few-pairs",
    title="Few pairs",
    question="Does the inter-intra loss need fewer training pairs than InfoNCE?",
    setup=(
        "R@10 by the share of the training and validation pairs. Brackets: difference from InfoNCE at the same share."
    ),
    plan=FewPairsPlan,
    run=run,
    sets=lambda plan: plan.sets,
    finding=finding,
    corner="set, loss",
    baseline=INFONCE,
    shown=lambda row: row.place[-1] == INTER_INTRA,
)
