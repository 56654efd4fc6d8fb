"""Vary one choice of the method at a time.

The parts of model and loss are varied on several sets, everything else on one set with sequences. Nothing is tuned.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from research.plan_files import INFONCE, INTER_INTRA, changed
from research.recipes.recipe import Recipe
from research.report.comparison import compare
from research.report.table import count_above, differences, with_interval
from research.result import Place, Result
from research.runs.runner import Run, Runner
from research.runs.tuning import fold_recipe
from research.study import Study

from .ablation_plan import (
    EXCERPTS,
    FULL_LOSS,
    LINEAR,
    NETWORK,
    PARTS,
    PLAIN_LOSS,
    TERMS,
    WITH_CCA,
    AblationPlan,
)

ALL_ROWS = 1_000_000
"""More segments than any sequence has rows, so all rows are kept."""
BASELINES: Mapping[str, str] = {
    "loss": PLAIN_LOSS,
    "model": NETWORK,
    "intra term": "none",
    "pooling": INFONCE,
    "segments": INFONCE,
    "rows": EXCERPTS["sparse"],
}
"""Kind of variation -> the variation that the others of its group are compared with."""


def run(plan: AblationPlan, runner: Runner) -> Result:
    """Perform every variation from every seed."""
    runs = {place: _runs(plan, recipe, values) for place, (recipe, values) in variations(plan).items()}
    for name in plan.part_sets:
        for part, method in LINEAR.items():
            runs[name, "model", part] = [
                Run({"kind": "set", "name": name, **fold_recipe(plan.seeds, seed, plan.folds)}, method=method)
                for seed in plan.seeds[: plan.folds]
            ]
    scored = runner.perform_all(runs, title="variations")
    return Result("ablation", compare(scored, lambda place: [(*place[:-1], BASELINES[place[1]])]))


def variations(plan: AblationPlan) -> dict[Place, tuple[Recipe, dict[str, Any]]]:
    """Return the recipe and the changed training settings of each variation by its place.

    A place is (set, kind of variation, ..., variation).
    """
    recipe: Recipe = {"kind": "set", "name": plan.set}
    found: dict[Place, tuple[Recipe, dict[str, Any]]] = {}
    found[plan.set, "intra term", "none"] = (recipe, {"loss.name": INFONCE})
    for form in plan.forms:
        for structure in plan.structures:
            for weight in plan.weights:
                values = {"loss.intra": form, "loss.structure": structure, "loss.intra_weight": weight}
                found[plan.set, "intra term", f"{form}, {structure}, λ = {weight:g}"] = (recipe, values)
    for loss in (INFONCE, INTER_INTRA):
        for pooling in plan.poolings:
            found[plan.set, "pooling", pooling, loss] = (
                recipe,
                {"model.pooling": pooling, "loss.name": loss},
            )
        for number in plan.segments:
            values = {"model.num_segments": number or ALL_ROWS, "loss.name": loss}
            found[plan.set, "segments", str(number or "all"), loss] = (recipe, values)
    for number in plan.excerpts:
        for where, title in EXCERPTS.items():
            cut: Recipe = {"kind": "excerpt", "name": plan.set, "rows": number, "where": where}
            place = (plan.set, "rows", str(number), title)
            found[place] = (recipe if where == "sparse" else cut, {"model.num_segments": number})
    # A refit model that keeps its last epoch and a fixed share of the CCA needs no validation.
    no_choice = plan.train.keep == "last" and not plan.train.choose_share
    for name in plan.part_sets:
        own: Recipe = {"kind": "set", "name": name}
        for part, settings in PARTS.items():
            values = {**settings, "validate": not (no_choice and settings.get("refit", plan.train.refit))}
            found[name, "model", part] = (own, values)
        for terms, settings in TERMS.items():
            found[name, "loss", terms] = (own, dict(settings))
    return found


def _runs(plan: AblationPlan, recipe: Recipe, values: Mapping[str, Any]) -> list[Run]:
    runs = []
    for s in plan.seeds:
        draw = {"draw": s} if recipe.get("where") == "anywhere" else {}
        own = {**recipe, **fold_recipe(plan.seeds, s, plan.folds), **draw}
        runs.append(Run(own, config=changed(plan.train, {**values, "seed": s})))
    return runs


def finding(result: Result) -> str:
    """State what the loss and the CCA add to one network, and what sampling over the whole sequence adds."""
    sentences = []
    for text, place, baseline in (
        (f"the loss ({FULL_LOSS}) adds to {PLAIN_LOSS}", ("loss", FULL_LOSS), PLAIN_LOSS),
        ("the CCA adds to one network", ("model", WITH_CCA), NETWORK),
    ):
        own = [row for row in result.rows if row.place[1:] == place]
        if found := differences(own, baseline, lambda p: p[0]):
            sentences.append(f"Interval of what {text}: {count_above(found)}.")
    for row in result.rows:
        one = row.less(EXCERPTS["sparse"])
        if row.place[1] == "rows" and row.place[-1] == EXCERPTS["middle"] and one is not None:
            sentences.append(
                f"{row.place[2]} rows from the middle of {row.place[0]} instead of all over it: "
                f"{with_interval(one)} points."
            )
    return " ".join(sentences)


STUDY = Study(
    name="ablation",
    title="Ablation",
    question="What does each part of the loss and of the model add?",
    setup=(
        "R@10 without tuning. Rows `loss` are one network without CCA; brackets: difference from InfoNCE. Rows "
        "`model` have the full loss; brackets: difference from one network. Refit: trained again on training and "
        "validation pairs together. Forms of the intra term, pooling and sampling were varied on muvisync only and "
        "are in the JSON file."
    ),
    plan=AblationPlan,
    run=run,
    sets=lambda plan: (plan.set, *plan.part_sets),
    finding=finding,
    corner="variation",
    shown=lambda row: row.place[1] in ("loss", "model"),
)
