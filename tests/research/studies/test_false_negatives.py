"""`false-negatives`: its statistics by hand, and the whole study on small data."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from reelscore.errors import ConfigError
from reelscore.models.config import ModelConfig
from reelscore.training import TrainConfig
from research.plan_files import INFONCE, INTER_INTRA, LossSpace, read_plan
from research.recipes.synthetic import SyntheticSettings
from research.report.intervals import student_t
from research.result import Result
from research.runs.runner import Runner
from research.runs.tuning import Choice
from research.studies import false_negatives
from research.studies.false_negatives_plan import ORACLE_INFONCE, ORACLE_SUPCON, FalseNegativesPlan
from research.studies.false_negatives_statistics import measured_rate, recovered_share, train_val_gap
from support.research_sets import outcome, run_here, write_lastfm

MODEL = ModelConfig(members=1, cca=False, dim=8, width=8, dropout=0.0, input_dropout=0.0)
PLAN = FalseNegativesPlan(
    sets=("lastfm",),
    seeds=(0, 1),
    losses=(
        LossSpace(INFONCE, {"loss.temperature": (0.2,)}),
        LossSpace(INTER_INTRA, {"loss.intra_weight": (1.0,)}),
    ),
    train=TrainConfig(
        model=MODEL, learning_rate=1e-2, keep="last", refit=False, epochs=1, steps=0, batch_size=8
    ),
    synthetic=SyntheticSettings(
        num_topics=8, per_topic=(6, 2, 3), columns=8, topic_dim=3, style_dim=2, nuisance_dim=2
    ),
    rates=(0.0, 0.4),
    topic_scales=(2.0,),
    real_train=TrainConfig(model=MODEL, learning_rate=1e-2, epochs=1, steps=0, batch_size=16),
)
ROWS = {INFONCE, INTER_INTRA, ORACLE_INFONCE, ORACLE_SUPCON}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    data = write_lastfm(tmp_path_factory.mktemp("sets"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("research.runs.runner.run_all", run_here)
        # One of the four regimes; the short plan runs all of them.
        patch.setattr(false_negatives, "REGIMES", ((False, "last"),))
        runner = Runner(cache=tmp_path_factory.mktemp("cache"), data=data, jobs=1)
        found = false_negatives.run(PLAN, runner)
    assert not runner.failures
    return replace(found, plan={"at": PLAN.at})


def test_the_study_measures_every_place(result: Result) -> None:
    places = {row.place for row in result.rows if not row.place[0].startswith("recovered")}
    fixed = [
        ("0%", INFONCE),
        ("40%", INFONCE),
        ("0%", INTER_INTRA),
        ("40%", INTER_INTRA),
        ("40%", ORACLE_INFONCE),
    ]
    regimes = ("without CCA, last epoch", "topic scale 2")
    assert places == {
        *((f"mAP at {rate}", row) for rate in ("0%", "40%") for row in ROWS),
        *((regime, *place) for regime in regimes for place in fixed),
        *((f"lastfm, {metric}", row) for metric in ("truth_map", "recall@10") for row in ROWS),
    }
    for row in result.rows:
        if row.metric == "truth_map":
            assert 0 < row.estimate.mean <= 1
            assert row.estimate.low <= row.estimate.mean <= row.estimate.high
    assert result.figures["measured_rate"]["0%"] == 0
    assert result.figures["measured_rate"]["40%"] == pytest.approx(0.4, abs=0.03)
    assert set(result.figures["train_val_gap"]) == {
        f"without CCA, last epoch, {rate}, {row}" for rate in ("0%", "40%") for row in (INFONCE, INTER_INTRA)
    }
    assert list(result.figures["frozen_map"]) == ["2"]
    json.loads(result.to_bytes())


def test_the_oracle_rows_have_the_tries_of_infonce(result: Result) -> None:
    tries = {one["loss"]: list(one["values"]) for one in result.figures["settings"] if one["set"] == "40%"}
    assert tries[ORACLE_INFONCE] == tries[ORACLE_SUPCON] == tries[INFONCE]


def test_the_finding_states_the_loss_of_map(result: Result) -> None:
    assert "at 40%" in false_negatives.finding(result)
    assert false_negatives.finding(replace(result, rows=())) == "The runs of InfoNCE failed."


def test_rates_share_their_data_and_the_search_has_its_own() -> None:
    recipes = [
        json.dumps(false_negatives.synthetic_recipe(PLAN, seed, oracle=False))
        for seed in (*PLAN.seeds, *PLAN.search_seeds)
    ]
    assert len(set(recipes)) == 3
    chosen = {
        (name, title): Choice(replace(PLAN.train, label_rate=rate), {}, ())
        for name, rate in (("0%", 0.0), ("40%", 0.4))
        for title in (INFONCE, INTER_INTRA, ORACLE_INFONCE)
    }
    oracle = replace(PLAN.train, label_rate=0.4, learning_rate=0.5)
    chosen["40%", ORACLE_INFONCE] = Choice(oracle, {}, ())
    runs = false_negatives.synthetic_runs(PLAN, chosen)
    for row in (INFONCE, INTER_INTRA):
        clean, at = runs["mAP at 0%", row], runs["mAP at 40%", row]
        assert [run.data for run in clean] == [run.data for run in at]
        assert [run.config and run.config.label_rate for run in at] == [0.4, 0.4]
    tuned = runs["mAP at 40%", ORACLE_INFONCE]
    assert {run.data["oracle"] for run in tuned} == {True}
    # The oracle uses its own settings, not those of InfoNCE.
    assert {run.config and run.config.learning_rate for run in tuned} == {0.5}
    assert ("mAP at 40%", ORACLE_SUPCON) not in runs


def test_the_recovered_share_is_a_ratio_of_means_and_needs_a_loss() -> None:
    values, infonce, clean = np.array([0.5, 0.7]), np.array([0.4, 0.5]), np.array([0.8, 0.9])
    share = recovered_share(values, infonce, clean)
    assert share is not None
    assert share.mean == pytest.approx((0.1 + 0.2) / (0.4 + 0.4))
    # By linearisation the residuals are ±0.05 / 0.4; t of one degree of freedom at 97.5% is 12.706.
    assert share.high - share.mean == pytest.approx(12.706 * 0.125, rel=1e-3)
    assert recovered_share(values, clean - 0.01, clean) is None
    assert recovered_share(values, clean - np.array([0.0, 0.4]), clean) is None, "the interval holds zero"
    equal = np.array([0.6] * 5 + [0.9])
    share = recovered_share(np.array([0.7] * 5 + [0.9]), equal, np.full(6, 0.9))
    assert share is not None
    assert share.mean == pytest.approx(1 / 3)


def test_the_interval_over_data_sets_is_students() -> None:
    one = student_t(np.array([1.0, 2.0, 3.0]))
    assert (one.mean, one.high - one.mean) == pytest.approx((2.0, 4.3027 / np.sqrt(3)), rel=1e-4)
    assert student_t(np.array([0.5])).low == 0.5


def test_the_gap_is_training_less_validation() -> None:
    record = {
        "watched_loss_val": 3.0,
        "watched_loss_train": 1.0,
        "watched_recall@10_train": 0.9,
        "watched_recall@10_val": 0.4,
    }
    gap = train_val_gap([outcome([1], history=({}, record))])
    assert gap["loss"].mean == 2.0
    assert gap["recall@10"].mean == 0.5


@pytest.mark.parametrize(
    "values", [{"rates": (0.1, 0.4)}, {"rates": (0.0, 0.2)}, {"real_losses": ("rince",)}]
)
def test_inconsistent_plans_are_rejected(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        replace(PLAN, **values)


@pytest.mark.parametrize("quick", [False, True])
def test_the_built_in_plan_is_consistent(quick: bool) -> None:
    plan = read_plan(FalseNegativesPlan, "false-negatives", quick=quick)
    assert plan.train.keep == "last"
    assert not plan.train.model.cca
    assert not plan.train.refit
    for rate in plan.rates:
        # The topics must be large enough for the rate, or sampling fails.
        settings = replace(plan.synthetic, seed=0)
        measured_rate(settings, batch_size=plan.train.batch_size, rate=rate, epochs=1)
    if not quick:
        assert len(plan.seeds) >= 5
