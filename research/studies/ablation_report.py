"""Outcomes of the ablation's runs enter; its tables, chart and answer leave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from research.plan_files import OURS, TWIN
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
from research.runs.runner import Outcome
from research.runs.scoring import METRIC

from .ablation_parts import ALONE, BOTH, CUTS, LINEAR, NETWORK, PARTS, TERMS, WITH_CCA, Place
from .losses import chance_of

if TYPE_CHECKING:
    from .ablation import AblationPlan

Scored: TypeAlias = Mapping[Place, Sequence[Outcome]]


def conclude(plan: AblationPlan, scored: Scored) -> Result:
    """Make the tables, the chart and the answer from the outcomes."""
    means = {place: estimate_of(done, METRIC) for place, done in scored.items()}
    return Result(
        name="ablation",
        title="Choices inside the method",
        question=(
            "What is each part of the model worth? Which form of the intra term, at which weight, looking at what; how "
            "many segments; and is a look over the whole source worth more than one piece of it?"
        ),
        answer=_answer(plan, scored, means),
        tables=(
            *([_term_table(plan, scored, means), _part_table(plan, means)] if plan.part_sets else []),
            _pooling_table(plan, scored, means),
            *(_form_table(plan, structure, means) for structure in plan.structures),
            _segment_table(plan, scored, means),
            *([_piece_table(plan, scored, means)] if plan.pieces else []),
        ),
        charts=(_chart(plan, scored, means),),
        notes=(
            FOLDS.format(plan.folds) if plan.folds > 1 else INTERVALS,
            (
                f"{plan.set} unless a table says otherwise, {len(plan.seeds)} seeds, R@10 in percent, mean of both "
                "directions. Nothing is tuned: a "
                "form whose best weight or temperature lies elsewhere is undersold. A piece from anywhere is drawn "
                "once for each item and seed, at one place for both sides."
            ),
        ),
        figures={
            METRIC: [
                {"place": [*map(str, place)], "mean": one.mean, "interval": [one.low, one.high]}
                for place, one in means.items()
            ]
        },
    )


def _term_table(plan: AblationPlan, scored: Scored, means: Mapping[Place, Estimate]) -> Table:
    rows = []
    for terms in TERMS:
        cells = []
        for name in plan.part_sets:
            cells.append(with_interval(means.get(("terms", name, terms))))
            first = terms == ALONE
            cells.append(
                MISSING if first else _against(scored, ("terms", name, terms), ("terms", name, ALONE))
            )
        rows.append((terms, *cells))
    columns = [column for name in plan.part_sets for column in (name, f"{name}, less {ALONE}, points")]
    return Table("The parts of the loss, of one network alone", ("loss", *columns), tuple(rows))


def _pooling_table(plan: AblationPlan, scored: Scored, means: Mapping[Place, Estimate]) -> Table:
    rows = []
    for pooling in plan.poolings:
        places = [("pooling", pooling, row) for row in (TWIN, OURS)]
        cells = (with_interval(means.get(place)) for place in places)
        rows.append((pooling, *cells, _against(scored, places[1], places[0])))
    return Table(
        "What is told of a sequence over time", ("pooling", TWIN, OURS, "difference, points"), tuple(rows)
    )


def _part_table(plan: AblationPlan, means: Mapping[Place, Estimate]) -> Table:
    rows = []
    for part in (*LINEAR, *PARTS):
        cells = (with_interval(means.get(("part", name, part))) for name in plan.part_sets)
        rows.append((part, *cells))
    return Table(
        "The parts of the model",
        ("the embedding holds", *plan.part_sets),
        tuple(rows),
        "Refit: fitted in the end on training and validation pairs together; the others see the training pairs alone.",
    )


def _form_table(plan: AblationPlan, structure: str, means: Mapping[Place, Estimate]) -> Table:
    rows = [("none", *[with_interval(means.get(("none",)))] * len(plan.weights))]
    for form in plan.forms:
        cells = (with_interval(means.get(("form", form, structure, weight))) for weight in plan.weights)
        rows.append((form, *cells))
    return Table(
        f"Intra form by its weight; frozen structure held on to: {structure}",
        ("form", *(f"λ = {weight:g}" for weight in plan.weights)),
        tuple(rows),
        "The row `none` is InfoNCE: one figure, whatever the weight.",
    )


def _segment_table(plan: AblationPlan, scored: Scored, means: Mapping[Place, Estimate]) -> Table:
    rows = []
    for number in plan.segments:
        places = [("segments", number, row) for row in (TWIN, OURS)]
        rows.append(
            (
                str(number or "all"),
                *(with_interval(means.get(place)) for place in places),
                _against(scored, places[1], places[0]),
            )
        )
    return Table("Segments N of Global Sparse sampling", ("N", TWIN, OURS, "difference, points"), tuple(rows))


def _piece_table(plan: AblationPlan, scored: Scored, means: Mapping[Place, Estimate]) -> Table:
    rows = []
    for number in plan.pieces:
        for cut, title in CUTS.items():
            place = ("piece", number, cut)
            rest = MISSING if cut == "sparse" else _against(scored, place, ("piece", number, "sparse"))
            rows.append((str(number), title, with_interval(means.get(place)), rest))
    return Table(
        "As many rows, from one piece or from the whole source",
        ("rows", "where they lie", "R@10", "less GS, points"),
        tuple(rows),
        "A row is a second.",
    )


def _gain(scored: Scored, first: Place, second: Place) -> Estimate | None:
    both = paired(scored.get(first, ()), scored.get(second, ()))
    return difference(*both, METRIC) if all(both) else None


def _against(scored: Scored, first: Place, second: Place) -> str:
    return with_both_intervals(_gain(scored, first, second))


def _chart(plan: AblationPlan, scored: Scored, means: Mapping[Place, Estimate]) -> Chart:
    of_set = next((done for place, done in scored.items() if place[0] == "segments"), None)
    chance = 0.0 if of_set is None else 100 * chance_of(of_set)[METRIC]
    whole = max(2 * max(plan.segments), 1)  # where "all" is drawn
    lines = []
    for row in (TWIN, OURS):
        there = [number for number in plan.segments if ("segments", number, row) in means]
        told = [means["segments", number, row] for number in there]
        y, low, high = (tuple(100 * getattr(one, end) for one in told) for end in ("mean", "low", "high"))
        lines.append(Line(row, tuple(float(number or whole) for number in there), y, low, high))
    ticks = tuple(float(number or whole) for number in plan.segments)
    level = Line("chance", (min(ticks), max(ticks)), (chance, chance))
    return Chart(
        "segments",
        "R@10 by the number of segments; the rightmost point keeps every row",
        "segments N",
        "R@10, %",
        (Panel(plan.set, tuple(line for line in lines if line.x), (level,)),),
        ticks,
        x_names=tuple(str(number or "all") for number in plan.segments),
    )


def _by_set(plan: AblationPlan, scored: Scored) -> Iterator[str]:
    """Say on how many sets the loss of one network, and the CCA beside it, are worth something."""
    for words, kind, first, second in (
        (f"Of one network alone, the loss {BOTH} is worth, in points over InfoNCE", "terms", BOTH, ALONE),
        ("The CCA beside the network is worth, in points", "part", WITH_CCA, NETWORK),
    ):
        gains = {
            name: gain
            for name in plan.part_sets
            if (gain := _gain(scored, (kind, name, first), (kind, name, second))) is not None
        }
        if gains:
            above = [name for name, gain in gains.items() if gain.above_zero]
            told = "; ".join(f"{100 * gain.mean:+.1f} on {name}" for name, gain in gains.items())
            yield f"{words}, {told} (interval above zero on {count_of(above, len(gains))})."


def _answer(plan: AblationPlan, scored: Scored, means: Mapping[Place, Estimate]) -> str:
    told = [*_by_set(plan, scored)]
    forms = [place for place in means if place[0] == "form"]
    if forms:
        best = max(forms, key=lambda place: means[place].mean)
        gain = _gain(scored, best, ("none",))
        beyond = " (its interval lies above zero)" if gain is not None and gain.above_zero else ""
        told.append(
            f"The best of {len(forms)} settings of the intra term is {best[1]} with λ = {best[3]:g} on {best[2]} at "
            f"{percent(means[best].mean)}, without it {with_interval(means.get(('none',)))}{beyond}; the best of "
            "many is flattered by having been picked."
        )
    numbers = [place for place in means if place[0] == "segments" and place[2] == OURS]
    if numbers:
        best = max(numbers, key=lambda place: means[place].mean)
        told.append(f"N = {best[1] or 'all'} segments serve best.")
    for number in plan.pieces:
        gain = _gain(scored, ("piece", number, "sparse"), ("piece", number, "middle"))
        if gain is not None:
            told.append(
                f"{number} rows over the whole against one piece: {with_both_intervals(gain)} points."
            )
    return " ".join(told) or "Every run has failed, so there is nothing to tell."
