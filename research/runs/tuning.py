"""A plan's losses and a data set enter, the configuration that validation chose for each loss leaves.

Every loss gets the same number of tries: each value of each of its knobs with each of the others. A try is judged by
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

from reelscore.errors import InputError
from reelscore.training.config import TrainConfig
from research.plan_files import LossSpace, TunedPlan, changed
from research.recipes.recipe import Recipe
from research.result import Table

from .runner import Run, Runner

# A refit would learn from the very pairs that judge the try, and a share chosen on them would flatter it.
_AS_A_TRY = {"refit": False, "validate": True, "choose_share": False}


@dataclass(frozen=True, slots=True)
class Choice:
    """What won for one loss on one set.

    Attributes
    ----------
    config : TrainConfig
    values : mapping
        What won, by the path of its knob.
    scores : tuple of float or None
        The mean log rank of each try, in the search's order; None where all its runs failed.
    """

    config: TrainConfig
    values: Mapping[str, float | str]
    scores: tuple[float | None, ...]


def tune(
    runner: Runner,
    plan: TunedPlan,
    recipes: Mapping[str, Recipe],
    *,
    losses: Sequence[LossSpace] | None = None,
) -> dict[tuple[str, str], Choice]:
    """Search for every loss of the plan, or for those named, on every set.

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
    spaces = plan.losses if losses is None else losses
    runs = {
        (name, space.title, attempt): [
            Run(recipe, config=changed(_config(plan, space, attempt, seed), _AS_A_TRY), score="val")
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
            # A try of which some seeds failed is judged by the others.
            scores.append(float(np.mean([one.metrics["log_rank"] for one in done])) if done else None)
        left = [(score, place) for place, score in enumerate(scores) if score is not None]
        if left:
            best = min(left)[1]
            config = _config(plan, space, best, plan.seeds[0])
            chosen[name, space.title] = Choice(config, space.tries[best], tuple(scores))
    if not chosen:
        reasons = sorted({failure.reason for failure in outcomes.failures})
        raise InputError(f"every run of the search failed: {'; '.join(reasons[:3])}")
    return chosen


def recipe_of(plan: TunedPlan, name: str, seed: int) -> dict[str, Any]:
    """Return the recipe of the set on which the runs of a seed are tuned, trained and scored."""
    return {"kind": "set", "name": name, **fold_recipe(plan.seeds, seed, plan.folds)}


def fold_recipe(seeds: Sequence[int], seed: int, folds: int) -> dict[str, int]:
    """Return the part of a recipe that says which fold the runs of a seed are scored on."""
    return {} if folds == 1 else {"fold": seeds.index(seed) % folds, "folds": folds}


def settings_table(plan: TunedPlan, chosen: Mapping[tuple[str, str], Choice]) -> Table:
    """Return which values won, beside those that were tried."""
    names = list(dict.fromkeys(name for name, _ in chosen))
    rows = []
    for space in plan.losses:
        tried = (
            f"{path.rpartition('.')[2]}: {', '.join(map(_number, values))}"
            for path, values in space.knobs.items()
        )
        cells = []
        for name in names:
            one = chosen.get((name, space.title))
            cells.append("–" if one is None else ", ".join(map(_number, one.values.values())))
        rows.append((space.title, "; ".join(tried), *cells))
    seeds = ", ".join(str(seed) for seed in plan.search_seeds)
    where, learned = "", ""
    if plan.folds > 1:
        where = ", on the validation pairs of the first fold"
        learned = " The tries learn from pairs that the later folds score; they are judged on none of them."
    return Table(
        "Settings chosen on validation",
        ("loss", "what was tried, each with each", *names),
        tuple(rows),
        f"Tries for each loss on each set: {len(plan.losses[0].tries)}, each over the seeds {seeds}, which score "
        f"nothing{where}. A cell holds the values with the lowest mean log rank on validation.{learned}",
    )


def _config(plan: TunedPlan, space: LossSpace, attempt: int, seed: int) -> TrainConfig:
    return changed(plan.train, {"loss.name": space.name, **space.tries[attempt], "seed": seed})


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"
