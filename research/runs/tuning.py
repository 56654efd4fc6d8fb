"""Search the settings of each network on validation.

The search runs in the first fold. A try is judged by the mean logarithm of the rank on the validation pairs, which no
fold scores, over both directions: it depends on every query, while the recall of a hundred pairs moves in steps. The
first of equal tries wins. The test pairs are removed before a try sees the data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reelscore.errors import InputError
from reelscore.training.config import TrainConfig
from research.plan_files import SEARCH_SEED, Plan
from research.recipes.recipe import Recipe
from research.systems import System, changed, system

from .runner import Run, Runner

# A refit would learn from the pairs that judge the try.
_TRY_SETTINGS = {"refit": False, "validate": True, "seed": SEARCH_SEED}


@dataclass(frozen=True, slots=True)
class Choice:
    """The best settings of one system on one set.

    Attributes
    ----------
    config : TrainConfig
    values : mapping
        The chosen values by path.
    scores : tuple of float or None
        Mean log rank of each try; None for a failed one. Empty if there was nothing to choose.
    """

    config: TrainConfig
    values: Mapping[str, float | str]
    scores: tuple[float | None, ...]


Choices = Mapping[tuple[str, str], Choice]
"""(name of the set, title of the system) -> its choice."""


def tune(
    runner: Runner, plan: Plan, recipes: Mapping[str, Recipe] | None = None
) -> dict[tuple[str, str], Choice]:
    """Search the settings of every network of the plan.

    Parameters
    ----------
    runner : Runner
    plan : Plan
    recipes : mapping, optional
        Name of each set -> the recipe of its data, without the fold; by default the set itself.

    Returns
    -------
    dict
        (name of the set, title of the system) -> Choice, without those whose runs all failed. Systems other than
        networks are not in it.
    """
    networks = [
        (name, system(title))
        for name, titles in plan.systems.items()
        for title in titles
        if system(title).method == "network"
    ]
    runs = {
        (name, one.title): [
            Run(
                _first_fold(plan, recipes, name),
                config=changed(plan.train, {**values, **_TRY_SETTINGS}),
                score="val",
            )
            for values in _tries(plan, one)
        ]
        for name, one in networks
    }
    searched = [run for each in runs.values() if len(each) > 1 for run in each]
    outcomes = runner.perform(searched, title="search")
    chosen = {}
    for name, one in networks:
        tries = _tries(plan, one)
        scores: list[float | None] = []
        if len(tries) > 1:
            scores = [
                outcomes[run].metrics["log_rank"] if run in outcomes else None
                for run in runs[name, one.title]
            ]
        ranked = [(score, attempt) for attempt, score in enumerate(scores) if score is not None]
        if len(tries) == 1 or ranked:
            best = tries[min(ranked)[1] if ranked else 0]
            chosen[name, one.title] = Choice(changed(plan.train, best), best, tuple(scores))
    if networks and not chosen:
        reasons = sorted({failure.reason for failure in outcomes.failures})
        raise InputError(f"every run of the search failed: {'; '.join(reasons[:3])}")
    return chosen


def system_runs(
    plan: Plan, name: str, recipe: Recipe, chosen: Choices, *, titles: Sequence[str] = (), change: str = ""
) -> dict[str, list[Run]]:
    """Return the runs of a set's systems by title, one for each fold, trained on the data of a recipe.

    A network has the settings chosen for the set and the seed of the fold; after a failed search it has no runs.
    """
    runs: dict[str, list[Run]] = {}
    for title in titles or plan.systems[name]:
        one = system(title)
        if one.method == "network" and (name, title) not in chosen:
            continue
        runs[title] = []
        for fold in range(plan.folds):
            config = changed(chosen[name, title].config, {"seed": fold}) if one.method == "network" else None
            own = fold_recipe(plan, recipe, fold)
            runs[title].append(Run(own, method=one.method, config=config, change=change))
    return runs


def fold_recipe(plan: Plan, recipe: Recipe, fold: int = 0) -> dict[str, Any]:
    """Return a recipe with a fold of the plan as the test part."""
    return {**recipe, "fold": fold, "folds": plan.folds}


def set_recipe(name: str, **keys: Any) -> dict[str, Any]:
    """Return the recipe of a public set, with further keys of `recipes.public`."""
    return {"kind": "set", "name": name, **keys}


def choice_records(chosen: Choices) -> list[dict[str, Any]]:
    """Return the chosen settings as JSON values."""
    return [
        {"set": name, "system": title, "values": dict(one.values), "scores": list(one.scores)}
        for (name, title), one in chosen.items()
    ]


def _first_fold(plan: Plan, recipes: Mapping[str, Recipe] | None, name: str) -> dict[str, Any]:
    return fold_recipe(plan, set_recipe(name) if recipes is None else recipes[name])


def _tries(plan: Plan, one: System) -> list[dict[str, Any]]:
    return one.tries[: plan.max_tries]
