"""A plan of variations enters, what each choice inside the method is worth leaves.

One configuration, one choice varied at a time: the parts of the model on several sets, all else on one set with time
in it. Nothing is tuned here: what is varied stands in the table, all else in the plan. The best epoch is that of the
best validation; test pairs are scored once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..errors import ConfigError
from ..training.config import TrainConfig
from .cells import INTERVALS, MISSING, count_of, percent, with_both_intervals, with_interval
from .config import changed, check_folds
from .material import Recipe
from .result import Chart, Line, Panel, Result, Table
from .run import Outcome, Run, Runner
from .search import fold_of
from .stats import Estimate, difference, estimate_of, paired

OURS, TWIN = "inter-intra", "infonce"
METRIC = "recall@10"
CUTS: Mapping[str, str] = {
    "middle": "one piece from the middle",
    "anywhere": "one piece from anywhere",
    "spread": "spread, the same instants in training",
    "sparse": "spread, random instants in training (GS)",
}
NETWORK, WITH_CCA = "one network", "one network and the CCA"
PARTS: Mapping[str, Mapping[str, Any]] = {
    NETWORK: {"model.cca": False},
    "two networks": {"model.cca": False, "model.members": 2},
    WITH_CCA: {"model.cca": True},
    "two networks and the CCA": {"model.cca": True, "model.members": 2},
    "one network and the CCA, refit": {"model.cca": True, "refit": True},
}
"""What an embedding is made of -> how it is trained."""
ALONE, BOTH = "InfoNCE", "debiased and the intra term"
TERMS: Mapping[str, Mapping[str, Any]] = {
    ALONE: {"loss.name": TWIN},
    "debiased": {"loss.intra_weight": 0.0},
    "InfoNCE and the intra term": {"loss.prior": 0.0},
    BOTH: {},
}
"""What the loss of one network, with no CCA beside it, is made of -> how it is trained."""
LINEAR: Mapping[str, str] = {"the CCA": "cca-train", "the CCA, refit": "cca"}
"""The linear part by itself -> its name in `methods.METHODS`."""
ALL_ROWS = 1_000_000
"""More segments than any sequence has rows: all are kept."""

Place: TypeAlias = tuple[Any, ...]
Scored: TypeAlias = Mapping[Place, Sequence[Outcome]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationPlan:
    """Plan of `ablation`.

    Attributes
    ----------
    set : str
        A public set with sequences.
    part_sets : tuple of str
        Public sets on which the parts of the model, and those of the loss, are set against each other.
    seeds : tuple of int
    folds : int
        As in `TunedPlan`: with more than 1 the test part rotates.
    poolings : tuple of str
        `ModelConfig.pooling`.
    forms, weights, structures : tuple
        Of the intra term, each with each: `LossConfig.intra`, `.intra_weight` and `.structure`.
    segments : tuple of int
        N of Global Sparse sampling; 0 keeps every row.
    pieces : tuple of int
        N at which a continuous piece is set against Global Sparse sampling.
    train : TrainConfig
        All else; its loss is the inter-intra loss.
    """

    set: str = "muvisync"
    part_sets: tuple[str, ...] = ()
    seeds: tuple[int, ...]
    folds: int = 1
    poolings: tuple[str, ...] = ("texture", "mean+deviation")
    forms: tuple[str, ...] = ("kl", "mse", "order", "multiscale")
    weights: tuple[float, ...] = (0.3, 1.0, 3.0)
    structures: tuple[str, ...] = ("all", "mean")
    segments: tuple[int, ...] = (8, 16, 32, 64, 128, 0)
    pieces: tuple[int, ...] = (16, 64)
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        check_folds(self.seeds, self.folds)
        for name in ("seeds", "forms", "weights", "structures", "segments"):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise ConfigError(f"{name} must hold at least one value, and none twice; got {list(values)}")
        if min(self.segments) < 0 or min(self.pieces, default=1) < 1:
            raise ConfigError(
                f"segments must not be negative and pieces at least 1, got {self.segments}, {self.pieces}"
            )
        if self.train.loss.name != OURS:
            raise ConfigError(f"the ablation varies {OURS}, got a plan of {self.train.loss.name}")


def conduct(plan: AblationPlan, runner: Runner) -> Result:
    """Perform every variation from every seed and state what came of it."""
    runs = {place: _runs(plan, recipe, values) for place, (recipe, values) in variations(plan).items()}
    for name in plan.part_sets:
        for part, method in LINEAR.items():
            runs["part", name, part] = [
                Run({"kind": "set", "name": name, **fold_of(plan.seeds, seed, plan.folds)}, method=method)
                for seed in plan.seeds[: plan.folds]
            ]
    outcomes = runner.perform((run for each in runs.values() for run in each), title="variations")
    return conclude(plan, {place: done for place, each in runs.items() if (done := outcomes.of(each))})


def variations(plan: AblationPlan) -> dict[Place, tuple[Recipe, dict[str, Any]]]:
    """List what is tried: its place in the tables -> the recipe of its data, and what differs in training."""
    whole: Recipe = {"kind": "set", "name": plan.set}
    found: dict[Place, tuple[Recipe, dict[str, Any]]] = {("none",): (whole, {"loss.name": TWIN})}
    for form in plan.forms:
        for structure in plan.structures:
            for weight in plan.weights:
                values = {"loss.intra": form, "loss.structure": structure, "loss.intra_weight": weight}
                found["form", form, structure, weight] = (whole, values)
    for pooling in plan.poolings:
        for row in (TWIN, OURS):
            found["pooling", pooling, row] = (whole, {"model.pooling": pooling, "loss.name": row})
    for number in plan.segments:
        for row in (TWIN, OURS):
            values = {"model.num_segments": number or ALL_ROWS, "loss.name": row}
            found["segments", number, row] = (whole, values)
    for number in plan.pieces:
        for cut in CUTS:
            recipe = whole if cut == "sparse" else _excerpt(plan.set, number, cut)
            found["piece", number, cut] = (recipe, {"model.num_segments": number})
    for name in plan.part_sets:
        for part, settings in PARTS.items():
            found["part", name, part] = ({"kind": "set", "name": name}, dict(settings))
        for terms, settings in TERMS.items():
            found["terms", name, terms] = ({"kind": "set", "name": name}, dict(settings))
    return found


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
            INTERVALS,
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


def _excerpt(name: str, rows: int, cut: str) -> Recipe:
    return {"kind": "excerpt", "name": name, "rows": rows, "where": cut}


def _runs(plan: AblationPlan, recipe: Recipe, values: Mapping[str, Any]) -> list[Run]:
    drawn = recipe.get("where") == "anywhere"
    found = []
    for s in plan.seeds:
        own = {**recipe, **fold_of(plan.seeds, s, plan.folds)} | ({"draw": s} if drawn else {})
        found.append(Run(own, config=changed(plan.train, {**values, "seed": s})))
    return found


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
    chance = next((percent(done[0].chance[METRIC]) for done in scored.values()), "0")
    whole = max(2 * max(plan.segments), 1)  # where "all" is drawn
    lines = []
    for row in (TWIN, OURS):
        there = [number for number in plan.segments if ("segments", number, row) in means]
        told = [means["segments", number, row] for number in there]
        y, low, high = (tuple(100 * getattr(one, end) for one in told) for end in ("mean", "low", "high"))
        lines.append(Line(row, tuple(float(number or whole) for number in there), y, low, high))
    ticks = tuple(float(number or whole) for number in plan.segments)
    level = Line("chance", (min(ticks), max(ticks)), (float(chance), float(chance)))
    return Chart(
        "segments",
        "R@10 by the number of segments; the rightmost point keeps every row",
        "segments N",
        "R@10, %",
        (Panel(plan.set, tuple(line for line in lines if line.x), (level,)),),
        ticks,
    )


def _answer(plan: AblationPlan, scored: Scored, means: Mapping[Place, Estimate]) -> str:
    told = []
    alone = {
        name: gain
        for name in plan.part_sets
        if (gain := _gain(scored, ("terms", name, BOTH), ("terms", name, ALONE))) is not None
    }
    if alone:
        above = [name for name, gain in alone.items() if gain.above_zero]
        gains = "; ".join(f"{100 * gain.mean:+.1f} on {name}" for name, gain in alone.items())
        told.append(
            f"Of one network alone, the loss {BOTH} is worth, in points over InfoNCE, {gains} (interval above zero on "
            f"{count_of(above, len(alone))})."
        )
    sums = {
        name: gain
        for name in plan.part_sets
        if (gain := _gain(scored, ("part", name, WITH_CCA), ("part", name, NETWORK))) is not None
    }
    if sums:
        above = [name for name, gain in sums.items() if gain.above_zero]
        gains = "; ".join(f"{100 * gain.mean:+.1f} on {name}" for name, gain in sums.items())
        told.append(
            f"The CCA beside the network is worth, in points, {gains} (interval above zero on "
            f"{count_of(above, len(sums))})."
        )
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
