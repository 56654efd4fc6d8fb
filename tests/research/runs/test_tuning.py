"""Search by the mean log rank on validation, without the test rows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reelscore.data.datasets import load_set
from reelscore.errors import InputError
from reelscore.workers.local import Outcome
from research.plan_files import changed
from research.runs import runner as run_module
from research.runs.runner import Run, Runner
from research.runs.tuning import choice_records, tune
from support.research_sets import LOSSES, LOSSES_PLAN, run_here, write_lastfm

HARD = {"num_rows": 100, "noise": 5.0}  # the tries must differ
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
    return runner, tune(runner, LOSSES_PLAN, RECIPES)


def test_the_lowest_mean_log_rank_on_validation_wins(searched):
    runner, chosen = searched
    for space in LOSSES_PLAN.losses:
        choice = chosen["lastfm", space.title]
        runs = [
            Run(
                RECIPES["lastfm"],
                config=changed(
                    LOSSES_PLAN.train,
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
    test_rows = [i for i, part in enumerate(pairs.split) if part == "test"]
    noisy = write_lastfm(tmp_path / "noisy", noise_rows=test_rows, **HARD)
    assert tune(Runner(cache=tmp_path / "cache", data=noisy, jobs=1), LOSSES_PLAN, RECIPES) == chosen


def test_the_first_of_equal_tries_wins_and_a_failed_try_is_skipped(searched, tmp_path):
    runner, _ = searched
    plan = replace(
        LOSSES_PLAN,
        losses=(
            replace(LOSSES[0], knobs={"loss.temperature": (0.1, 0.1), "learning_rate": (1e30, 1e-3, 3e-2)}),
        ),
    )
    choice = tune(runner, plan, RECIPES)["lastfm", "infonce"]
    assert choice.scores[0] is choice.scores[3] is None
    assert choice.scores[1:3] == choice.scores[4:6]
    assert choice.values["learning_rate"] in (1e-3, 3e-2)
    assert choice.scores.index(min(s for s in choice.scores if s is not None)) < 3


def test_a_search_without_outcomes_states_the_reason(searched, tmp_path, monkeypatch):
    runner, _ = searched

    def fail(items, *_, **__):
        return iter([Outcome(item, None, "the weights are NaN") for item in items])

    monkeypatch.setattr(run_module, "run_all", fail)
    with pytest.raises(InputError, match="every run of the search failed: the weights are NaN"):
        tune(Runner(cache=tmp_path, data=runner.data), LOSSES_PLAN, RECIPES)


def test_the_records_hold_what_was_chosen(searched):
    _, chosen = searched
    records = choice_records(chosen)
    assert [(one["set"], one["loss"]) for one in records] == [
        ("lastfm", "infonce"),
        ("lastfm", "inter-intra"),
    ]
    choice = chosen["lastfm", "infonce"]
    assert records[0]["values"] == choice.values
    assert len(records[0]["scores"]) == 4
