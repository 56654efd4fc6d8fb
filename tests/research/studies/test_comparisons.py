"""`methods`, `false-negatives`, `few-pairs`, `pairs-needed`, `tasks` and `ablation`: runs, rows and findings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from research.runs.changes import CLIP
from research.studies import ablation, false_negatives, few_pairs, methods, pairs_needed, tasks
from research.studies.ablation import AblationPlan
from research.studies.false_negatives import SharesPlan
from research.studies.methods import MethodsPlan
from research.studies.pairs_needed import PairsNeededPlan
from research.studies.tasks import TasksPlan
from research.systems import CORRELATED, II, INFONCE, KERNEL, LINEAR_CCA
from support.research_sets import SMALL, Scored, write_lastfm

COMMON = {"folds": 2, "max_tries": 2, "train": SMALL}
HIGH, LOW = np.where(np.arange(60) < 40, 2, 40), np.where(np.arange(60) < 20, 2, 40)
"""Ranks with an R@10 of two thirds and of one third."""


def recipes(runs):
    return [{key: value for key, value in run.data.items() if key != "fold"} for run in runs]


def test_methods_scores_whole_videos_and_clips():
    plan = MethodsPlan(
        systems={"lastfm": [KERNEL, LINEAR_CCA, INFONCE, II], "muvisync": [KERNEL, LINEAR_CCA, INFONCE, II]},
        clips={"muvisync": [KERNEL]},
        **COMMON,
    )
    better = {("lastfm", KERNEL), ("muvisync", II), ("muvisync, 30 s queries", "kernel, trained with clips")}
    runner = Scored(lambda place: HIGH if place in better else LOW)
    result = methods.run(plan, runner)
    assert len(runner.tries) == 2 * 2 * 2  # networks, tries, sets
    assert {run.change for run in runner.runs["muvisync, 30 s queries", II]} == {CLIP}
    assert {run.change for run in runner.runs["muvisync", II]} == {""}
    with_clips = runner.runs["muvisync", "kernel, trained with clips"]
    assert all(recipe["clips"] == 2 for recipe in recipes(with_clips))
    assert not any("clips" in recipe for recipe in recipes(runner.runs["muvisync", KERNEL]))
    assert ("lastfm", "kernel, trained with clips") not in runner.runs
    rows = {row.place: row for row in result.rows}
    assert rows["lastfm", KERNEL].differences[0].baseline == LINEAR_CCA
    assert rows["lastfm", II].differences[0].baseline == INFONCE
    assert rows["muvisync", "kernel, trained with clips"].differences[0].baseline == KERNEL
    assert rows["lastfm", LINEAR_CCA].differences == rows["lastfm", INFONCE].differences == ()
    assert rows["lastfm", KERNEL].less(LINEAR_CCA).mean == pytest.approx(1 / 3)
    finding = methods.finding(result)
    assert "`kernel` less `linear CCA`: above zero on 1 of 3 (lastfm)." in finding
    assert "`ii` less `infonce`: above zero on 1 of 3 (muvisync)." in finding
    assert (
        "`kernel, trained with clips` less `kernel`: above zero on 1 of 2 (muvisync, 30 s queries)" in finding
    )


def shares_plan(shares):
    systems = {"lastfm": [INFONCE, II, LINEAR_CCA], "emomv": [INFONCE, II, CORRELATED]}
    return SharesPlan(systems=systems, shares={"lastfm": shares, "emomv": shares[-2:]}, **COMMON)


def test_false_negatives_duplicates_the_training_pairs_at_every_share():
    lost = {("40%", "lastfm", INFONCE), ("40%", "emomv", CORRELATED)}
    runner = Scored(lambda place: LOW if place in lost else HIGH)
    result = false_negatives.run(shares_plan([0.0, 0.2, 0.4]), runner)
    assert list(dict.fromkeys(place[0] for place in runner.runs)) == ["0%", "20%", "40%"]
    plain = {"kind": "set", "folds": 2, "name": "lastfm"}
    assert recipes(runner.runs["0%", "lastfm", II]) == [plain] * 2, "the runs of methods"
    assert recipes(runner.runs["20%", "lastfm", II]) == [{**plain, "duplicates": 0.2}] * 2
    assert ("0%", "emomv", II) not in runner.runs
    assert not any("duplicates" in run.data for run in runner.tries)
    finding = false_negatives.finding(result)
    assert "InfoNCE moves on lastfm from 66.7 to 33.3 at 40%." in finding
    assert "`ii` less `infonce`: above zero on 1 of 4 (lastfm 40%)." in finding
    assert "`ii, correlated structure` less `infonce`: below zero on 1 of 2 (emomv 40%)." in finding


def test_few_pairs_shares_the_runs_on_all_pairs_with_methods():
    runner = Scored(lambda place: LOW if place[:1] == ("50%",) and place[2] == INFONCE else HIGH)
    result = few_pairs.run(shares_plan([0.1, 0.5, 1.0]), runner)
    plain = {"kind": "set", "folds": 2, "name": "lastfm"}
    assert recipes(runner.runs["100%", "lastfm", II]) == [plain] * 2
    assert recipes(runner.runs["10%", "lastfm", II]) == [{**plain, "share": 0.1}] * 2
    assert "`ii` less `infonce`: above zero on 2 of 3 (lastfm 50%, emomv 50%)." in few_pairs.finding(result)


def test_a_system_whose_runs_failed_is_left_out():
    runner = Scored(lambda place: None if place == ("100%", "lastfm", INFONCE) else HIGH)
    rows = {row.place: row for row in few_pairs.run(shares_plan([0.5, 1.0]), runner).rows}
    assert ("100%", "lastfm", INFONCE) not in rows
    assert rows["100%", "lastfm", II].differences == ()


def test_pairs_needed_uses_the_numbers_that_a_set_has(tmp_path):
    plan = PairsNeededPlan(systems={"lastfm": [KERNEL]}, numbers=(10, 30, 500), **COMMON)
    chance = np.where(np.arange(60) < 6, 2, 40)
    runner = Scored(lambda place: chance if "10 pairs" in place[1] else HIGH, data=write_lastfm(tmp_path))
    result = pairs_needed.run(plan, runner)
    assert list(runner.runs) == [("lastfm", "kernel, 10 pairs"), ("lastfm", "kernel, 30 pairs")]
    assert {recipe["pairs"] for recipe in recipes(runner.runs["lastfm", "kernel, 30 pairs"])} == {30}
    assert 30 <= result.figures["training_pairs"]["lastfm"] < 60
    assert pairs_needed.finding(result).endswith("lastfm 30 and 30.")


def test_tasks_are_scored_by_class():
    plan = TasksPlan(systems={"music, classes": [INFONCE, II]}, **COMMON)
    result = tasks.run(plan, Scored(lambda _: HIGH))
    assert {row.metric for row in result.rows} == {"truth_map"}
    assert tasks.finding(result) == "`ii` less `infonce`: contains zero on all 1."
    with pytest.raises(Exception, match="a task must be one of"):
        replace(plan, systems={"moods": [INFONCE]})


def test_an_ablation_differs_from_the_default_in_one_setting():
    plan = AblationPlan(rows={"muvisync": list(ablation.ROWS)}, folds=2, train=SMALL)
    runner = Scored(lambda place: LOW if place[1] == "8 clips" else HIGH)
    result = ablation.run(plan, runner)
    default = [run.config for run in runner.runs["muvisync", II]]
    assert [config.seed for config in default] == [0, 1]
    assert [run.config.model.num_segments for run in runner.runs["muvisync", "8 clips"]] == [8, 8]
    assert len({run.key for each in runner.runs.values() for run in each}) == 2 * len(ablation.ROWS)
    finding = ablation.finding(result)
    assert "8 clips: below zero on 1 of 1 (muvisync)" in finding
    assert "transformer: contains zero on all 1" in finding
