"""The table of experiments: a name, a plan and a runner enter, the experiment's `Result` leaves.

An experiment is a module with a plan (a dataclass, read from TOML by `config.read_plan`) and ``conduct(plan, runner)
-> Result``. It asks the runner for outcomes as often as it needs to, and states what they show; run time, machine,
failures and the plan itself are added here.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from research.runs.runner import Runner
from research.studies.ablation import AblationPlan
from research.studies.false_negatives_plan import NoisePlan
from research.studies.hubness import HubsPlan
from research.studies.relevance import RelevancePlan
from research.studies.tasks import TasksPlan
from research.studies.text import TextPlan

from .plan_files import FewPlan, MainPlan, plan_values
from .result import Result
from .studies import ablation, relevance, tasks, text
from .studies import false_negatives as noise
from .studies import few_pairs as few
from .studies import hubness as hubs
from .studies import losses as main


@dataclass(frozen=True, slots=True)
class Experiment:
    """One entry of the table.

    Attributes
    ----------
    plan : type
        Of its plan.
    conduct : callable
        ``conduct(plan, runner) -> Result``.
    sets : callable
        ``sets(plan)``: the public sets without which it cannot be run.
    """

    plan: type[Any]
    conduct: Callable[[Any, Runner], Result]
    sets: Callable[[Any], tuple[str, ...]]


EXPERIMENTS: Mapping[str, Experiment] = {
    "main": Experiment(MainPlan, main.conduct, lambda plan: plan.sets),
    "noise": Experiment(NoisePlan, noise.conduct, lambda plan: plan.sets),
    "few": Experiment(FewPlan, few.conduct, lambda plan: plan.sets),
    "tasks": Experiment(TasksPlan, tasks.conduct, lambda plan: plan.sets),
    "text": Experiment(TextPlan, text.conduct, lambda plan: plan.sets),
    "ablation": Experiment(AblationPlan, ablation.conduct, lambda plan: (plan.set, *plan.part_sets)),
    "hubs": Experiment(HubsPlan, hubs.conduct, lambda plan: plan.sets),
    "relevance": Experiment(RelevancePlan, relevance.conduct, lambda plan: (plan.folder,)),
}


def conduct(name: str, plan: Any, runner: Runner) -> Result:
    """Run an experiment with a fresh runner, and add to its result what it rests on."""
    result = EXPERIMENTS[name].conduct(plan, runner)
    outcomes = runner.outcomes
    codes = Counter(one.code for one in outcomes)
    if not outcomes and not runner.failures:
        return replace(result, plan=plan_values(plan), about=("No training",))
    about = [
        f"{len(outcomes)} runs, {sum(one.seconds for one in outcomes) / 60:.1f} minutes of them all, one after another",
        f"Machine: {'; '.join(sorted({one.machine for one in outcomes}))}",
    ]
    if len(codes) > 1:
        told = ", ".join(f"{count} by {code}" for code, count in sorted(codes.items()))
        about.append(
            f"Made by more than one state of the code ({told}); run again with a new --cache for one state"
        )
    failures = tuple(f"{json.dumps(failure.run.to_json())}: {failure.reason}" for failure in runner.failures)
    return replace(result, plan=plan_values(plan), failures=failures, about=tuple(about))
