"""The search: the least mean log rank on validation wins, whatever stands in the test rows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reelscore.data.datasets import load_set
from reelscore.errors import InputError
from reelscore.workers.local import Outcome
from research.plan_files import changed
from research.runs import runner as run_module
from research.runs.runner import Run, Runner
from research.runs.tuning import settings_table, tune
from support.research_sets import LOSSES, MAIN, run_here, write_lastfm

HARD = {"num_rows": 150, "noise": 5.0}  # so that the tries differ
RECIPES = {"lastfm": {"kind": "set", "name": "lastfm"}}


@pytest.fixture(scope="module", autouse=True)
def no_workers():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "run_all", run_here)
        yield


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    data = write_lastfm(tmp_path_factory.mktemp("sets"), **HARD)
    runner = Runner(cache=tmp_path_factory.mktemp("cache"), data=data, jobs=1)
    return runner, tune(runner, MAIN, RECIPES)


def test_the_least_mean_log_rank_on_validation_wins(searched):
    runner, chosen = searched
    for space in MAIN.losses:
        choice = chosen["lastfm", space.title]
        runs = [
            Run(
                RECIPES["lastfm"],
                config=changed(
                    MAIN.train,
                    {
                        "loss.name": space.name,
                        **values,
                        "seed": 100,
                        "refit": False,
                        "choose_share": False,
                    },
                ),
                score="val",
            )
            for values in space.tries
        ]
        done = runner.perform(runs)
        scores = [done[run].metrics["log_rank"] for run in runs]
        assert list(choice.scores) == scores
        assert len(set(scores)) > 1, "the tries must differ for a choice to mean anything"
        best = space.tries[scores.index(min(scores))]
        assert choice.values == best
        assert choice.config.loss.name == space.name
        assert choice.config.learning_rate == best["learning_rate"]


def test_the_search_scores_nothing_but_validation(searched):
    runner, _ = searched
    assert {one.run.score for one in runner.outcomes} == {"val"}
    assert {one.run.config.seed for one in runner.outcomes} == {100}
    assert len(runner.outcomes) == 8


def test_noise_in_the_test_rows_changes_no_score_and_no_choice(searched, tmp_path):
    runner, chosen = searched
    pairs = load_set("lastfm", runner.data)
    held_out = [i for i, part in enumerate(pairs.split) if part == "test"]
    spoiled = write_lastfm(tmp_path / "spoiled", spoil=held_out, **HARD)
    assert tune(Runner(cache=tmp_path / "cache", data=spoiled, jobs=1), MAIN, RECIPES) == chosen


def test_the_earliest_of_equals_wins_and_a_try_that_fails_is_passed_over(searched, tmp_path):
    runner, _ = searched
    plan = replace(
        MAIN,
        losses=(
            replace(LOSSES[0], knobs={"loss.temperature": (0.1, 0.1), "learning_rate": (1e30, 1e-3, 3e-2)}),
        ),
    )
    choice = tune(runner, plan, RECIPES)["lastfm", "infonce"]
    assert choice.scores[0] is choice.scores[3] is None
    assert choice.scores[1:3] == choice.scores[4:6]
    assert choice.values["learning_rate"] in (1e-3, 3e-2)
    assert choice.scores.index(min(s for s in choice.scores if s is not None)) < 3


def test_a_search_of_which_nothing_came_says_why(searched, tmp_path, monkeypatch):
    runner, _ = searched

    def refuse(items, *_, **__):
        return iter([Outcome(item, None, "the weights are NaN") for item in items])

    monkeypatch.setattr(run_module, "run_all", refuse)
    with pytest.raises(InputError, match="every run of the search failed: the weights are NaN"):
        tune(Runner(cache=tmp_path, data=runner.data), MAIN, RECIPES)


def test_the_table_states_what_was_tried_and_how_often(searched):
    _, chosen = searched
    table = settings_table(MAIN, chosen)
    assert table.columns == ("loss", "what was tried, each with each", "lastfm")
    assert [row[:2] for row in table.rows] == [
        ("infonce", "temperature: 0.1, 0.3; learning_rate: 0.001, 0.03"),
        ("inter-intra", "intra_weight: 0.3, 2; learning_rate: 0.001, 0.03"),
    ]
    choice = chosen["lastfm", "infonce"]
    assert table.rows[0][2] == ", ".join(f"{value:g}" for value in choice.values.values())
    assert "Tries for each loss on each set: 4" in table.note
    assert "later folds" not in table.note
    rotating = settings_table(replace(MAIN, folds=2), chosen).note
    assert "on the validation pairs of the first fold" in rotating
    assert "learn from pairs that the later folds score; they are judged on none" in rotating
