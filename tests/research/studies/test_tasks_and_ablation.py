"""`tasks` and `ablation`: their runs, and what their tables say of outcomes written out by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reelscore.errors import ConfigError
from reelscore.training import TrainConfig
from research.plan_files import MainPlan, read_plan
from research.registry import EXPERIMENTS
from research.runs import methods
from research.runs.makers import maker_of
from research.runs.runner import Outcome, Run
from research.runs.scoring import DIRECTIONS, Ranking
from research.studies import ablation, ablation_report, tasks
from research.studies import hubness as hubs
from research.studies.ablation import ALL_ROWS, AblationPlan
from research.studies.hubness import HubsPlan
from research.studies.losses import conduct as main_conduct
from research.studies.tasks import FAMILIES, TasksPlan
from support.research_sets import SMALL, write_lastfm

CHANCE = {"recall@10": 0.1, "suiting": 0.05}


def outcome(ranks: list[int], seed: int = 0, suiting: list[float] | None = None) -> Outcome:
    """An outcome of equal directions."""
    one = Ranking(np.array(ranks), 1 / np.array(ranks), None if suiting is None else np.array(suiting))
    run = Run({"kind": "set", "name": "emomv"}, config=TrainConfig(seed=seed))
    known: dict[str, Any] = {
        "directions": dict.fromkeys(DIRECTIONS, one),
        "cluster": np.arange(len(ranks)),
        "chance": CHANCE,
        "facts": {},
        "history": (),
        "seconds": 1.0,
        "code": "",
    }
    if "machine" in Outcome.__dataclass_fields__:
        known["machine"] = "any"
    return Outcome(run, **known)


def test_a_task_is_told_by_its_own_metric_and_the_gain_is_paired() -> None:
    plan = read_plan(TasksPlan, "tasks")
    classes = next(task for task in plan.tasks if task.metric == "suiting")
    pairs = next(task for task in plan.tasks if task.metric == "recall@10" and task.name != classes.name)
    scored = {
        (classes.name, "infonce"): [outcome([1, 50], s, [0.2, 0.4]) for s in (0, 1)],
        (classes.name, "inter-intra"): [outcome([50, 50], s, [0.5, 0.6]) for s in (0, 1)],
        (pairs.name, "infonce"): [outcome([1, 50], s) for s in (0, 1)],
        (pairs.name, "inter-intra"): [outcome([50, 50], s) for s in (0, 1)],
    }
    told = tasks.conclude(plan, scored, {})
    means = {(one["task"], one["row"]): one["mean"] for one in told.figures["means"]}
    assert means[classes.name, "infonce"] == pytest.approx(0.3)
    assert means[pairs.name, "infonce"] == pytest.approx(0.5)
    gains = {(one["task"], one["row"]): one["mean"] for one in told.figures["gains"]}
    assert gains[classes.name, "inter-intra"] == pytest.approx(0.25)
    assert gains[pairs.name, "inter-intra"] == pytest.approx(-0.5)
    for table in told.tables:
        assert all(len(row) == len(table.columns) for row in table.rows)
    assert len(told.tables) == len({task.family for task in plan.tasks})
    json.loads(told.to_bytes())


@pytest.mark.parametrize(("ours", "below"), [([50, 50], True), ([1, 50], False)])
def test_a_task_that_is_certainly_below_is_told(ours: list[int], below: bool) -> None:
    plan = read_plan(TasksPlan, "tasks")
    task = plan.tasks[0].name
    scored = {(task, "infonce"): [outcome([1, 1])], (task, "inter-intra"): [outcome(ours)]}
    assert (f"and below on {task}" in tasks.conclude(plan, scored, {}).answer) is below


def test_the_plans_of_tasks_cover_every_family_and_share_their_runs_with_main() -> None:
    plan, main = read_plan(TasksPlan, "tasks"), read_plan(MainPlan, "main")
    assert {task.family for task in plan.tasks} == set(FAMILIES)
    for name in ("train", "search_seeds", "seeds", "folds"):
        assert getattr(plan, name) == getattr(main, name)
    asked: list[str] = []

    class AskedError(Exception):
        pass

    class Listing:
        def perform(self, runs: Any, *, title: str) -> None:
            asked.extend(run.key for run in runs)
            raise AskedError

    for conduct, one in ((main_conduct, main), (tasks.conduct, plan)):
        with pytest.raises(AskedError):
            conduct(one, Listing())  # type: ignore[arg-type, operator]
    shared = len(asked) - len(set(asked))
    tries = len(plan.losses[0].tries)
    assert shared == sum(task.family == "cross-self" for task in plan.tasks) * len(plan.losses) * tries
    theirs = {space.title: space for space in main.losses}
    assert all(theirs[space.title] == space for space in plan.losses)
    for quick in (False, True):
        for task in read_plan(TasksPlan, "tasks", quick=quick).tasks:
            maker_of(task.recipe)
    with pytest.raises(ConfigError, match="family"):
        replace(plan.tasks[0], family="none")
    with pytest.raises(ConfigError, match="none twice"):
        replace(plan, tasks=plan.tasks[:1] * 2)


def test_every_variation_is_listed_once_and_differs_as_it_says() -> None:
    plan = read_plan(AblationPlan, "ablation")
    found = ablation.variations(plan)
    forms = [place for place in found if place[0] == "form"]
    assert len(forms) == len(plan.forms) * len(plan.structures) * len(plan.weights)
    assert found["segments", 0, "infonce"][1]["model.num_segments"] == ALL_ROWS
    whole = {"kind": "set", "name": "muvisync"}
    folds = [run.data["fold"] for run in ablation._runs(plan, *found["segments", 8, "infonce"])]
    assert folds == [0, 1, 2, 3, 4]
    assert found["piece", 32, "sparse"][0] == whole
    assert found["piece", 32, "middle"][0] == {
        "kind": "excerpt",
        "name": "muvisync",
        "rows": 32,
        "where": "middle",
    }
    for place, (recipe, values) in found.items():
        runs = ablation._runs(plan, recipe, values)
        assert len({run.key for run in runs}) == len(plan.seeds)
        for run in runs:
            assert run.config is not None
            if place[0] == "form":
                loss = run.config.loss
                assert (loss.intra, loss.structure, loss.intra_weight) == place[1:]
            assert run.config.model.cca is (place[0] == "part" and "CCA" in place[2])
        if place[0] == "piece" and place[2] == "anywhere":
            assert [run.data["draw"] for run in runs] == list(plan.seeds)


@pytest.mark.parametrize(
    ("changes", "asks"), [({}, False), ({"keep": "best"}, True), ({"choose_share": True}, True)]
)
def test_what_is_refit_searches_first_only_where_validation_is_asked(
    changes: dict[str, Any], asks: bool
) -> None:
    plan = read_plan(AblationPlan, "ablation")
    plan = replace(plan, train=replace(plan.train, **changes))
    for place, (recipe, values) in ablation.variations(plan).items():
        for run in ablation._runs(plan, recipe, values):
            assert run.config is not None
            assert run.config.validate is (asks or not run.config.refit), place


def test_the_ablation_tells_the_best_and_what_gs_is_worth() -> None:
    plan = AblationPlan(
        seeds=(0, 1),
        part_sets=("lastfm",),
        forms=("kl", "mse"),
        weights=(1.0,),
        structures=("mean",),
        segments=(8, 0),
        pieces=(8,),
    )
    hit, miss = [1, 2, 3, 50], [1, 50, 60, 70]
    good = {("form", "mse", "mean", 1.0), ("segments", 0, "inter-intra"), ("piece", 8, "sparse")}
    good.add(("part", "lastfm", "one network and the CCA"))
    good.add(("terms", "lastfm", "InfoNCE and the intra term"))
    good.add(("pooling", "texture", "inter-intra"))
    scored = {
        place: [outcome(hit if place in good else miss, s) for s in plan.seeds]
        for place in ablation.variations(plan)
    }
    told = ablation_report.conclude(plan, scored)
    assert "The CCA beside the network is worth, in points, +50.0 on lastfm" in told.answer
    tables = {table.title: table for table in told.tables}
    parts = {row[0]: row[1] for row in tables["The parts of the model"].rows}
    assert parts["one network and the CCA"].startswith("75.0")
    assert parts["one network"].startswith("25.0")
    terms = {row[0]: row[1:] for row in tables["The parts of the loss, of one network alone"].rows}
    assert terms["InfoNCE"][1] == "–"
    assert terms["InfoNCE and the intra term"][0].startswith("75.0")
    assert terms["InfoNCE and the intra term"][1].startswith("+50.0")
    poolings = {row[0]: row[3] for row in tables["What is told of a sequence over time"].rows}
    assert poolings["texture"].startswith("+50.0")
    assert poolings["mean+deviation"].startswith("+0.0") or poolings["mean+deviation"].startswith("0.0")
    assert "mse with λ = 1" in told.answer
    assert "N = all segments" in told.answer
    assert "8 rows over the whole against one piece: +50.0" in told.answer
    for table in told.tables:
        assert all(len(row) == len(table.columns) for row in table.rows)
    (chart,) = told.charts
    assert [line.y for line in chart.panels[0].lines] == [(25.0, 25.0), (25.0, 75.0)]
    json.loads(told.to_bytes())


def test_ablation_plans_that_make_no_sense_are_refused() -> None:
    assert read_plan(AblationPlan, "ablation", quick=True).set == "muvisync"
    for wrong in ({"seeds": ()}, {"seeds": (1, 1)}, {"segments": (-1,)}, {"pieces": (0,)}):
        with pytest.raises(ConfigError):
            AblationPlan(**{"seeds": (0,), **wrong})
    with pytest.raises(ConfigError, match="inter-intra"):
        AblationPlan(seeds=(0,), train=replace(TrainConfig(), loss=replace(TrainConfig().loss, name="rince")))


def test_every_experiment_is_in_the_table() -> None:
    assert set(EXPERIMENTS) == {"main", "noise", "few", "tasks", "text", "ablation", "hubs", "relevance"}


def test_a_correction_for_hubs_is_chosen_on_validation_and_changes_no_rank_at_zero(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_lastfm(tmp_path)
    pairs = maker_of({"kind": "set"}).make({"kind": "set", "name": "lastfm"}, tmp_path).pairs
    seen = pairs.take([i for i, part in enumerate(pairs.split) if part != "test"])
    config = replace(SMALL, refit=False, keep="last")
    plain, corrected = (methods.METHODS[name](seen, config) for name in ("train", "train-hubs"))
    assert corrected.facts["hub_strength"] in methods.STRENGTHS
    unseen = pairs.where("test")
    monkeypatch.setattr(methods, "STRENGTHS", (0.0,))
    still = methods.METHODS["train-hubs"](seen, config)
    (v, m), (v0, m0) = still.place(unseen), plain.place(unseen)
    np.testing.assert_allclose(v @ m.T, v0 @ m0.T, atol=1e-5)


def test_the_table_of_hubs_pairs_both_ways_and_tells_the_strengths() -> None:
    plan = read_plan(HubsPlan, "hubs", quick=True)

    def done(ranks: list[int], seed: int, strength: float) -> Outcome:
        return replace(outcome(ranks, seed), facts={"hub_strength": strength})

    scored = {
        ("lastfm", "inter-intra", "train"): [done([1, 50], s, 0) for s in (0, 1)],
        ("lastfm", "inter-intra", "train-hubs"): [done([1, 2], s, s / 4) for s in (0, 1)],
    }
    told = hubs.conclude(plan, scored)
    assert told.figures["gains"][0]["mean"] == pytest.approx(0.5)
    assert told.tables[0].rows[0][-1] == "0, 0.25"
    assert "+50.0 on lastfm" in told.answer
    with pytest.raises(ConfigError, match="refit = false"):
        replace(plan, train=TrainConfig())
