"""A plan of rates and losses enters, what false negatives cost and who wins it back leaves.

The made worlds (`latent`) are the same at every rate, pair by pair: only the company in which pairs are shown in
training changes, so that InfoNCE's figures at a rate and at 0 differ by false negatives and by the narrower batches
that they make; how near to its 0% an InfoNCE stays that is told of them, and so has the narrower batches alone, is
measured beside it. Settings are chosen on the validation pairs of a world that is not scored, by where the one observed
track is ranked, of those too that are told the truth in training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from reelscore.config import to_mapping
from reelscore.training.config import TrainConfig
from research.plan_files import OURS, TWIN, changed
from research.recipes.recipe import Recipe
from research.result import Result
from research.runs.runner import Outcomes, Run, Runner
from research.runs.tuning import Choice, tune

from .false_negatives_plan import MASKED, REGIMES, NoisePlan, Place, Scored, fixed_rows, name_of, told_spaces
from .false_negatives_report import conclude


def conduct(plan: NoisePlan, runner: Runner) -> Result:
    """Tune at every rate, train in every world, and state what came of it."""
    chosen: dict[tuple[str, str], Choice] = {}
    for rate in plan.rates:
        at_rate = replace(plan, train=changed(plan.train, {"label_rate": rate}))
        chosen |= tune(runner, at_rate, {name_of(rate): world_recipe(plan, plan.search_seeds[0])})
        told = world_recipe(plan, plan.search_seeds[0], knows="topics")
        chosen |= tune(runner, at_rate, {name_of(rate): told}, losses=told_spaces(plan))
    runs = world_runs(plan, chosen) | regime_runs(plan, chosen) | loudness_runs(plan, chosen)
    outcomes = runner.perform((run for each in runs.values() for run in each), title="worlds")
    real_chosen, real = _real(plan, runner)
    return conclude(plan, _scored(runs, outcomes), chosen, real, real_chosen)


def world_recipe(
    plan: NoisePlan, seed: int, *, knows: Literal["pairs", "topics"] = "pairs", **values: Any
) -> Recipe:
    """Return the recipe of a world of the plan."""
    return {"kind": "latent", "world": to_mapping(replace(plan.world, seed=seed, **values)), "knows": knows}


def world_runs(plan: NoisePlan, chosen: Mapping[tuple[str, str], Choice]) -> dict[Place, list[Run]]:
    """List the runs of every rate and row: each loss, and two that are told the truth."""
    runs: dict[Place, list[Run]] = {}
    for rate in plan.rates:
        for space in plan.losses:
            if choice := chosen.get((name_of(rate), space.title)):
                runs[rate, space.title] = _runs(plan, choice.config, watch=space.title in (TWIN, OURS))
        for space in told_spaces(plan):
            if choice := chosen.get((name_of(rate), space.title)):
                runs[rate, space.title] = _runs(plan, choice.config, knows="topics")
    return runs


def regime_runs(plan: NoisePlan, chosen: Mapping[tuple[str, str], Choice]) -> dict[Place, list[Run]]:
    """List the runs of every regime, at one learning rate for all: clean, at the rate, ours, told."""
    runs: dict[Place, list[Run]] = {}
    for cca, keep in REGIMES:
        values = {"model.cca": cca, "keep": keep, "learning_rate": plan.fixed_learning_rate}
        watch = keep == "last"
        for rate, row, knows in fixed_rows(plan):
            if choice := chosen.get((name_of(rate), row)):
                config = changed(choice.config, values)
                runs["regime", cca, keep, rate, row] = _runs(plan, config, knows=knows, watch=watch)
    return runs


def loudness_runs(plan: NoisePlan, chosen: Mapping[tuple[str, str], Choice]) -> dict[Place, list[Run]]:
    """List the runs in worlds whose frozen features know less or more of the truth."""
    runs: dict[Place, list[Run]] = {}
    values = {"model.cca": False, "keep": "last", "learning_rate": plan.fixed_learning_rate}
    for topic in plan.loudness:
        for rate, row, knows in fixed_rows(plan):
            if row != MASKED and (choice := chosen.get((name_of(rate), row))):
                config = changed(choice.config, values)
                watch = topic == plan.world.topic  # the very runs of a regime, then
                runs["loudness", topic, rate, row] = _runs(
                    plan, config, knows=knows, watch=watch, topic=topic
                )
    return runs


def _runs(
    plan: NoisePlan,
    config: TrainConfig,
    *,
    knows: Literal["pairs", "topics"] = "pairs",
    watch: bool = False,
    **values: Any,
) -> list[Run]:
    return [
        Run(
            world_recipe(plan, seed, knows=knows, **values),
            config=changed(config, {"seed": seed, "watch": watch}),
            curve=watch,
        )
        for seed in plan.seeds
    ]


def _real(plan: NoisePlan, runner: Runner) -> tuple[dict[tuple[str, str], Choice], Scored]:
    """Tune and train on the public sets, told the pairs alone; InfoNCE and SupCon also told what is known."""
    losses = tuple(space for space in plan.losses if space.title in plan.real_losses)
    chosen: dict[tuple[str, str], Choice] = {}
    runs: dict[Place, list[Run]] = {}
    for knows, spaces in (("pairs", losses), ("truth", told_spaces(plan))):
        recipes: dict[str, Recipe] = {
            name: {"kind": "told", "name": name, "knows": knows} for name in plan.sets
        }
        found = tune(runner, replace(plan, train=plan.real_train), recipes, losses=spaces)
        for (name, title), choice in found.items():
            configs = [changed(choice.config, {"seed": seed}) for seed in plan.seeds]
            runs[name, title] = [Run(recipes[name], config=config) for config in configs]
        chosen |= found
    outcomes = runner.perform((run for each in runs.values() for run in each), title="public sets")
    return chosen, _scored(runs, outcomes)


def _scored(runs: Mapping[Place, Sequence[Run]], outcomes: Outcomes) -> Scored:
    return {place: outcomes.of(each) for place, each in runs.items() if all(run in outcomes for run in each)}
