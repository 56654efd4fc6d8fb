"""A plan of variations enters, their runs are done, and what `ablation_report` makes of them leaves.

One configuration, one choice varied at a time: the parts of the model on several sets, all else on one set with time
in it. Nothing is tuned here: what is varied stands in the table, all else in the plan. Test pairs
are scored once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reelscore.errors import ConfigError
from reelscore.training.config import TrainConfig
from research.plan_files import OURS, TWIN, changed, check_folds
from research.recipes.recipe import Recipe
from research.result import Result
from research.runs.runner import Run, Runner
from research.runs.tuning import fold_recipe

from . import ablation_report
from .ablation_parts import CUTS, LINEAR, PARTS, TERMS, Place

ALL_ROWS = 1_000_000
"""More segments than any sequence has rows: all are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationPlan:
    """Plan of `ablation`.

    Attributes
    ----------
    set : str
        A public set with sequences.
    part_sets : tuple of str
        Public sets on which the parts of the model, and those of the loss, are set against each other.
    seeds : tuple of int
    folds : int
        As in `TunedPlan`: with more than 1 the test part rotates.
    poolings : tuple of str
        `ModelConfig.pooling`.
    forms, weights, structures : tuple
        Of the intra term, each with each: `LossConfig.intra`, `.intra_weight` and `.structure`.
    segments : tuple of int
        N of Global Sparse sampling; 0 keeps every row.
    pieces : tuple of int
        N at which a continuous piece is set against Global Sparse sampling.
    train : TrainConfig
        All else; its loss is the inter-intra loss.
    """

    set: str = "muvisync"
    part_sets: tuple[str, ...] = ()
    seeds: tuple[int, ...]
    folds: int = 1
    poolings: tuple[str, ...] = ("texture", "mean+deviation")
    forms: tuple[str, ...] = ("kl", "mse", "order", "multiscale")
    weights: tuple[float, ...] = (0.3, 1.0, 3.0)
    structures: tuple[str, ...] = ("all", "mean")
    segments: tuple[int, ...] = (8, 16, 32, 64, 128, 0)
    pieces: tuple[int, ...] = (16, 64)
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        check_folds(self.seeds, self.folds)
        for name in ("seeds", "forms", "weights", "structures", "segments"):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise ConfigError(f"{name} must hold at least one value, and none twice; got {list(values)}")
        if min(self.segments) < 0 or min(self.pieces, default=1) < 1:
            raise ConfigError(
                f"segments must not be negative and pieces at least 1, got {self.segments}, {self.pieces}"
            )
        if self.train.loss.name != OURS:
            raise ConfigError(f"the ablation varies {OURS}, got a plan of {self.train.loss.name}")


def conduct(plan: AblationPlan, runner: Runner) -> Result:
    """Perform every variation from every seed and state what came of it."""
    runs = {place: _runs(plan, recipe, values) for place, (recipe, values) in variations(plan).items()}
    for name in plan.part_sets:
        for part, method in LINEAR.items():
            runs["part", name, part] = [
                Run({"kind": "set", "name": name, **fold_recipe(plan.seeds, seed, plan.folds)}, method=method)
                for seed in plan.seeds[: plan.folds]
            ]
    outcomes = runner.perform((run for each in runs.values() for run in each), title="variations")
    return ablation_report.conclude(
        plan, {place: done for place, each in runs.items() if (done := outcomes.of(each))}
    )


def variations(plan: AblationPlan) -> dict[Place, tuple[Recipe, dict[str, Any]]]:
    """List what is tried: its place in the tables -> the recipe of its data, and what differs in training."""
    whole: Recipe = {"kind": "set", "name": plan.set}
    found: dict[Place, tuple[Recipe, dict[str, Any]]] = {("none",): (whole, {"loss.name": TWIN})}
    for form in plan.forms:
        for structure in plan.structures:
            for weight in plan.weights:
                values = {"loss.intra": form, "loss.structure": structure, "loss.intra_weight": weight}
                found["form", form, structure, weight] = (whole, values)
    for pooling in plan.poolings:
        for row in (TWIN, OURS):
            found["pooling", pooling, row] = (whole, {"model.pooling": pooling, "loss.name": row})
    for number in plan.segments:
        for row in (TWIN, OURS):
            values = {"model.num_segments": number or ALL_ROWS, "loss.name": row}
            found["segments", number, row] = (whole, values)
    for number in plan.pieces:
        for cut in CUTS:
            recipe = whole if cut == "sparse" else _excerpt(plan.set, number, cut)
            found["piece", number, cut] = (recipe, {"model.num_segments": number})
    # What is refit, its last epoch kept and its share of the CCA given, asks nothing of validation.
    unasked = plan.train.keep == "last" and not plan.train.choose_share
    for name in plan.part_sets:
        for part, settings in PARTS.items():
            values = {**settings, "validate": not (unasked and settings.get("refit", plan.train.refit))}
            found["part", name, part] = ({"kind": "set", "name": name}, values)
        for terms, settings in TERMS.items():
            found["terms", name, terms] = ({"kind": "set", "name": name}, dict(settings))
    return found


def _excerpt(name: str, rows: int, cut: str) -> Recipe:
    return {"kind": "excerpt", "name": name, "rows": rows, "where": cut}


def _runs(plan: AblationPlan, recipe: Recipe, values: Mapping[str, Any]) -> list[Run]:
    drawn = recipe.get("where") == "anywhere"
    found = []
    for s in plan.seeds:
        own = {**recipe, **fold_recipe(plan.seeds, s, plan.folds)} | ({"draw": s} if drawn else {})
        found.append(Run(own, config=changed(plan.train, {**values, "seed": s})))
    return found
