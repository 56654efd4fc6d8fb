"""Search the settings of each loss on validation, with equal numbers of tries.

A try is judged by the mean logarithm of the rank on the validation pairs, over both directions and the search seeds.
It depends on every query, while the recall of a hundred pairs moves in steps. The first of equal tries wins. The test
pairs are removed before a try sees the data.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reelscore.errors import InputError
from reelscore.training.config import TrainConfig
from research.plan_files import LossSpace, TunedPlan, changed
from research.recipes.recipe import Recipe

from .runner import Run, Runner

# A refit would learn from the pairs that judge the try, and a share chosen on them would flatter it.
_TRY_SETTINGS = {"refit": False, "validate": True, "choose_share": False}


@dataclass(frozen=True, slots=True)
class Choice:
    """The best settings of one loss on one set.

    Attributes
    ----------
    config : TrainConfig
    values : mapping
        The chosen values by the path of their knob.
    scores : tuple of float or None
        Mean log rank of each try; None where all its runs failed.
    """

    config: TrainConfig
    values: Mapping[str, float | str]
    scores: tuple[float | None, ...]


Choices = Mapping[tuple[str, str], Choice]
"""(name of the set, title of the loss) -> its choice."""


def tune(
    runner: Runner,
    plan: TunedPlan,
    recipes: Mapping[str, Recipe],
    *,
    losses: Sequence[LossSpace] | None = None,
) -> dict[tuple[str, str], Choice]:
    """Search the settings of every loss of the plan, or of the given losses, on every set.

    Parameters
    ----------
    runner : Runner
    plan : TunedPlan
    recipes : mapping
        Name of each set -> the recipe of its data.

    Returns
    -------
    dict
        (name of the set, title of the loss) -> Choice, without those whose runs all failed.
    """
    spaces = plan.losses if losses is None else losses
    runs = {
        (name, space.title, attempt): [
            Run(recipe, config=changed(_config(plan, space, attempt, seed), _TRY_SETTINGS), score="val")
            for seed in plan.search_seeds
        ]
        for name, recipe in recipes.items()
        for space in spaces
        for attempt in range(len(space.tries))
    }
    outcomes = runner.perform((run for each in runs.values() for run in each), title="search")
    chosen = {}
    for name, space in itertools.product(recipes, spaces):
        scores: list[float | None] = []
        for attempt in range(len(space.tries)):
            done = outcomes.of(runs[name, space.title, attempt])
            # A try with failed seeds is judged by the others.
            scores.append(float(np.mean([one.metrics["log_rank"] for one in done])) if done else None)
        ranked = [(score, attempt) for attempt, score in enumerate(scores) if score is not None]
        if ranked:
            best = min(ranked)[1]
            config = _config(plan, space, best, plan.seeds[0])
            chosen[name, space.title] = Choice(config, space.tries[best], tuple(scores))
    if not chosen:
        reasons = sorted({failure.reason for failure in outcomes.failures})
        raise InputError(f"every run of the search failed: {'; '.join(reasons[:3])}")
    return chosen


def set_recipe(plan: TunedPlan, name: str, seed: int) -> dict[str, Any]:
    """Return the recipe of a public set for the runs of a seed."""
    return {"kind": "set", "name": name, **fold_recipe(plan.seeds, seed, plan.folds)}


def fold_recipe(seeds: Sequence[int], seed: int, folds: int) -> dict[str, int]:
    """Return the fold keys of a recipe for the runs of a seed."""
    return {} if folds == 1 else {"fold": seeds.index(seed) % folds, "folds": folds}


def choice_records(chosen: Choices) -> list[dict[str, Any]]:
    """Return the chosen settings as JSON values."""
    return [
        {"set": name, "loss": title, "values": dict(one.values), "scores": list(one.scores)}
        for (name, title), one in chosen.items()
    ]


def _config(plan: TunedPlan, space: LossSpace, attempt: int, seed: int) -> TrainConfig:
    return changed(plan.train, {"loss.name": space.name, **space.tries[attempt], "seed": seed})
