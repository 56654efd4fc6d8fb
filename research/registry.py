"""Registry of the studies."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from .result import Result
from .runs.runner import Runner
from .studies import (
    ablation,
    false_negatives,
    few_pairs,
    length,
    methods,
    moments,
    pairs_needed,
    relevance,
    tasks,
    text,
)
from .study import Study

STUDIES: Mapping[str, Study] = {
    module.STUDY.name: module.STUDY
    for module in (
        methods,
        false_negatives,
        few_pairs,
        pairs_needed,
        length,
        moments,
        text,
        tasks,
        ablation,
        relevance,
    )
}


def run_study(name: str, plan: Any, runner: Runner) -> Result:
    """Run a study and add the plan, the failures, the run time and the machine to its result."""
    result = STUDIES[name].run(plan, runner)
    outcomes = runner.outcomes
    about = ["No training"]
    if outcomes or runner.failures:
        minutes = sum(one.seconds for one in outcomes) / 60
        about = [
            f"{len(outcomes)} runs, {minutes:.1f} minutes in total",
            f"Machine: {'; '.join(sorted({one.machine for one in outcomes}))}",
        ]
    codes = Counter(one.code for one in outcomes)
    if len(codes) > 1:
        counts = ", ".join(f"{count} by {code}" for code, count in sorted(codes.items()))
        about.append(f"Several versions of the code ({counts}): use a new --cache for a single one")
    return dataclasses.replace(
        result,
        plan=dataclasses.asdict(plan),
        failures=tuple(f"{json.dumps(one.run.to_json())}: {one.reason}" for one in runner.failures),
        about=tuple(about),
    )
