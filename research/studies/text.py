"""Measure what text on the video side is worth.

One configuration is trained without text (II-CLVM) and with text (II-CLVTM), on the same pairs from the same seeds.
Nothing is tuned. The model with text is also scored on test pairs whose text is removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reelscore.errors import ConfigError
from reelscore.training.config import TrainConfig
from research.report.comparison import compare
from research.report.table import count_above, differences
from research.result import Place, Result
from research.runs.runner import Run, Runner
from research.study import Study
from research.systems import BUDGET, changed

PLAIN, TEXT, HIDDEN = "no text", "text", "text, removed in test"
ROWS: Mapping[str, tuple[dict[str, Any], dict[str, str]]] = {
    PLAIN: ({}, {}),
    TEXT: ({"model.takes_text": True}, {}),
    HIDDEN: ({"model.takes_text": True}, {"hide": "test"}),
}
"""Row of the table -> its training settings, and the additional keys of its recipe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPlan:
    """Plan of `text`: public sets that `two_streams` splits, folds and shared settings, without text."""

    sets: tuple[str, ...]
    folds: int = 5
    train: TrainConfig = BUDGET

    def __post_init__(self) -> None:
        if self.train.model.takes_text:
            raise ConfigError("the study sets train.model.takes_text itself: remove it from the plan")


def run(plan: TextPlan, runner: Runner) -> Result:
    """Train every row in every fold and score it."""
    runs: dict[Place, list[Run]] = {
        (row, name): [
            Run(
                {"kind": "streams", "name": name, "fold": fold, "folds": plan.folds, **hide},
                config=changed(plan.train, {**values, "seed": fold}),
            )
            for fold in range(plan.folds)
        ]
        for name in plan.sets
        for row, (values, hide) in ROWS.items()
    }
    return Result("text", compare(runner.perform_all(runs), lambda place: [(PLAIN, place[1])]))


def finding(result: Result) -> str:
    """State on how many sets each row differs from the model without text."""
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
        "R@10. No public set has videos with text. lastfm: VGGish as the video, Whisper as the text, lyrics as the "
        "music. wikipedia: image, two columns of the text features, the other 98; a split of one embedding, "
        "informative by construction. Nothing is tuned. Brackets: difference from the model without text."
    ),
    plan=TextPlan,
    run=run,
    sets=lambda plan: plan.sets,
    finding=finding,
    corner="data",
    baseline=PLAIN,
)
