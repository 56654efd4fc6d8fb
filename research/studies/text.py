"""Measure what text on the video side is worth.

One configuration is trained without text (II-CLVM) and with text (II-CLVTM), on the same pairs from the same seeds.
Nothing is tuned: all rows share the plan's settings. The model with text is also scored on test pairs whose text is
removed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from reelscore.errors import ConfigError
from reelscore.training.config import TrainConfig
from research.plan_files import changed, check_folds
from research.recipes.recipe import Recipe
from research.report.format import (
    INTERVALS,
    MISSING,
    OVERLAP,
    count_of,
    percent,
    with_both_intervals,
    with_interval,
)
from research.report.intervals import Estimate, difference, estimate_of, paired
from research.result import Chart, Line, Panel, Result, Table
from research.runs.runner import Outcome, Run, Runner
from research.runs.tuning import fold_recipe

from .losses import chance_of

PLAIN, TEXT, HIDDEN = "no text", "text", "text, shown none"
ROWS: Mapping[str, tuple[dict[str, Any], dict[str, str]]] = {
    PLAIN: ({}, {}),
    TEXT: ({"model.takes_text": True}, {}),
    HIDDEN: ({"model.takes_text": True}, {"hide": "test"}),
}
"""Row of the tables -> its settings in training, and in the recipe of its data."""
METRICS = {"recall@10": "R@10", "suiting": "mAP over all that suits"}
ROTATED = (
    "The test part rotates over {} folds of whole sources, and in each every row is trained from a seed of its own. "
    "The interval in round brackets is a bootstrap over the queries of all folds, the same draw for both systems of a "
    f"difference; the one in square brackets is Student's t over the means of the folds. {OVERLAP}"
)
Scored: TypeAlias = Mapping[tuple[str, str], Sequence[Outcome]]
"""(source, row of the table) -> its outcomes, one a seed."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where pairs with text come from.

    Attributes
    ----------
    name : str
    recipe : mapping
        Of its data, which have text; it must know ``hide``.
    metric : {"recall@10", "suiting"}
        What it is judged by; ``suiting`` where the whole truth is known.
    rotates : bool
        Whether the recipe knows folds.
    """

    name: str
    recipe: Any
    metric: Literal["recall@10", "suiting"] = "recall@10"
    rotates: bool = True

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise ConfigError(f"a source's metric must be one of {', '.join(METRICS)}, got {self.metric!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPlan:
    """Plan of `text`.

    Attributes
    ----------
    sources : tuple of Source
    seeds : tuple of int
    folds : int
        As in `TunedPlan`: with more than 1 the test part of the sources that rotate does so.
    train : TrainConfig
        What all share; its model takes no text.
    """

    sources: tuple[Source, ...]
    seeds: tuple[int, ...]
    folds: int = 1
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        check_folds(self.seeds, self.folds)
        for name in ("sources", "seeds"):
            values = getattr(self, name)
            told = [str(getattr(value, "name", value)) for value in values]
            if not values or len(set(told)) != len(told):
                raise ConfigError(
                    f"{name} must name at least one, and none twice; got {', '.join(told) or 'none'}"
                )
        if self.train.model.takes_text:
            raise ConfigError("the experiment sets train.model.takes_text itself; remove it from the plan")

    @property
    def sets(self) -> tuple[str, ...]:
        """The public sets that the recipes read."""
        return tuple(dict.fromkeys(one.recipe["name"] for one in self.sources if "name" in one.recipe))


def conduct(plan: TextPlan, runner: Runner) -> Result:
    """Train every row from every seed, score it, and state what came of it."""
    runs = {
        (source.name, row): [
            Run(_recipe(plan, source, s) | hide, config=changed(plan.train, {**values, "seed": s}))
            for s in plan.seeds
        ]
        for source in plan.sources
        for row, (values, hide) in ROWS.items()
    }
    outcomes = runner.perform((run for each in runs.values() for run in each), title="text")
    return conclude(plan, {place: done for place, each in runs.items() if (done := outcomes.of(each))})


def _recipe(plan: TextPlan, source: Source, seed: int) -> dict[str, Any]:
    recipe: Recipe = source.recipe
    return {**recipe, **(fold_recipe(plan.seeds, seed, plan.folds) if source.rotates else {})}


def conclude(plan: TextPlan, scored: Scored) -> Result:
    """Make the tables, the chart and the answer from the outcomes."""
    means: dict[tuple[str, str], Estimate] = {}
    gains: dict[tuple[str, str], Estimate] = {}
    for source in plan.sources:
        for row in ROWS:
            if not (done := scored.get((source.name, row))):
                continue
            means[source.name, row] = estimate_of(done, source.metric)
            both = paired(done, scored.get((source.name, PLAIN), ()))
            if row != PLAIN and all(both):
                gains[source.name, row] = difference(*both, source.metric)
    return Result(
        name="text",
        title="Text on the video side",
        question=(
            "Does text beside the video (II-CLVTM) find better than the video alone (II-CLVM) where the text knows "
            "something, and as well where it is missing?"
        ),
        answer=_answer(plan, gains),
        tables=(_means_table(plan, means, scored), _gains_table(plan, gains)),
        charts=(_chart(plan, gains),) if gains else (),
        notes=(
            f"For the made worlds: {INTERVALS}",
            *([f"For the public sets: {ROTATED.format(plan.folds)}"] if plan.folds > 1 else []),
            (
                f"{len(plan.seeds)} training seeds a row, all with the same settings: nothing is tuned here but the "
                "CCA, on training and validation pairs. “Shown none”: "
                "trained with text, scored on test pairs whose text was taken away. lastfm: VGGish on the video side, "
                "Whisper as the text, the words' MiniLM embedding on the music side. wikipedia: the image on the "
                "video side, the first two columns of the text features as the text, the other 98 on the music side: a "
                "split of one embedding, made to be informative. In the made world half of what makes a topic is told "
                "by the text alone; in its second form half of the items, in all parts, have no text."
            ),
        ),
        figures={
            name: [
                {"source": s, "row": row, "mean": one.mean, "interval": [one.low, one.high]}
                for (s, row), one in found.items()
            ]
            for name, found in (("means", means), ("gains", gains))
        },
    )


def _title(source: Source) -> str:
    return f"{source.name}: {METRICS[source.metric]}"


def _means_table(plan: TextPlan, means: Mapping[tuple[str, str], Estimate], scored: Scored) -> Table:
    rows = [(row, *(with_interval(means.get((source.name, row))) for source in plan.sources)) for row in ROWS]
    chance = []
    for source in plan.sources:
        done = next((each for (name, _), each in scored.items() if name == source.name), None)
        chance.append(MISSING if done is None else percent(chance_of(done)[source.metric]))
    return Table(
        "Mean of both directions, in percent",
        ("training", *map(_title, plan.sources)),
        (*rows, ("chance", *chance)),
    )


def _gains_table(plan: TextPlan, gains: Mapping[tuple[str, str], Estimate]) -> Table:
    rows = tuple(
        (row, *(with_both_intervals(gains.get((source.name, row))) for source in plan.sources))
        for row in ROWS
        if row != PLAIN
    )
    return Table(f"Paired difference from {PLAIN}, in points", ("training", *map(_title, plan.sources)), rows)


def _chart(plan: TextPlan, gains: Mapping[tuple[str, str], Estimate]) -> Chart:
    rows = [row for row in ROWS if row != PLAIN]
    panels = []
    for source in plan.sources:
        there = [
            (place, gains[source.name, row]) for place, row in enumerate(rows) if (source.name, row) in gains
        ]
        x, low, high = (tuple(100 * getattr(one, end) for _, one in there) for end in ("mean", "low", "high"))
        panels.append(
            Panel(_title(source), (Line("95%", x, tuple(float(place) for place, _ in there), low, high),))
        )
    return Chart("gains", f"Paired difference from {PLAIN}", "points", "", tuple(panels), rows=tuple(rows))


def _answer(plan: TextPlan, gains: Mapping[tuple[str, str], Estimate]) -> str:
    told, hidden = (
        {one.name: gains[one.name, row] for one in plan.sources if (one.name, row) in gains}
        for row in (TEXT, HIDDEN)
    )
    parts = []
    if told:
        above = [name for name, one in told.items() if one.above_zero]
        parts.append(
            f"Text is above {PLAIN}, with the 95% interval of the difference above zero, on "
            f"{count_of(above, len(told))}."
        )
    if hidden:
        zero = [name for name, one in hidden.items() if one.low <= 0 <= one.high]
        parts.append(
            f"Shown no text, the interval of the difference holds zero on {count_of(zero, len(hidden))}."
        )
    return " ".join(parts) or "No pair of rows was scored; the tables stand for themselves."
