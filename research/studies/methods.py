"""Compare all systems on the public sets, with whole videos and with 30 s of them as queries.

Every network is the same encoder with the same budget. Its few settings are chosen on validation pairs that no fold
scores; CCA and ridge choose theirs inside the training part of each fold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from research.plan_files import Plan, check_titles
from research.report.comparison import compare
from research.report.table import count_above, differences
from research.result import Place, Result
from research.runs.changes import CLIP
from research.runs.runner import Run, Runner
from research.runs.tuning import choice_records, set_recipe, system_runs, tune
from research.study import Study
from research.systems import II, INFONCE, KERNEL, KERNELS, LINEAR_CCA, RIDGE

NUM_CLIPS = 2
"""Clips of each video that are added to the training pairs."""
CLIP_QUERIES = ", 30 s queries"
TRAINED = ", trained with clips"


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodsPlan(Plan):
    """Plan of `methods`; `clips` lists, by set, the systems that are also trained with clips."""

    clips: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super(MethodsPlan, self).__post_init__()  # a slots dataclass is a new class, so super() fails
        for name, titles in self.clips.items():
            check_titles(name, titles)


def run(plan: MethodsPlan, runner: Runner) -> Result:
    """Tune every network, then fit every system in every fold and score it once for each kind of query."""
    chosen = tune(runner, plan)
    runs: dict[Place, list[Run]] = {}
    for name in plan.sets:
        for change, column in (("", name), (CLIP, name + CLIP_QUERIES)):
            if change and name not in plan.clips:
                continue
            for title, each in system_runs(plan, name, set_recipe(name), chosen, change=change).items():
                runs[column, title] = each
            with_clips = set_recipe(name, clips=NUM_CLIPS)
            if titles := plan.clips.get(name):
                own = system_runs(plan, name, with_clips, chosen, titles=titles, change=change)
                runs |= {(column, title + TRAINED): each for title, each in own.items()}
    rows = compare(runner.perform_all(runs, title="test"), _baselines)
    return Result("methods", rows, {"settings": choice_records(chosen)})


def _baselines(place: Place) -> list[Place]:
    """Return the systems that a place is compared with, the one of the table first."""
    column, title = place
    if title in (LINEAR_CCA, INFONCE):
        return []
    plain = title.removesuffix(TRAINED)
    names = [LINEAR_CCA, INFONCE] if plain in (*KERNELS, RIDGE) else [INFONCE, LINEAR_CCA]
    return [(column, name) for name in ([plain, *names] if title.endswith(TRAINED) else names)]


def finding(result: Result) -> str:
    """State where the kernel model differs from linear CCA, and the inter-intra loss from InfoNCE."""
    sentences = []
    for title, baseline in (
        (KERNEL, LINEAR_CCA),
        (II, INFONCE),
        (II, LINEAR_CCA),
        (KERNEL + TRAINED, KERNEL),
    ):
        own = [row for row in result.rows if row.place[1] == title]
        found = differences(own, baseline, lambda place: place[0])
        if found:
            sentences.append(f"`{title}` less `{baseline}`: {count_above(found)}.")
    return " ".join(sentences)


STUDY = Study(
    name="methods",
    title="All methods",
    question="Which method finds the most?",
    setup=(
        "R@10. All networks have one encoder, one budget and three tries on validation pairs, `ii` and `infonce` six. "
        "`kernel` is also what `auto` trains on sets of this size. Brackets: difference from linear CCA for kernels "
        "and ridge, from the same method trained without clips for those trained with clips, else from InfoNCE."
    ),
    plan=MethodsPlan,
    run=run,
    sets=lambda plan: plan.sets,
    finding=finding,
    corner="method",
)
