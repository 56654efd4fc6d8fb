"""Search by the mean log rank on validation, without the test rows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reelscore.errors import InputError
from reelscore.workers.item_worker import Outcome
from research.plan_files import SEARCH_SEED
from research.recipes import public
from research.runs import runner as run_module
from research.runs.runner import Run, Runner
from research.runs.tuning import choice_records, set_recipe, system_runs, tune
from research.systems import SYSTEMS, System, changed
from support.research_sets import PLAN, run_here, write_lastfm

HARD = {"num_rows": 100, "noise": 5.0}  # the tries must differ
FIRST_FOLD = {"kind": "set", "name": "lastfm", "fold": 0, "folds": 2}


@pytest.fixture(scope="module", autouse=True)
def no_workers():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "run_all", run_here)
        yield


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    data = write_lastfm(tmp_path_factory.mktemp("sets"), **HARD)
    runner = Runner(cache=tmp_path_factory.mktemp("cache"), data=data, jobs=1)
    return runner, tune(runner, PLAN)


def test_the_lowest_mean_log_rank_on_validation_wins(searched):
    runner, chosen = searched
    assert set(chosen) == {("lastfm", "infonce"), ("lastfm", "ii")}, "a CCA has no settings to search"
    for one in PLAN.systems_of("lastfm")[:2]:
        tries = {"refit": False, "validate": True, "seed": SEARCH_SEED}
        runs = [
            Run(FIRST_FOLD, config=changed(PLAN.train, {**values, **tries}), score="val")
            for values in one.tries[:3]
        ]
        done = runner.perform(runs)
        scores = [done[run].metrics["log_rank"] for run in runs]
        choice = chosen["lastfm", one.title]
        assert list(choice.scores) == scores
        assert len(set(scores)) > 1, "the tries must differ for a choice to mean anything"
        best = one.tries[scores.index(min(scores))]
        assert choice.values == best
        assert choice.config == changed(PLAN.train, best)


def test_the_search_scores_nothing_but_validation(searched):
    runner, _ = searched
    assert {one.run.score for one in runner.outcomes} == {"val"}
    assert {one.run.config.seed for one in runner.outcomes} == {SEARCH_SEED}
    assert len(runner.outcomes) == 6


def test_noise_in_the_test_rows_changes_no_score_and_no_choice(searched, tmp_path):
    runner, chosen = searched
    pairs = public.load(FIRST_FOLD, runner.data)
    test_rows = [int(key) for key, part in zip(pairs.keys, pairs.split, strict=True) if part == "test"]
    noisy = write_lastfm(tmp_path / "noisy", noise_rows=test_rows, **HARD)
    assert tune(Runner(cache=tmp_path / "cache", data=noisy, jobs=1), PLAN) == chosen


def test_a_failed_try_is_skipped(searched, tmp_path, monkeypatch):
    runner, _ = searched
    diverging = System("broken", knobs={"learning_rate": (1e30, 1e-3)})
    monkeypatch.setitem(SYSTEMS, "broken", diverging)
    choice = tune(runner, replace(PLAN, systems={"lastfm": ["broken"]}))["lastfm", "broken"]
    assert choice.scores[0] is None
    assert choice.values == {"learning_rate": 1e-3}


def test_a_single_try_needs_no_search(searched, tmp_path):
    runner, _ = searched
    idle = Runner(cache=tmp_path, data=runner.data)
    choice = tune(idle, replace(PLAN, max_tries=1))["lastfm", "ii"]
    assert idle.outcomes == []
    assert (choice.config, choice.scores) == (changed(PLAN.train, choice.values), ())


def test_a_search_without_outcomes_states_the_reason(searched, tmp_path, monkeypatch):
    runner, _ = searched

    def fail(items, *_, **__):
        return iter([Outcome(item, None, "the weights are NaN") for item in items])

    monkeypatch.setattr(run_module, "run_all", fail)
    with pytest.raises(InputError, match="every run of the search failed: the weights are NaN"):
        tune(Runner(cache=tmp_path, data=runner.data), PLAN)


def test_every_fold_has_its_own_seed_and_recipe(searched):
    _, chosen = searched
    recipe = set_recipe("lastfm", share=0.5)
    runs = system_runs(PLAN, "lastfm", recipe, chosen, change="clip")
    assert list(runs) == list(PLAN.systems["lastfm"])
    for title, each in runs.items():
        assert [dict(run.data) for run in each] == [{**recipe, "fold": f, "folds": 2} for f in (0, 1)]
        assert {run.change for run in each} == {"clip"}
        seeds = [run.config and run.config.seed for run in each]
        assert seeds == ([None, None] if title == "linear CCA" else [0, 1])
    assert set(system_runs(PLAN, "lastfm", recipe, {})) == {"linear CCA"}, "after a failed search"


def test_the_records_hold_what_was_chosen(searched):
    _, chosen = searched
    records = choice_records(chosen)
    assert [(one["set"], one["system"]) for one in records] == [("lastfm", "infonce"), ("lastfm", "ii")]
    assert records[0]["values"] == chosen["lastfm", "infonce"].values
    assert len(records[0]["scores"]) == 3
