"""A plan of data with text enters, what each way of fusing it is worth beside no text at all leaves.

One configuration, trained without text (II-CLVM) and with it by each fusion (II-CLVTM), on the same pairs from the same
seeds. Nothing is tuned: all rows share the plan's settings. Some fusions are also scored on test pairs whose text is
taken away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from ..errors import ConfigError
from ..models.config import Fusion
from ..training.config import TrainConfig
from .cells import INTERVALS, MISSING, OVERLAP, percent, with_both_intervals, with_interval
from .config import changed, check_folds
from .main import chance_of
from .material import Recipe
from .result import Chart, Line, Panel, Result, Table
from .run import Outcome, Run, Runner
from .search import fold_recipe
from .stats import Estimate, difference, estimate_of, paired

PLAIN = "no text"
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
    fusions : tuple of str
        `ModelConfig.fusion`, each a row.
    shown_none : tuple of str
        Those of them that make a further row: trained with text, scored without.
    train : TrainConfig
        What all share; its model takes no text.
    """

    sources: tuple[Source, ...]
    seeds: tuple[int, ...]
    folds: int = 1
    fusions: tuple[str, ...] = ("gated", "tokens", "cross-attention")
    shown_none: tuple[str, ...] = ("gated",)
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        check_folds(self.seeds, self.folds)
        for name in ("sources", "seeds", "fusions"):
            values = getattr(self, name)
            told = [str(getattr(value, "name", value)) for value in values]
            if not values or len(set(told)) != len(told):
                raise ConfigError(
                    f"{name} must name at least one, and none twice; got {', '.join(told) or 'none'}"
                )
        known = [fusion for fusion in get_args(Fusion) if fusion != "none"]
        if unknown := sorted(set(self.fusions) - set(known)):
            raise ConfigError(f"fusions must be among {', '.join(known)}, got {unknown[0]!r}")
        if unknown := sorted(set(self.shown_none) - set(self.fusions)):
            raise ConfigError(f"shown_none must be among the plan's fusions, got {unknown[0]!r}")
        if self.train.model.takes_text:
            raise ConfigError("the plan's fusions make the rows; leave train.model.fusion out")

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
        for row, (values, hide) in rows_of(plan).items()
    }
    outcomes = runner.perform((run for each in runs.values() for run in each), title="fusions")
    return conclude(plan, {place: done for place, each in runs.items() if (done := outcomes.of(each))})


def rows_of(plan: TextPlan) -> dict[str, tuple[dict[str, Any], dict[str, str]]]:
    """Return the rows: their name -> what differs in training, and in the recipe of the data."""
    found: dict[str, tuple[dict[str, Any], dict[str, str]]] = {PLAIN: ({}, {})}
    for fusion in plan.fusions:
        found[fusion] = ({"model.fusion": fusion}, {})
        if fusion in plan.shown_none:
            found[silent(fusion)] = ({"model.fusion": fusion}, {"hide": "test"})
    return found


def silent(fusion: str) -> str:
    """Return the name of the row whose test pairs have no text."""
    return f"{fusion}, shown none"


def _recipe(plan: TextPlan, source: Source, seed: int) -> dict[str, Any]:
    recipe: Recipe = source.recipe
    return {**recipe, **(fold_recipe(plan.seeds, seed, plan.folds) if source.rotates else {})}


def conclude(plan: TextPlan, scored: Scored) -> Result:
    """Make the tables, the chart and the answer from the outcomes."""
    means: dict[tuple[str, str], Estimate] = {}
    gains: dict[tuple[str, str], Estimate] = {}
    for source in plan.sources:
        for row in rows_of(plan):
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
            "something, and as well where it is missing? Which fusion?"
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
    rows = [
        (row, *(with_interval(means.get((source.name, row))) for source in plan.sources))
        for row in rows_of(plan)
    ]
    chance = []
    for source in plan.sources:
        done = next((each for (name, _), each in scored.items() if name == source.name), None)
        chance.append(MISSING if done is None else percent(chance_of(done)[source.metric]))
    return Table(
        "Mean of both directions, in percent",
        ("fusion", *map(_title, plan.sources)),
        (*rows, ("chance", *chance)),
    )


def _gains_table(plan: TextPlan, gains: Mapping[tuple[str, str], Estimate]) -> Table:
    rows = tuple(
        (row, *(with_both_intervals(gains.get((source.name, row))) for source in plan.sources))
        for row in rows_of(plan)
        if row != PLAIN
    )
    return Table(f"Paired difference from {PLAIN}, in points", ("fusion", *map(_title, plan.sources)), rows)


def _chart(plan: TextPlan, gains: Mapping[tuple[str, str], Estimate]) -> Chart:
    rows = [row for row in rows_of(plan) if row != PLAIN]
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
    number = len(plan.sources)
    told = []
    for fusion in plan.fusions:
        at = {one.name: gains[one.name, fusion] for one in plan.sources if (one.name, fusion) in gains}
        beyond = [name for name, one in at.items() if one.above_zero]
        which = f"{len(beyond)} of {number} ({', '.join(beyond) or 'none'})"
        told.append(f"{fusion} on {which if len(beyond) < number else f'all {number}'}")
    parts = (
        [f"Above {PLAIN}, with the 95% interval of the difference above zero: {'; '.join(told)}."]
        if gains
        else []
    )
    apart = [
        f"{fusion} on {one.name}"
        for fusion in plan.fusions
        for one in plan.sources
        if (found := gains.get((one.name, silent(fusion)))) and not found.low <= 0 <= found.high
    ]
    hidden = sum((one.name, silent(fusion)) in gains for fusion in plan.fusions for one in plan.sources)
    if hidden:
        known = f"for all {hidden} rows but {', '.join(apart)}" if apart else f"for all {hidden} rows"
        parts.append(f"Shown no text, the interval of the difference holds zero {known}.")
    return " ".join(parts) or "No pair of rows was scored; the tables stand for themselves."
