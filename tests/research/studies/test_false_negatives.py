"""`noise`: its figures by hand, and the whole of it end to end in seconds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from reelscore.errors import ConfigError
from reelscore.models.config import ModelConfig
from reelscore.training import TrainConfig
from research.plan_files import OURS, TWIN, LossSpace, read_plan
from research.recipes.synthetic import World
from research.result import Result
from research.runs.runner import Runner
from research.studies import false_negatives as noise
from research.studies import false_negatives_report as noise_report
from research.studies.false_negatives_figures import Spread, gap, measured_rate, spread, won_back
from research.studies.false_negatives_plan import MASKED, POSITIVES, REGIMES, NoisePlan

MODEL = ModelConfig(members=1, cca=False, dim=8, width=8, dropout=0.0, input_dropout=0.0)
PLAN = NoisePlan(
    sets=("lastfm",),
    seeds=(0, 1),
    losses=(LossSpace(TWIN, {"loss.temperature": (0.2,)}), LossSpace(OURS, {"loss.intra_weight": (1.0,)})),
    train=TrainConfig(
        model=MODEL, learning_rate=1e-2, keep="last", refit=False, epochs=2, steps=0, batch_size=8
    ),
    world=World(num_topics=8, per_topic=(6, 2, 3), columns=8, topic_dim=3, style_dim=2, nuisance_dim=2),
    rates=(0.0, 0.4),
    loudness=(2.0,),
    real_train=TrainConfig(model=MODEL, learning_rate=1e-2, epochs=1, steps=0, batch_size=16),
)


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as of lastfm: 60 songs, of which some come twice."""
    folder = tmp_path_factory.mktemp("sets")
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(60, 6))
    text, audio = (hidden @ rng.normal(size=(6, d)) + rng.normal(size=(60, d)) for d in (384, 128))
    audio[40:50] = audio[50:60]
    np.savez(
        folder / "lastfm_music_text.npz",
        item_id=np.arange(60),
        text_minilm=text.astype(np.float32),
        audio_vggish=audio.astype(np.float32),
        audio_whisper=np.zeros((60, 512), np.float32),
    )
    return folder


@pytest.fixture(scope="module")
def result(songs: Path, tmp_path_factory: pytest.TempPathFactory) -> Result:
    runner = Runner(cache=tmp_path_factory.mktemp("cache"), data=songs, jobs=1)
    return noise.conduct(PLAN, runner)


def test_the_whole_experiment_gives_every_figure_it_names(result: Result) -> None:
    told: dict[str, Any] = json.loads(result.to_bytes())["figures"]
    rows = {TWIN, OURS, MASKED, POSITIVES}
    for name in ("map", "recall@10"):
        places = {(one["rate"], one["row"]) for one in told[name]}
        assert places == {(rate, row) for rate in (0.0, 0.4) for row in rows}
        for one in told[name]:
            assert len(one["worlds"]) == 2
            assert one["mean"] == pytest.approx(np.mean(one["worlds"]))
            assert one["interval"][0] <= one["mean"] <= one["interval"][1]
            assert 0 < one["mean"] <= 1
    assert told["measured_rate"]["0%"] == 0
    assert told["measured_rate"]["40%"] == pytest.approx(0.4, abs=0.03)  # 48 batches of 8 items
    assert {tuple(one["place"][-2:]) for one in told["gap"]} == {
        (rate, row) for rate in ("0.0", "0.4") for row in (TWIN, OURS)
    }
    assert all({"loss", "recall@10"} < set(one) for one in told["gap"])
    assert [one["place"] for one in told["fixed"]] == [
        *(["regime", str(cca), keep] for cca, keep in REGIMES),
        ["loudness", "2.0"],
    ]
    assert [one["topic"] for one in told["reliability"]] == [2.0]
    assert {one["row"] for one in told["real"]} == rows
    assert "won_back" in told


def test_tables_and_charts_stand_ready_for_the_page(result: Result) -> None:
    assert len(result.tables) == 7
    for table in result.tables:
        assert all(len(row) == len(table.columns) for row in table.rows)
    assert [chart.name for chart in result.charts] == ["rates", "curves-loss", "curves-recall"]
    for chart in result.charts[1:]:
        assert len(chart.panels) == 4
        for panel in chart.panels:
            # Start and both epochs, of training and of validation.
            assert [(line.label, line.x) for line in panel.lines] == [
                ("train", (0.0, 1.0, 2.0)),
                ("val", (0.0, 1.0, 2.0)),
            ]
    assert "At 40%" in result.answer
    assert not result.failures


@pytest.mark.parametrize(
    ("mean", "low", "told"),
    [
        (0.5, 0.4, "at least a third"),
        (0.5, 0.2, "at least a third by the mean, though not by the interval"),
        (0.3, 0.2, "less than a third"),
    ],
)
def test_a_third_is_told_apart_from_a_third_by_the_mean(mean: float, low: float, told: str) -> None:
    assert noise_report._met(Spread(mean, low, 2 * mean - low, ())) == told


def test_rates_share_their_worlds_and_the_search_has_one_of_its_own() -> None:
    recipes = {json.dumps(noise.world_recipe(PLAN, seed)) for seed in (*PLAN.seeds, *PLAN.search_seeds)}
    assert len(recipes) == 3
    chosen = {
        (name, title): SimpleNamespace(config=replace(PLAN.train, label_rate=rate))
        for name, rate in (("0%", 0.0), ("40%", 0.4))
        for title in (TWIN, OURS, MASKED)
    }
    chosen["40%", MASKED].config = replace(PLAN.train, label_rate=0.4, learning_rate=0.5)
    runs = noise.world_runs(PLAN, chosen)  # type: ignore[arg-type]
    for row in (TWIN, OURS):
        assert [run.data for run in runs[0.0, row]] == [run.data for run in runs[0.4, row]]
        assert [run.config and run.config.label_rate for run in runs[0.4, row]] == [0.4, 0.4]
    assert {run.data["knows"] for run in runs[0.4, MASKED]} == {"topics"}
    # Who is told the truth goes by settings of its own, not by those of one that is not.
    assert {run.config and run.config.learning_rate for run in runs[0.4, MASKED]} == {0.5}
    assert (0.4, POSITIVES) not in runs


def test_rows_that_are_told_the_truth_are_tried_as_often_as_the_twin(result: Result) -> None:
    for table in result.settings:
        tried = {row[0]: row[1] for row in table.rows}
        assert tried[MASKED] == tried[POSITIVES] == tried[TWIN]


def test_what_is_won_back_is_a_ratio_of_means_and_needs_a_loss() -> None:
    ours, twin, clean = np.array([0.5, 0.7]), np.array([0.4, 0.5]), np.array([0.8, 0.9])
    told = won_back(ours, twin, clean)
    assert told is not None
    assert told.mean == pytest.approx((0.1 + 0.2) / (0.4 + 0.4))
    assert told.values == pytest.approx((0.25, 0.5))
    # By linearisation the residuals are ±0.05 / 0.4; t of one degree of freedom at 97.5% is 12.706.
    assert told.high - told.mean == pytest.approx(12.706 * 0.125, rel=1e-3)
    assert won_back(ours, clean - 0.01, clean) is None
    assert won_back(ours, clean - np.array([0.0, 0.4]), clean) is None, "a loss that may be none has no share"


def test_the_interval_over_worlds_is_students() -> None:
    told = spread(np.array([1.0, 2.0, 3.0]))
    assert (told.mean, told.high - told.mean) == pytest.approx((2.0, 4.3027 / np.sqrt(3)), rel=1e-4)
    assert spread(np.array([0.5])).low == 0.5


def test_a_gap_is_training_ahead_of_validation() -> None:
    line = {
        "watched_loss_val": 3.0,
        "watched_loss_train": 1.0,
        "watched_recall@10_train": 0.9,
        "watched_recall@10_val": 0.4,
    }
    told = gap([SimpleNamespace(history=({}, line))])  # type: ignore[list-item]
    assert told["loss"].mean == 2.0
    assert told["recall@10"].mean == 0.5


@pytest.mark.parametrize(
    "values", [{"rates": (0.1, 0.4)}, {"rates": (0.0, 0.2)}, {"real_losses": ("rince",)}]
)
def test_plans_that_cannot_answer_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        replace(PLAN, **values)


@pytest.mark.parametrize("quick", [False, True])
def test_the_plan_that_comes_along_is_sound(quick: bool) -> None:
    plan = read_plan(NoisePlan, "noise", quick=quick)
    assert plan.train.keep == "last"
    assert not plan.train.model.cca
    assert not plan.train.refit
    for rate in plan.rates:
        # The topics are large enough for the rate, or drawing would refuse.
        measured_rate(replace(plan.world, seed=0), batch_size=plan.train.batch_size, rate=rate, epochs=1)
    if not quick:
        assert len(plan.seeds) >= 5


def test_a_world_that_lost_nothing_has_no_share_of_its_own() -> None:
    ours, twin = np.array([0.7] * 5 + [0.9]), np.array([0.6] * 5 + [0.9])
    told = won_back(ours, twin, np.full(6, 0.9))
    assert told is not None
    assert told.mean == pytest.approx(1 / 3)
    assert told.to_json()["worlds"] == [*[pytest.approx(1 / 3)] * 5, None]  # JSON knows no NaN
