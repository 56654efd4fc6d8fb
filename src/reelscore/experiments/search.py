"""A plan's losses and a data set enter, the configuration that validation chose for each loss leaves.

Every loss gets the same number of tries: the values of its own knob times the learning rates. A try is judged by
the mean logarithm of the rank on the validation pairs, over both directions and the search's seeds; it moves with
every query, where a recall of a hundred pairs moves in steps. The earliest of equals wins. The test pairs are taken
out of the data before a try sees it (`run.perform_one`). Where the test part rotates over folds, the search runs in the
first, and these are the test pairs of that fold: its tries learn from pairs that later folds score, and are judged on
none of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from ..training.config import TrainConfig
from .config import LossSpace, TunedPlan, changed
from .material import Recipe
from .result import Table
from .run import Run, Runner


@dataclass(frozen=True, slots=True)
class Choice:
    """What won for one loss on one set.

    Attributes
    ----------
    config : TrainConfig
    knob, learning_rate
        The winning values.
    scores : tuple of float or None
        The mean log rank of each try, in the search's order; None where all its runs failed.
    """

    config: TrainConfig
    knob: float | str
    learning_rate: float
    scores: tuple[float | None, ...]


def tries(plan: TunedPlan, space: LossSpace) -> list[tuple[float | str, float]]:
    """Return the values of knob and learning rate that a loss is tried with, in order."""
    return list(itertools.product(space.values, plan.search.learning_rates))


def tune(runner: Runner, plan: TunedPlan, recipes: Mapping[str, Recipe]) -> dict[tuple[str, str], Choice]:
    """Search for every loss of the plan on every set.

    Parameters
    ----------
    runner : Runner
    plan : TunedPlan
    recipes : mapping
        Name of each set -> the recipe of its data.

    Returns
    -------
    dict
        (name of the set, title of the loss) -> Choice; without those whose runs have all failed.
    """
    runs = {
        (name, space.title, attempt): [
            # A refit would learn from the very pairs that judge the try.
            Run(
                recipe,
                config=changed(_config(plan, space, attempt, seed), {"refit": False, "validate": True}),
                score="val",
            )
            for seed in plan.search.seeds
        ]
        for name, recipe in recipes.items()
        for space in plan.losses
        for attempt in tries(plan, space)
    }
    outcomes = runner.perform((run for each in runs.values() for run in each), title="search")
    chosen = {}
    for name, space in itertools.product(recipes, plan.losses):
        attempts = tries(plan, space)
        scores: list[float | None] = []
        for attempt in attempts:
            done = outcomes.of(runs[name, space.title, attempt])
            # A try of which some seeds failed is judged by the others.
            scores.append(float(np.mean([one.metrics["log_rank"] for one in done])) if done else None)
        left = [(score, place) for place, score in enumerate(scores) if score is not None]
        if left:
            knob, rate = attempts[min(left)[1]]
            config = _config(plan, space, (knob, rate), plan.seeds[0])
            chosen[name, space.title] = Choice(config, knob, rate, tuple(scores))
    if not chosen:
        reasons = sorted({failure.reason for failure in outcomes.failures})
        raise InputError(f"every run of the search failed: {'; '.join(reasons[:3])}")
    return chosen


def recipe_of(plan: TunedPlan, name: str, seed: int) -> dict[str, Any]:
    """Return the recipe of the set on which the runs of a seed are tuned, trained and scored."""
    return {"kind": "set", "name": name, **fold_of(plan.seeds, seed, plan.folds)}


def fold_of(seeds: Sequence[int], seed: int, folds: int) -> dict[str, int]:
    """Return the part of a recipe that says which fold the runs of a seed are scored on."""
    return {} if folds == 1 else {"fold": seeds.index(seed) % folds, "folds": folds}


def settings_table(plan: TunedPlan, chosen: Mapping[tuple[str, str], Choice]) -> Table:
    """Return which values won, beside those that were tried."""
    names = list(dict.fromkeys(name for name, _ in chosen))
    rows = []
    for space in plan.losses:
        knob = space.knob.rpartition(".")[2]
        tried = ", ".join(_number(value) for value in space.values)
        cells = []
        for name in names:
            one = chosen.get((name, space.title))
            cells.append("–" if one is None else f"{_number(one.knob)}, {_number(one.learning_rate)}")
        rows.append((space.title, f"{knob}: {tried}", *cells))
    rates = ", ".join(_number(rate) for rate in plan.search.learning_rates)
    seeds = ", ".join(str(seed) for seed in plan.search.seeds)
    number = len(tries(plan, plan.losses[0]))
    where, learned = "", ""
    if plan.folds > 1:
        where = ", on the validation pairs of the first fold"
        learned = " The tries learn from pairs that the later folds score; they are judged on none of them."
    return Table(
        "Settings chosen on validation",
        ("loss", "its knob and the values tried", *names),
        tuple(rows),
        f"Tries for each loss on each set: {number} (values of its knob: {len(plan.losses[0].values)}; learning rates: "
        f"{rates}), each over the seeds {seeds}, which score nothing{where}. A cell holds the knob and the "
        f"learning rate with the lowest mean log rank on validation.{learned}",
    )


def _config(plan: TunedPlan, space: LossSpace, attempt: tuple[float | str, float], seed: int) -> TrainConfig:
    knob, rate = attempt
    return changed(
        plan.train, {"loss.name": space.name, space.knob: knob, "learning_rate": rate, "seed": seed}
    )


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"
