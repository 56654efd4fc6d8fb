"""Measure what false negatives cost and how much of it each loss recovers.

The synthetic data are the same at every rate; only the composition of the training batches changes. InfoNCE at a rate
therefore differs from InfoNCE at 0 by false negatives and by less diverse batches. The oracle row, InfoNCE that masks
the false negatives, measures the second effect. Settings are chosen on the validation pairs of a data set that is not
scored, by the rank of the one observed track.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from reelscore.config import to_mapping
from reelscore.training.config import TrainConfig
from research.plan_files import INFONCE, INTER_INTRA, changed
from research.recipes.recipe import Recipe
from research.report.comparison import compare
from research.report.intervals import per_query, student_t
from research.report.table import percent
from research.result import Place, Result, Row
from research.runs.runner import Outcome, Run, Runner
from research.runs.scoring import METRIC, TRUTH
from research.runs.tuning import Choice, Choices, choice_records, tune
from research.study import Study

from .false_negatives_plan import (
    ORACLE_INFONCE,
    ORACLE_SUPCON,
    REGIMES,
    FalseNegativesPlan,
    fixed_rows,
    oracle_spaces,
    rate_name,
)
from .false_negatives_statistics import frozen_map, measured_rate, recovered_share, train_val_gap

FIXED = {"model.cca": False, "keep": "last"}
ORACLES = (ORACLE_INFONCE, ORACLE_SUPCON)


def run(plan: FalseNegativesPlan, runner: Runner) -> Result:
    """Tune at every rate, then train on every data set."""
    chosen: dict[tuple[str, str], Choice] = {}
    for rate in plan.rates:
        at_rate = replace(plan, train=changed(plan.train, {"label_rate": rate}))
        for oracle, spaces in ((False, plan.losses), (True, oracle_spaces(plan))):
            recipe = synthetic_recipe(plan, plan.search_seeds[0], oracle=oracle)
            chosen |= tune(runner, at_rate, {rate_name(rate): recipe}, losses=spaces)
    scored = runner.perform_all(synthetic_runs(plan, chosen), title="synthetic data")
    # A share of a loss needs the same data sets in all its parts.
    scored = {place: done for place, done in scored.items() if len(done) == len(plan.seeds)}
    real_chosen, real = _public_sets(plan, runner)
    # The intervals of synthetic data are over data sets: each seed has its own.
    rows = tuple(
        replace(row, estimate=student_t(per_query(scored[row.place], TRUTH).mean(axis=1)))
        for row in compare(scored, metric=lambda _: TRUTH)
    )
    settings, size = plan.synthetic, plan.train.batch_size
    figures = {
        "settings": choice_records(chosen) + choice_records(real_chosen),
        "measured_rate": {
            rate_name(rate): measured_rate(settings, batch_size=size, rate=rate) for rate in plan.rates
        },
        "frozen_map": {
            f"{scale:g}": frozen_map(replace(settings, topic=scale, seed=plan.seeds[0]))
            for scale in plan.topic_scales
        },
        "train_val_gap": {
            ", ".join(place): {name: dataclasses.asdict(one) for name, one in train_val_gap(done).items()}
            for place, done in scored.items()
            if place[0] == _regime(*REGIMES[0]) and done[0].run.curve and place[2] not in ORACLES
        },
    }
    return Result("false-negatives", (*rows, *_recovered(scored), *real), figures)


def synthetic_recipe(plan: FalseNegativesPlan, seed: int, *, oracle: bool, **values: Any) -> Recipe:
    """Return the recipe of a synthetic data set of the plan."""
    settings = to_mapping(replace(plan.synthetic, seed=seed, **values))
    return {"kind": "synthetic", "settings": settings, "oracle": oracle}


def synthetic_runs(plan: FalseNegativesPlan, chosen: Choices) -> dict[Place, list[Run]]:
    """Return the runs on synthetic data by place: tuned at each rate, by training regime, by topic scale."""
    runs: dict[Place, list[Run]] = {}
    for (named_rate, row), choice in chosen.items():
        runs[f"mAP at {named_rate}", row] = _runs(plan, row, choice.config)
    for rate, row in fixed_rows(plan):
        if (fixed := chosen.get((rate_name(rate), row))) is None:
            continue
        for cca, keep in REGIMES:
            values = {"model.cca": cca, "keep": keep, "learning_rate": plan.fixed_learning_rate}
            place = (_regime(cca, keep), rate_name(rate), row)
            runs[place] = _runs(plan, row, changed(fixed.config, values), watch=keep == "last")
        for scale in plan.topic_scales:
            values = {**FIXED, "learning_rate": plan.fixed_learning_rate}
            place = (f"topic scale {scale:g}", rate_name(rate), row)
            # The plan's own scale repeats the first regime; equal runs are performed once.
            watch = scale == plan.synthetic.topic
            runs[place] = _runs(plan, row, changed(fixed.config, values), watch=watch, topic=scale)
    return runs


def _regime(cca: bool, keep: str) -> str:
    return f"{'with' if cca else 'without'} CCA, {keep} epoch"


def _runs(
    plan: FalseNegativesPlan, row: str, config: TrainConfig, *, watch: bool = False, **values: Any
) -> list[Run]:
    return [
        Run(
            synthetic_recipe(plan, seed, oracle=row in ORACLES, **values),
            config=changed(config, {"seed": seed, "watch": watch}),
            curve=watch,
        )
        for seed in plan.seeds
    ]


def _recovered(scored: Mapping[Place, Sequence[Outcome]]) -> list[Row]:
    """Return the recovered share of each place: column "recovered at 40%", then the labels of the place."""
    means = {place: per_query(done, TRUTH).mean(axis=1) for place, done in scored.items()}
    rows, zero = [], rate_name(0.0)
    for (*prefix, column, row), values in means.items():
        rate = column.removeprefix("mAP at ")
        infonce, clean = (means.get((*prefix, column.replace(rate, r), INFONCE)) for r in (rate, zero))
        if row == INFONCE or rate == zero or infonce is None or clean is None:
            continue
        if (share := recovered_share(values, infonce, clean)) is not None:
            rows.append(Row((f"recovered at {rate}", *prefix, row), "recovered", share))
    return rows


def _public_sets(
    plan: FalseNegativesPlan, runner: Runner
) -> tuple[dict[tuple[str, str], Choice], tuple[Row, ...]]:
    """Tune and train on the public sets: the losses on the pairs alone, the oracle rows with the labels."""
    losses = tuple(space for space in plan.losses if space.title in plan.real_losses)
    chosen: dict[tuple[str, str], Choice] = {}
    runs: dict[Place, list[Run]] = {}
    for oracle, spaces in ((False, losses), (True, oracle_spaces(plan))):
        recipes: dict[str, Recipe] = {
            name: {"kind": "labelled", "name": name, "oracle": oracle} for name in plan.sets
        }
        found = tune(runner, replace(plan, train=plan.real_train), recipes, losses=spaces)
        for (name, title), choice in found.items():
            configs = [changed(choice.config, {"seed": seed}) for seed in plan.seeds]
            runs[name, title] = [Run(recipes[name], config=config) for config in configs]
        chosen |= found
    scored = runner.perform_all(runs, title="public sets")
    rows = [*compare(scored, metric=lambda _: TRUTH), *compare(scored, metric=lambda _: METRIC)]
    return chosen, tuple(replace(row, place=(f"{row.place[0]}, {row.metric}", row.place[1])) for row in rows)


def finding(result: Result) -> str:
    """State InfoNCE's loss of mAP and the share that the losses recover."""
    rows = {row.place: row.estimate for row in result.rows}
    rate = f"{100 * result.plan['at']:g}%"
    at, clean = rows.get((f"mAP at {rate}", INFONCE)), rows.get(("mAP at 0%", INFONCE))
    if at is None or clean is None:
        return "The runs of InfoNCE failed."
    sentences = [f"InfoNCE's mAP falls from {percent(clean.mean)} to {percent(at.mean)} at {rate}."]
    shares = {
        place[1]: one for place, one in rows.items() if place[0] == f"recovered at {rate}" and len(place) == 2
    }
    if INTER_INTRA in shares:
        one = shares[INTER_INTRA]
        sentences.append(
            f"The intra term recovers {one.mean:.0%} of that (95% interval {one.low:.0%} to {one.high:.0%})."
        )
    others = [row for row in shares if row not in ORACLES and not row.startswith(INTER_INTRA)]
    if others:
        best = max(others, key=lambda row: shares[row].mean)
        sentences.append(f"The best other loss is {best} with {shares[best].mean:.0%}.")
    return " ".join(sentences)


STUDY = Study(
    name="false-negatives",
    title="False negatives",
    question="How much mAP do false negatives cost, and how much of it does the intra term recover?",
    setup=(
        "Synthetic data with a known ground truth. The columns are shares of false negatives among an anchor's "
        "negatives; the mAP is over all relevant tracks. `oracle` rows know the ground truth in training. Brackets: "
        "95% interval over data sets. The share recovered is of InfoNCE's loss against its own 0%."
    ),
    plan=FalseNegativesPlan,
    run=run,
    sets=lambda plan: plan.sets,
    finding=finding,
    shown=lambda row: len(row.place) == 2 and row.place[0].startswith(("mAP at 0%", "recovered")),
)
