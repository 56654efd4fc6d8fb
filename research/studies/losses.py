"""Compare all losses on the public sets.

Every loss trains the same encoder with the same budget after the same search on validation. The chosen settings are
trained again from other seeds, each on its own fold where the plan has folds, and only those runs are scored on the
test pairs.
"""

from __future__ import annotations

from reelscore.errors import ConfigError
from research.plan_files import INFONCE, INTER_INTRA, LossesPlan, changed
from research.report.comparison import compare
from research.report.table import count_above, differences
from research.result import Place, Result
from research.runs.runner import Run, Runner
from research.runs.tuning import choice_records, set_recipe, tune
from research.study import Study

DEBIASED = "debiased"
TITLES = {"cca": "linear CCA", "ridge": "ridge"}


def title_of(method: str) -> str:
    """Return the name of a linear baseline in tables."""
    if method not in TITLES:
        raise ConfigError(f"a linear baseline must be one of {', '.join(TITLES)}, got {method!r}")
    return TITLES[method]


def run(plan: LossesPlan, runner: Runner) -> Result:
    """Tune every loss, train it from every seed and score it once."""
    chosen = tune(runner, plan, {name: set_recipe(plan, name, plan.seeds[0]) for name in plan.sets})
    runs: dict[Place, list[Run]] = {
        place: [
            Run(set_recipe(plan, place[0], seed), config=changed(choice.config, {"seed": seed}))
            for seed in plan.seeds
        ]
        for place, choice in chosen.items()
    }
    for name in plan.sets:
        for method in plan.linear:
            runs[name, title_of(method)] = [
                Run(set_recipe(plan, name, seed), method=method) for seed in plan.seeds[: plan.folds]
            ]
    scored = runner.perform_all(runs, title="test")
    baselines = (INFONCE, DEBIASED, title_of("cca"))
    rows = compare(scored, lambda place: [(place[0], other) for other in baselines])
    return Result("losses", rows, {"settings": choice_records(chosen)})


def finding(result: Result) -> str:
    """State on how many sets the inter-intra loss differs from InfoNCE and from linear CCA."""
    sentences = []
    for baseline in (INFONCE, title_of("cca")):
        found = differences(result.rows, baseline, lambda p: p[0] if p[1] == INTER_INTRA else None)
        if found:
            sentences.append(
                f"Interval of the difference between {INTER_INTRA} and {baseline}: {count_above(found)}."
            )
    return " ".join(sentences)


STUDY = Study(
    name="losses",
    title="All losses",
    question="Does the inter-intra loss find more than InfoNCE, the other losses and linear baselines?",
    setup=(
        "R@10. The encoder, the budget and the number of tries on validation are the same for every loss. Brackets: "
        "difference from InfoNCE."
    ),
    plan=LossesPlan,
    run=run,
    sets=lambda plan: plan.sets,
    finding=finding,
    baseline=INFONCE,
)
