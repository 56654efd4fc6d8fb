"""A plan of losses and public sets enters, what each loss is worth beside its rivals leaves.

Every loss trains the same encoder for the same budget after the same search on validation; the winners are
trained again from other seeds, where the plan says so each on another fold, and those runs alone are scored on the
test pairs, once. Linear rivals and chance stand beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from research.plan_files import OURS, TWIN, MainPlan, changed
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
from research.runs.scoring import DIRECTIONS, METRIC
from research.runs.tuning import Choice, recipe_of, settings_table, tune

DEBIASED = "debiased"
"""A harder twin: inter-intra without its intra term, the prior tuned."""
TITLES = {
    "cca": "linear CCA",
    "ridge": "ridge",
    "cca-train": "linear CCA",
}
Scored: TypeAlias = Mapping[tuple[str, str], Sequence[Outcome]]
"""(set, row of the table) -> its outcomes, one a seed."""


def conduct(plan: MainPlan, runner: Runner) -> Result:
    """Tune, train from every seed, score once, and state what came of it."""
    chosen = tune(runner, plan, {name: recipe_of(plan, name, plan.seeds[0]) for name in plan.sets})
    runs: dict[tuple[str, str], list[Run]] = {
        (name, title): [
            Run(recipe_of(plan, name, seed), config=changed(choice.config, {"seed": seed}))
            for seed in plan.seeds
        ]
        for (name, title), choice in chosen.items()
    }
    for name in plan.sets:
        for method in plan.linear:
            runs[name, title_of(method)] = [
                Run(recipe_of(plan, name, seed), method=method) for seed in plan.seeds[: plan.folds]
            ]
    outcomes = runner.perform((run for each in runs.values() for run in each), title="test")
    scored = {place: done for place, each in runs.items() if (done := outcomes.of(each))}
    return conclude(plan, scored, chosen)


def conclude(plan: MainPlan, scored: Scored, chosen: Mapping[tuple[str, str], Choice]) -> Result:
    """Make the tables and the answer from the outcomes."""
    names = {space.name: space.title for space in plan.losses}
    ours, twin = names.get(OURS), names.get(TWIN)
    others = (twin, names.get(DEBIASED), title_of("cca"))
    order = [*(space.title for space in plan.losses), *(title_of(method) for method in plan.linear)]
    means = {place: _estimate(done) for place, done in scored.items()}
    wide, narrow = ("queries", "folds") if plan.folds > 1 else ("seeds and queries", "seeds alone")
    tables = [_overview(plan.sets, order, means, scored, wide)]
    differences: dict[str, dict[tuple[str, str], Estimate]] = {}
    for against in others:
        found = against_row(scored, plan.sets, order, against) if against else {}
        if against and found:
            differences[against] = found
            tables.append(_difference_table(plan.sets, order, found, against))
    tables += [_detail(name, order, scored) for name in plan.sets if any(s == name for s, _ in scored)]
    return Result(
        name="main",
        title="Every loss on public sets",
        question=(
            "With the same encoder, the same budget and the same search on validation for each loss: does the "
            "inter-intra loss beat its InfoNCE twin (no intra term, not debiased, tuned as long), the debiased loss "
            "(no intra term), linear CCA, and the other losses?"
        ),
        answer=_answer(plan.sets, ours, others, order, means, differences, narrow),
        tables=tuple(tables),
        charts=_charts(plan.sets, order, differences, wide, narrow),
        settings=(settings_table(plan, chosen),) if chosen else (),
        notes=(
            FOLDS.format(plan.folds) if plan.folds > 1 else INTERVALS,
            (
                f"{len(plan.seeds)} training seeds a row; a linear rival has none. Every row is fitted on training and "
                "validation pairs together once its settings are chosen. Recall counts an item's own group as hits; "
                "ties count against us. For lastfm the video side is text."
            ),
        ),
        figures={
            "recall@10": [
                {"set": s, "row": row, "seeds": len(scored[s, row]), **_plain(told)}
                for (s, row), told in means.items()
            ],
            "differences": [
                {"set": s, "row": row, "from": against, **_plain(told)}
                for against, found in differences.items()
                for (s, row), told in found.items()
            ],
        },
    )


def title_of(method: str) -> str:
    """Return how tables call a linear rival."""
    return TITLES.get(method, method)


def against_row(
    scored: Scored, sets: Sequence[str], rows: Sequence[str], against: str
) -> dict[tuple[str, str], Estimate]:
    """Return each row's paired difference in R@10 from the row `against`, on every set that has both."""
    found = {}
    for name in sets:
        for row in rows:
            if row == against or (name, row) not in scored or (name, against) not in scored:
                continue
            first, second = paired(scored[name, row], scored[name, against])
            if first:
                found[name, row] = difference(first, second, METRIC)
    return found


def _answer(
    sets: Sequence[str],
    ours: str | None,
    others: Sequence[str | None],
    order: Sequence[str],
    means: Mapping[tuple[str, str], Estimate],
    differences: Mapping[str, Mapping[tuple[str, str], Estimate]],
    narrow: str,
) -> str:
    if ours is None:
        return (
            "The plan has no inter-intra row, so there is nothing to answer; the tables stand for themselves."
        )
    told = []
    for against in others:
        found = differences.get(against or "", {})
        at = {name: found[name, ours] for name in sets if (name, ours) in found}
        if at:
            above = [name for name, one in at.items() if one.mean > 0]
            beyond = [name for name, one in at.items() if one.above_zero]
            seeds = [name for name, one in at.items() if one.seed_above_zero]
            told.append(
                f"In mean R@10 {ours} is above {against} on {count_of(above, len(at))}, with its 95% interval above "
                f"zero on {count_of(beyond, len(at))} (over the {narrow}: on {count_of(seeds, len(at))})."
            )
    complete = [name for name in sets if _complete(name, order, means)]
    best = [name for name in complete if _is_best(means[name, ours], name, means)]
    return " ".join([*told, f"It is the best row, or level with it, on {count_of(best, len(complete))}."])


def _complete(name: str, order: Sequence[str], means: Mapping[tuple[str, str], Estimate]) -> bool:
    """Tell whether all rows were measured on a set, so that one may be called the best."""
    return all((name, row) in means for row in order)


def _is_best(one: Estimate, name: str, means: Mapping[tuple[str, str], Estimate]) -> bool:
    return one.mean >= max(other.mean for (where, _), other in means.items() if where == name)


def _overview(
    sets: Sequence[str],
    order: Sequence[str],
    means: Mapping[tuple[str, str], Estimate],
    scored: Scored,
    wide: str,
) -> Table:
    rows = []
    for row in order:
        cells = []
        for name in sets:
            one = means.get((name, row))
            cell = with_interval(one)
            best = one is not None and _complete(name, order, means) and _is_best(one, name, means)
            cells.append(f"**{cell}**" if best else cell)
        rows.append((row, *cells))
    random = []
    for name in sets:
        of_set = next((done for (s, _), done in scored.items() if s == name), None)
        random.append(MISSING if of_set is None else percent(chance_of(of_set)[METRIC]))
    rows.append(("chance", *random))
    return Table(
        "R@10, mean of both directions, in percent",
        ("loss", *sets),
        tuple(rows),
        f"The best row of a set is bold where all were measured; the intervals cover {wide}.",
    )


def _difference_table(
    sets: Sequence[str], order: Sequence[str], found: Mapping[tuple[str, str], Estimate], against: str
) -> Table:
    rows = tuple(
        (row, *(with_both_intervals(found.get((name, row))) for name in sets))
        for row in order
        if any((name, row) in found for name in sets)
    )
    return Table(f"Paired difference in R@10 from {against}, in points", ("loss", *sets), rows)


def _charts(
    sets: Sequence[str],
    order: Sequence[str],
    differences: Mapping[str, Mapping[tuple[str, str], Estimate]],
    wide: str,
    narrow: str,
) -> tuple[Chart, ...]:
    charts = []
    for number, (against, found) in enumerate(differences.items(), start=1):
        rows = [row for row in order if any((name, row) in found for name in sets)]
        panels = []
        for name in sets:
            there = [(place, found[name, row]) for place, row in enumerate(rows) if (name, row) in found]
            x = tuple(100 * one.mean for _, one in there)
            y = tuple(float(place) for place, _ in there)
            lines = tuple(
                Line(
                    label,
                    x,
                    y,
                    tuple(100 * getattr(one, low) for _, one in there),
                    tuple(100 * getattr(one, high) for _, one in there),
                )
                for label, low, high in (
                    (f"95% over {wide}", "low", "high"),
                    (f"95% over {narrow}", "seed_low", "seed_high"),
                )
            )
            panels.append(Panel(name, lines))
        title = f"Paired difference in R@10 from {against}"
        charts.append(Chart(f"difference-{number}", title, "points", "", tuple(panels), rows=tuple(rows)))
    return tuple(charts)


def _detail(name: str, order: Sequence[str], scored: Scored) -> Table:
    rows = []
    for row in order:
        if not (done := scored.get((name, row))):
            continue
        cells = [str(len(done)) if done[0].run.config else MISSING]
        cells += [with_interval(_estimate(done, directions=(direction,))) for direction in DIRECTIONS]
        cells.append(f"{np.mean([one.metrics['median_rank'] for one in done]):.1f}")
        cells += [with_interval(_estimate(done, metric)) for metric in ("recall@1", "map")]
        rows.append((row, *cells))
    any_row = next(done for (s, _), done in scored.items() if s == name)
    random = chance_of(any_row)
    told = percent(random[METRIC])
    rows.append(
        (
            "chance",
            MISSING,
            told,
            told,
            f"{random['median_rank']:.1f}",
            percent(random["recall@1"]),
            percent(random["map"]),
        )
    )
    sizes = sorted({len(one.cluster) for one in any_row})
    size = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    return Table(
        f"{name}: a gallery of {size}",
        ("loss", "seeds", "video → music R@10", "music → video R@10", "median rank", "R@1", "mAP"),
        tuple(rows),
    )


def chance_of(done: Sequence[Outcome]) -> dict[str, float]:
    """Return the metrics of a random order, the mean over the test parts of a row's outcomes."""
    return {name: float(np.mean([one.chance[name] for one in done])) for name in done[0].chance}


def _estimate(
    done: Sequence[Outcome], metric: str = METRIC, *, directions: Sequence[str] = DIRECTIONS
) -> Estimate:
    return estimate_of(done, metric, directions=directions)


def _plain(told: Estimate) -> dict[str, float | list[float]]:
    return {
        "mean": told.mean,
        "interval": [told.low, told.high],
        "seed_interval": [told.seed_low, told.seed_high],
    }
