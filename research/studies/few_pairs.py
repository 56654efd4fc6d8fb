"""A plan of shares of the training and validation pairs enters, how each loss fares on little data leaves.

The shares of one draw are nested and keep whole sources together (`public.thinned`); each seed has its own draw, the
same for every row. The settings are those that the search chose on all pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from research.plan_files import OURS, TWIN, FewPlan, changed
from research.recipes.recipe import Recipe
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
from research.runs.scoring import METRIC
from research.runs.tuning import Choice, recipe_of, settings_table, tune

from .losses import chance_of, title_of

LINEAR = "cca"


def conduct(plan: FewPlan, runner: Runner) -> Result:
    """Tune on all pairs, train on each share from every seed, and state what came of it."""
    chosen = tune(runner, plan, {name: recipe_of(plan, name, plan.seeds[0]) for name in plan.sets})
    runs: dict[tuple[str, str, float], list[Run]] = {}
    for name in plan.sets:
        for share in plan.shares:
            for space in plan.losses:
                if choice := chosen.get((name, space.title)):
                    runs[name, space.title, share] = [
                        Run(share_of(plan, name, share, s), config=changed(choice.config, {"seed": s}))
                        for s in plan.seeds
                    ]
            draws = plan.seeds if share < 1 else plan.seeds[: plan.folds]
            runs[name, title_of(LINEAR), share] = [
                Run(share_of(plan, name, share, s), method=LINEAR) for s in draws
            ]
    outcomes = runner.perform((run for each in runs.values() for run in each), title="shares")
    scored = {place: done for place, each in runs.items() if (done := outcomes.of(each))}
    return conclude(plan, scored, chosen)


def share_of(plan: FewPlan, name: str, share: float, seed: int) -> Recipe:
    """Return the recipe of a share, drawn by the seed; all pairs are the set of `main`, so that its runs are shared."""
    whole = recipe_of(plan, name, seed)
    return whole if share == 1.0 else {**whole, "share": share, "draw": seed}


def conclude(
    plan: FewPlan,
    scored: Mapping[tuple[str, str, float], Sequence[Outcome]],
    chosen: Mapping[tuple[str, str], Choice],
) -> Result:
    """Make the chart, the tables and the answer from the outcomes."""
    rows = [*(space.title for space in plan.losses), title_of(LINEAR)]
    names = {space.name: space.title for space in plan.losses}
    ours, twin = names.get(OURS), names.get(TWIN)
    means = {place: estimate_of(done, METRIC) for place, done in scored.items()}
    tables = [_table(name, rows, plan.shares, means) for name in plan.sets]
    if ours and twin:
        tables.append(_differences(plan, scored, ours, twin))
    reached = {name: _reached(name, plan.shares, means, ours, twin) for name in plan.sets}
    return Result(
        name="few",
        title="Few pairs",
        question=(
            "How much does each loss need? From which share of the training pairs on does the inter-intra loss "
            "reach what InfoNCE reaches with all of them?"
        ),
        answer=_answer(plan.sets, reached),
        tables=tuple(tables),
        charts=(_chart(plan, rows, means, scored),),
        settings=(settings_table(plan, chosen),) if chosen else (),
        notes=(
            FOLDS.format(plan.folds) if plan.folds > 1 else INTERVALS,
            (
                f"{len(plan.seeds)} seeds, each with its own nested draw of whole sources; the settings are those that "
                "validation chose with all pairs. A share is one of the training pairs and of the validation pairs: "
                "every row learns from both in the end."
            ),
        ),
        figures={
            "recall@10": [
                {"set": s, "row": row, "share": share, "mean": one.mean, "interval": [one.low, one.high]}
                for (s, row, share), one in means.items()
            ],
            "share_that_reaches": reached,
        },
    )


def _reached(
    name: str,
    shares: Sequence[float],
    means: Mapping[tuple[str, str, float], Estimate],
    ours: str | None,
    twin: str | None,
) -> float | None:
    full = means.get((name, twin or "", 1.0))
    if full is None:
        return None
    there = (
        share for share in shares if (one := means.get((name, ours or "", share))) and one.mean >= full.mean
    )
    return next(there, None)


def _answer(sets: Sequence[str], reached: Mapping[str, float | None]) -> str:
    half = [name for name in sets if (share := reached[name]) is not None and share <= 0.5]
    told = [
        f"{name}: with {share:.0%}"
        if (share := reached[name]) is not None
        else f"{name}: with no share tried"
        for name in sets
    ]
    return (
        "The inter-intra loss reaches InfoNCE's full-data mean R@10 with at most half the pairs on "
        f"{count_of(half, len(sets))} ({'; '.join(told)}). These are means; the intervals below are wide."
    )


def _table(
    name: str,
    rows: Sequence[str],
    shares: Sequence[float],
    means: Mapping[tuple[str, str, float], Estimate],
) -> Table:
    return Table(
        f"{name}: R@10 by share of the training pairs, mean of both directions, in percent",
        ("loss", *(f"{share:.0%}" for share in shares)),
        tuple((row, *(with_interval(means.get((name, row, share))) for share in shares)) for row in rows),
    )


def _differences(
    plan: FewPlan, scored: Mapping[tuple[str, str, float], Sequence[Outcome]], ours: str, twin: str
) -> Table:
    rows = []
    for name in plan.sets:
        cells = []
        for share in plan.shares:
            both = paired(scored.get((name, ours, share), ()), scored.get((name, twin, share), ()))
            cells.append(with_both_intervals(difference(*both, METRIC)) if all(both) else MISSING)
        rows.append((name, *cells))
    return Table(
        f"Paired difference in R@10, {ours} less {twin}, in points",
        ("set", *(f"{share:.0%}" for share in plan.shares)),
        tuple(rows),
    )


def _chart(
    plan: FewPlan,
    rows: Sequence[str],
    means: Mapping[tuple[str, str, float], Estimate],
    scored: Mapping[tuple[str, str, float], Sequence[Outcome]],
) -> Chart:
    panels = []
    for name in plan.sets:
        lines = []
        for row in rows:
            there = [share for share in plan.shares if (name, row, share) in means]
            told = [means[name, row, share] for share in there]
            if told:
                x = tuple(100 * share for share in there)
                y, low, high = (
                    tuple(100 * getattr(one, end) for one in told)
                    for end in ("mean", "seed_low", "seed_high")
                )
                lines.append(Line(row, x, y, low, high))
        done = next((each for (s, _, _), each in scored.items() if s == name), None)
        ends = (100 * plan.shares[0], 100.0)
        levels: tuple[Line, ...] = ()
        if done is not None:
            chance = float(percent(chance_of(done)[METRIC]))
            levels = (Line("chance", ends, (chance, chance)),)
        panels.append(Panel(name, tuple(lines), levels))
    return Chart(
        "shares",
        "R@10 by share of the training pairs (bands: 95% intervals)",
        "training pairs, %",
        "R@10, %",
        tuple(panels),
        tuple(100 * share for share in plan.shares),
    )
