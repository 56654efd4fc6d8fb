"""Train on pairs of which a share is duplicated under new ids, and so made false negatives.

The test pairs stay as they are. The settings are those that the search of `methods` chose without duplicates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reelscore.errors import ConfigError
from research.plan_files import Plan
from research.report.comparison import compare
from research.report.table import count_above, differences, percent
from research.result import Place, Result
from research.runs.runner import Run, Runner
from research.runs.tuning import choice_records, set_recipe, system_runs, tune
from research.study import Study
from research.systems import CORRELATED, II, II_KL, INFONCE

VARIANTS = (II, II_KL, CORRELATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class SharesPlan(Plan):
    """Plan of `false-negatives` and of `few-pairs`; `shares` lists, by set, the shares of the training pairs."""

    shares: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super(SharesPlan, self).__post_init__()  # a slots dataclass is a new class, so super() fails
        for name in self.systems:
            shares = self.shares.get(name)
            if not isinstance(shares, (list, tuple)) or not shares or sorted(set(shares)) != list(shares):
                raise ConfigError(f"shares.{name} must list increasing shares of its pairs, got {shares!r}")
            if shares[0] < 0 or shares[-1] > 1:
                raise ConfigError(f"shares.{name} must lie in [0, 1], got {shares!r}")


def run(plan: SharesPlan, runner: Runner) -> Result:
    """Tune on the sets without duplicates, then train at every share of duplicates."""
    return run_shares("false-negatives", "duplicates", 0.0, plan, runner)


def run_shares(name: str, key: str, neutral: float, plan: SharesPlan, runner: Runner) -> Result:
    """Train every system of every set at every share; the recipe key of the neutral share is omitted."""
    chosen = tune(runner, plan)
    runs: dict[Place, list[Run]] = {}
    for of_set in plan.sets:
        for share in plan.shares[of_set]:
            # The neutral share has the recipe of `methods`, so both studies share these runs.
            recipe = set_recipe(of_set) if share == neutral else set_recipe(of_set, **{key: share})
            for title, each in system_runs(plan, of_set, recipe, chosen).items():
                runs[f"{share:.0%}", of_set, title] = each
    order = sorted({place[0] for place in runs}, key=lambda column: float(column.rstrip("%")))
    runs = {place: each for column in order for place, each in runs.items() if place[0] == column}
    rows = compare(runner.perform_all(runs, title=key), lambda place: [(*place[:-1], INFONCE)])
    return Result(name, rows, {"settings": choice_records(chosen)})


def share_finding(result: Result, neutral: str) -> str:
    """State where the variants of the inter-intra loss differ from InfoNCE at shares other than the neutral one."""
    sentences = []
    for title in VARIANTS:
        own = [row for row in result.rows if row.place[2] == title and row.place[0] != neutral]
        found = differences(own, INFONCE, lambda place: f"{place[1]} {place[0]}")
        if found:
            sentences.append(f"`{title}` less `infonce`: {count_above(found)}.")
    return " ".join(sentences)


def finding(result: Result) -> str:
    """State what duplicates cost InfoNCE, and where the inter-intra loss differs from it."""
    means = {row.place: row.estimate.mean for row in result.rows if row.place[2] == INFONCE}
    sets = dict.fromkeys(place[1] for place in means)
    costs = []
    for name in sets:
        own = {place[0]: mean for place, mean in means.items() if place[1] == name}
        last = list(own)[-1]
        if "0%" in own and last != "0%":
            costs.append(f"{name} from {percent(own['0%'])} to {percent(own[last])} at {last}")
    cost = f"InfoNCE moves on {'; '.join(costs)}. " if costs else ""
    return cost + share_finding(result, "0%")


STUDY = Study(
    name="false-negatives",
    title="False negatives",
    question="Does the inter-intra loss lose less than InfoNCE to false negatives?",
    setup=(
        "R@10 by the share of the training and validation pairs that appear again under new ids. The settings were "
        "chosen without duplicates. Brackets: difference from InfoNCE at the same share."
    ),
    plan=SharesPlan,
    run=run,
    sets=lambda plan: plan.sets,
    finding=finding,
    corner="share, set",
    column=2,
    baseline=INFONCE,
)
