"""Measure what text on the video side is worth.

One configuration is trained without text (II-CLVM) and with text (II-CLVTM), on the same pairs from the same seeds.
Nothing is tuned: all rows share the plan's settings. The model with text is also scored on test pairs whose text is
removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from reelscore.errors import ConfigError
from reelscore.training.config import TrainConfig
from research.plan_files import changed, check_folds, check_unique
from research.recipes.recipe import Recipe
from research.report.comparison import compare
from research.report.table import count_above, differences
from research.result import Place, Result
from research.runs.runner import Run, Runner
from research.runs.tuning import fold_recipe
from research.study import Study

PLAIN, TEXT, HIDDEN = "no text", "text", "text, removed in test"
ROWS: Mapping[str, tuple[dict[str, Any], dict[str, str]]] = {
    PLAIN: ({}, {}),
    TEXT: ({"model.takes_text": True}, {}),
    HIDDEN: ({"model.takes_text": True}, {"hide": "test"}),
}
"""Row of the table -> its training settings, and the additional keys of its recipe."""
METRICS = ("recall@10", "truth_map")


@dataclass(frozen=True, slots=True)
class Source:
    """A data set with text.

    Attributes
    ----------
    name : str
    recipe : mapping
        Its kind must take the key ``hide``.
    metric : {"recall@10", "truth_map"}
        ``truth_map`` for data with a ground truth.
    rotates : bool
        Whether the recipe takes folds.
    """

    name: str
    recipe: Any
    metric: Literal["recall@10", "truth_map"] = "recall@10"
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
        As in `TunedPlan`, for the sources that rotate.
    train : TrainConfig
        Shared settings; its model takes no text.
    """

    sources: tuple[Source, ...]
    seeds: tuple[int, ...]
    folds: int = 1
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        check_folds(self.seeds, self.folds)
        check_unique(self, "sources", "seeds")
        if self.train.model.takes_text:
            raise ConfigError("the study sets train.model.takes_text itself: remove it from the plan")

    @property
    def sets(self) -> tuple[str, ...]:
        """The public sets that the recipes read."""
        return tuple(dict.fromkeys(one.recipe["name"] for one in self.sources if "name" in one.recipe))


def run(plan: TextPlan, runner: Runner) -> Result:
    """Train every row from every seed and score it."""
    runs: dict[Place, list[Run]] = {
        (row, source.name): [
            Run(_recipe(plan, source, s) | hide, config=changed(plan.train, {**values, "seed": s}))
            for s in plan.seeds
        ]
        for source in plan.sources
        for row, (values, hide) in ROWS.items()
    }
    metrics = {source.name: source.metric for source in plan.sources}
    rows = compare(
        runner.perform_all(runs, title="text"),
        lambda place: [(PLAIN, place[1])],
        metric=lambda place: metrics[place[1]],
    )
    return Result("text", rows)


def _recipe(plan: TextPlan, source: Source, seed: int) -> dict[str, Any]:
    recipe: Recipe = source.recipe
    return {**recipe, **(fold_recipe(plan.seeds, seed, plan.folds) if source.rotates else {})}


def finding(result: Result) -> str:
    """State on how many sources each row differs from the model without text."""
    parts = []
    for column in dict.fromkeys(row.place[0] for row in result.rows if row.place[0] != PLAIN):
        own = [row for row in result.rows if row.place[0] == column]
        parts.append(f"{column}: {count_above(differences(own, PLAIN, lambda p: p[1]))}")
    return f"Interval of the difference from the model without text. {'; '.join(parts).capitalize()}."


STUDY = Study(
    name="text",
    title="Text on the video side",
    question="Does text on the video side (II-CLVTM) find more than the video alone (II-CLVM)?",
    setup=(
        "No public set has videos with text. lastfm: VGGish as the video, Whisper as the text, lyrics as the music. "
        "wikipedia: image, two columns of the text features, the other 98; a split of one embedding, informative by "
        "construction. In the synthetic sets half of the topic is only in the text. Nothing is tuned. Brackets: "
        "difference from the model without text."
    ),
    plan=TextPlan,
    run=run,
    sets=lambda plan: plan.sets,
    finding=finding,
    corner="data",
    baseline=PLAIN,
)
