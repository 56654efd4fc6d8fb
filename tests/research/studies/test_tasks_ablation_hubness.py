"""`tasks`, `ablation` and `hubness`: runs, rows and findings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reelscore.errors import ConfigError
from reelscore.training import TrainConfig
from research.plan_files import LossesPlan, read_plan
from research.registry import STUDIES
from research.report.comparison import compare
from research.result import Result
from research.runs import methods
from research.runs.runner import builder_of
from research.studies import ablation, hubness, losses, tasks
from research.studies.ablation import ALL_ROWS, BASELINES
from research.studies.ablation_plan import AblationPlan
from research.studies.hubness import HubnessPlan
from research.studies.tasks import FAMILIES, TasksPlan
from support.research_sets import SMALL, Listing, outcome, write_lastfm


class Scored:
    """A runner that returns given outcomes for the places of a study."""

    def __init__(self, outcome_of: Any) -> None:
        self.outcome_of = outcome_of

    def perform_all(self, runs: Any, *, title: str = "") -> Any:
        return {place: [self.outcome_of(place, s) for s in (0, 1)] for place in runs}


def test_a_task_has_its_own_metric_and_the_gain_is_paired(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = read_plan(TasksPlan, "tasks")
    choice = type("Chosen", (), {"config": SMALL, "values": {}, "scores": ()})()
    monkeypatch.setattr(
        tasks,
        "tune",
        lambda runner, plan, recipes: {(n, x): choice for n in recipes for x in ("infonce", "inter-intra")},
    )

    def outcome_of(place: Any, seed: int) -> Any:
        ours = place[0] == "inter-intra"
        ranks = [50] * 10 if ours else [1] * 5 + [50] * 5
        return outcome(ranks, seed=seed, truth=[0.5, 0.6] * 5 if ours else [0.2, 0.4] * 5)

    result = tasks.run(plan, Scored(outcome_of))  # type: ignore[arg-type]
    rows = {row.place: row for row in result.rows}
    assert rows["infonce", "wikipedia, classes"].estimate.mean == pytest.approx(0.3)
    assert rows["infonce", "emomv"].estimate.mean == pytest.approx(0.5)
    gain = rows["inter-intra", "wikipedia, classes"].less("infonce")
    assert gain is not None
    assert gain.mean == pytest.approx(0.25)
    finding = tasks.finding(result)
    assert "scored by class: above zero on 2 of 2 (wikipedia, pairs, wikipedia, classes)" in finding
    assert "below zero on 2 of 2 (muvisync music, muvisync video)" in finding


def test_the_plan_of_tasks_covers_every_family_and_shares_its_runs_with_losses() -> None:
    plan, main = read_plan(TasksPlan, "tasks"), read_plan(LossesPlan, "losses")
    assert {task.family for task in plan.tasks} == set(FAMILIES)
    for name in ("train", "search_seeds", "seeds", "folds"):
        assert getattr(plan, name) == getattr(main, name)
    asked: list[str] = []
    for run, one in ((losses.run, main), (tasks.run, plan)):
        listing = Listing()
        with pytest.raises(Listing.StopError):
            run(one, listing)  # type: ignore[operator]
        asked += [each.key for each in listing.runs]
    shared = len(asked) - len(set(asked))
    tries = len(plan.losses[0].tries)
    assert shared == sum(task.family == "cross-self" for task in plan.tasks) * len(plan.losses) * tries
    spaces = {space.title: space for space in main.losses}
    assert all(spaces[space.title] == space for space in plan.losses)
    for quick in (False, True):
        for task in read_plan(TasksPlan, "tasks", quick=quick).tasks:
            builder_of(task.recipe)
    with pytest.raises(ConfigError, match="family"):
        replace(plan.tasks[0], family="none")
    with pytest.raises(ConfigError, match="none twice"):
        replace(plan, tasks=plan.tasks[:1] * 2)


def test_every_variation_is_listed_once_with_its_settings() -> None:
    plan = read_plan(AblationPlan, "ablation")
    found = ablation.variations(plan)
    forms = [place for place in found if place[1] == "intra term" and place[2] != "none"]
    assert len(forms) == len(plan.forms) * len(plan.structures) * len(plan.weights)
    assert found["muvisync", "segments", "all", "infonce"][1]["model.num_segments"] == ALL_ROWS
    folds = [run.data["fold"] for run in ablation._runs(plan, *found["muvisync", "segments", "8", "infonce"])]
    assert folds == [0, 1, 2, 3, 4]
    cuts = {place[-1]: recipe for place, (recipe, _) in found.items() if place[1:3] == ("rows", "32")}
    assert cuts["spread, random positions in training (GS)"] == {"kind": "set", "name": "muvisync"}
    assert cuts["excerpt from the middle"] == {
        "kind": "excerpt",
        "name": "muvisync",
        "rows": 32,
        "where": "middle",
    }
    for place, (recipe, values) in found.items():
        runs = ablation._runs(plan, recipe, values)
        assert len({run.key for run in runs}) == len(plan.seeds)
        assert (*place[:-1], BASELINES[place[1]]) in found, "the baseline of a variation is one, too"
        for run in runs:
            assert run.config is not None
            loss = run.config.loss
            if place[1] == "intra term" and place[2] != "none":
                assert f"{loss.intra}, {loss.structure}, λ = {loss.intra_weight:g}" == place[2]
            assert run.config.model.cca is (place[1] == "model" and "CCA" in place[2])
        if place[-1] == "excerpt from anywhere":
            assert [run.data["draw"] for run in runs] == list(plan.seeds)


@pytest.mark.parametrize(
    ("changes", "validates"), [({}, False), ({"keep": "best"}, True), ({"choose_share": True}, True)]
)
def test_a_refit_validates_only_where_something_is_chosen(changes: dict[str, Any], validates: bool) -> None:
    plan = read_plan(AblationPlan, "ablation")
    plan = replace(plan, train=replace(plan.train, **changes))
    for place, (recipe, values) in ablation.variations(plan).items():
        for run in ablation._runs(plan, recipe, values):
            assert run.config is not None
            assert run.config.validate is (validates or not run.config.refit), place


def test_the_ablation_compares_within_each_group() -> None:
    plan = AblationPlan(
        seeds=(0, 1),
        part_sets=("lastfm",),
        forms=("kl", "mse"),
        weights=(1.0,),
        structures=("features",),
        segments=(8, 0),
        excerpts=(8,),
    )
    good = {
        ("muvisync", "intra term", "mse, features, λ = 1"),
        ("muvisync", "segments", "all", "inter-intra"),
        ("muvisync", "rows", "8", "spread, random positions in training (GS)"),
        ("lastfm", "model", "one network and CCA"),
        ("lastfm", "loss", "InfoNCE, with intra term"),
        ("muvisync", "pooling", "texture", "inter-intra"),
    }

    def outcome_of(place: Any, seed: int) -> Any:
        return outcome([1, 2, 3, 50] if place in good else [1, 50, 60, 70], seed=seed)

    result = ablation.run(plan, Scored(outcome_of))  # type: ignore[arg-type]
    rows = {row.place: row for row in result.rows}
    assert {place for place in good if place[1] != "rows"} == {
        place for place, row in rows.items() for one in row.differences if one.estimate.mean > 0
    }
    assert ("lastfm", "model", "CCA, refit") in rows
    finding = ablation.finding(result)
    assert (
        "adds to InfoNCE: contains zero on all 1" in finding
        or "adds to InfoNCE: above zero on 1 of 1" in finding
    )
    assert "8 rows from the middle of muvisync instead of all over it: −50.0" in finding


def test_inconsistent_ablation_plans_are_rejected() -> None:
    assert read_plan(AblationPlan, "ablation", quick=True).set == "muvisync"
    for wrong in ({"seeds": ()}, {"seeds": (1, 1)}, {"segments": (-1,)}, {"excerpts": (0,)}):
        with pytest.raises(ConfigError):
            AblationPlan(**{"seeds": (0,), **wrong})
    with pytest.raises(ConfigError, match="inter-intra"):
        AblationPlan(seeds=(0,), train=replace(TrainConfig(), loss=replace(TrainConfig().loss, name="rince")))


def test_the_registry_names_the_studies() -> None:
    assert list(STUDIES) == [
        "losses",
        "false-negatives",
        "few-pairs",
        "tasks",
        "text",
        "ablation",
        "hubness",
        "relevance",
    ]


def test_the_hubness_correction_is_chosen_on_validation_and_strength_zero_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_lastfm(tmp_path)
    pairs = builder_of({"kind": "set"}).build({"kind": "set", "name": "lastfm"}, tmp_path).pairs
    fit_pairs = pairs.take([i for i, part in enumerate(pairs.split) if part != "test"])
    config = replace(SMALL, refit=False, keep="last")
    plain, corrected = (methods.METHODS[name](fit_pairs, config) for name in ("train", "train-corrected"))
    assert corrected.facts["strength"] in methods.STRENGTHS
    unseen = pairs.where("test")
    monkeypatch.setattr(methods, "STRENGTHS", (0.0,))
    unchanged = methods.METHODS["train-corrected"](fit_pairs, config)
    (v, m), (v0, m0) = unchanged.embed(unseen), plain.embed(unseen)
    np.testing.assert_allclose(v @ m.T, v0 @ m0.T, atol=1e-5)


def test_hubness_pairs_both_scorings_and_records_the_strengths() -> None:
    plan = read_plan(HubnessPlan, "hubness", quick=True)

    def outcome_of(place: Any, seed: int) -> Any:
        ranks = [1, 2] if place[0] == "corrected" else [1, 50]
        return outcome(ranks, seed=seed, facts={"strength": seed / 4})

    result = hubness.run(plan, Scored(outcome_of))  # type: ignore[arg-type]
    rows = {row.place: row for row in result.rows}
    gain = rows["corrected", "lastfm", "inter-intra"].less("as trained")
    assert gain is not None
    assert gain.mean == pytest.approx(0.5)
    assert result.figures["strengths"] == {"lastfm, inter-intra": [0, 0.25]}
    up = Result("hubness", compare({place: [outcome([1], seed=0)] for place in rows}))
    assert hubness.finding(up).startswith("Interval of what the correction adds")
    with pytest.raises(ConfigError, match="refit = false"):
        replace(plan, train=TrainConfig())
