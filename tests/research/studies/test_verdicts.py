"""`main` and `few` on made outcomes: the answer, the tables and the drawings say what the figures say, and no more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from research.plan_files import changed
from research.runs.runner import Outcome, Run
from research.runs.scoring import DIRECTIONS, Ranking
from research.runs.tuning import Choice, recipe_of
from research.studies import few_pairs as few
from research.studies import losses as main
from support.research_sets import FEW, MAIN

CHANCE = {"recall@1": 0.01, "recall@10": 0.1, "median_rank": 50.5, "map": 0.05}
CHOICE = Choice(MAIN.train, {"loss.temperature": 0.1, "learning_rate": 1e-3}, (1.0, 2.0, 3.0, 4.0))
NUM_QUERIES = 200


def outcome(recall, *, name="lastfm", method="train", seed=0, wobble=0):
    """An outcome whose R@10 is `recall`: the first queries are found, shifted by the seed times `wobble`."""
    found = np.roll(np.arange(NUM_QUERIES) < round(recall * NUM_QUERIES), seed * wobble)
    ranking = Ranking(np.where(found, 2, 40), np.where(found, 0.5, 1 / 40))
    config = changed(MAIN.train, {"seed": seed}) if method == "train" else None
    run = Run({"kind": "set", "name": name}, method, config)
    each = dict.fromkeys(DIRECTIONS, ranking)
    return Outcome(run, each, np.arange(NUM_QUERIES), CHANCE, {}, (), 1.5, "2 cores", "c0de")


def seeds(recall, name="lastfm", wobble=0):
    return [outcome(recall, name=name, seed=s, wobble=wobble) for s in (0, 1)]


@pytest.fixture
def scored():
    """Ours far above its twin on emomv, a little below it on lastfm; the CCA best on lastfm."""
    return {
        ("emomv", "infonce"): seeds(0.20, "emomv"),
        ("emomv", "inter-intra"): seeds(0.40, "emomv"),
        ("emomv", "linear CCA"): [outcome(0.30, name="emomv", method="cca")],
        ("lastfm", "infonce"): seeds(0.20),
        ("lastfm", "inter-intra"): seeds(0.19),
        ("lastfm", "linear CCA"): [outcome(0.30, method="cca")],
    }


PLAN = replace(MAIN, sets=("emomv", "lastfm"), linear=("cca",))
CHOSEN = {(name, loss): CHOICE for name in PLAN.sets for loss in ("infonce", "inter-intra")}


def table(result, title):
    (found,) = [one for one in result.tables if one.title.startswith(title)]
    return found


def row(found, name):
    (cells,) = [cells for cells in found.rows if cells[0] == name]
    return dict(zip(found.columns, cells, strict=True))


def test_the_answer_counts_the_sets(scored):
    answer = main.conclude(PLAN, scored, CHOSEN).answer
    assert (
        "inter-intra is above infonce on 1 of 2 sets (emomv), with its 95% interval above zero on 1" in answer
    )
    assert "inter-intra is above linear CCA on 1 of 2 sets (emomv)" in answer
    assert "the best row, or level with it, on 1 of 2 sets (emomv)" in answer
    worse = {**scored, ("emomv", "inter-intra"): seeds(0.10, "emomv")}
    answer = main.conclude(PLAN, worse, CHOSEN).answer
    assert "inter-intra is above infonce on none of 2 sets" in answer
    assert "the best row, or level with it, on none of 2 sets" in answer


def test_a_gain_within_its_interval_is_not_called_beyond_it(scored):
    # One query more under either seed, but other ones: above in the mean, not beyond chance.
    scored["lastfm", "inter-intra"] = seeds(0.205, wobble=17)
    answer = main.conclude(PLAN, scored, CHOSEN).answer
    assert (
        "above infonce on 2 of 2 sets (emomv, lastfm), with its 95% interval above zero on 1 of 2" in answer
    )


def test_the_tables_hold_the_figures_in_percent_and_mark_the_best(scored):
    result = main.conclude(PLAN, scored, CHOSEN)
    overview = table(result, "R@10, mean of both directions")
    assert row(overview, "inter-intra")["emomv"].startswith("**40.0 (")
    assert row(overview, "linear CCA")["lastfm"].startswith("**30.0 (")
    assert row(overview, "infonce")["emomv"].startswith("20.0 (")
    assert row(overview, "chance") == {"loss": "chance", "emomv": "10.0", "lastfm": "10.0"}
    gain = row(table(result, "Paired difference in R@10 from infonce"), "inter-intra")
    assert gain["emomv"].startswith("+20.0 (+")
    assert gain["lastfm"].startswith("−1.0 (")
    detail = row(table(result, "emomv: a gallery of 200"), "infonce")
    assert detail["seeds"] == "2"
    assert detail["median rank"] == "40.0"
    assert detail["R@1"].startswith("0.0 (")
    assert row(table(result, "emomv: a gallery"), "linear CCA")["seeds"] == "–"


def test_what_is_missing_is_missing_and_not_zero(scored):
    del scored["lastfm", "inter-intra"]
    result = main.conclude(PLAN, scored, CHOSEN)
    assert row(table(result, "R@10, mean of both"), "inter-intra")["lastfm"] == "–"
    assert row(table(result, "Paired difference in R@10 from infonce"), "inter-intra")["lastfm"] == "–"
    assert "above infonce on 1 of 1 set (emomv)" in result.answer


def test_a_seed_that_failed_leaves_the_others_paired(scored):
    scored["lastfm", "inter-intra"] = scored["lastfm", "inter-intra"][1:]
    result = main.conclude(PLAN, scored, CHOSEN)
    assert row(table(result, "lastfm: a gallery"), "inter-intra")["seeds"] == "1"
    assert row(table(result, "Paired difference in R@10 from infonce"), "inter-intra")["lastfm"][:4] == "−1.0"


def test_every_dot_of_the_drawing_stands_in_its_row(scored):
    result = main.conclude(PLAN, scored, CHOSEN)
    chart = result.charts[0]
    assert chart.rows == ("inter-intra", "linear CCA")
    emomv = chart.panels[0].lines[0]
    assert emomv.x == pytest.approx((20.0, 10.0))
    assert emomv.y == (0.0, 1.0)
    assert all(low <= x <= high for low, x, high in zip(emomv.low, emomv.x, emomv.high, strict=True))


def shares(ours, twin):
    plan = replace(FEW, shares=(0.1, 0.5, 1.0))
    told = {}
    for title, recalls in (("inter-intra", ours), ("infonce", twin), ("linear CCA", twin)):
        told |= {("lastfm", title, s): seeds(r) for s, r in zip(plan.shares, recalls, strict=True)}
    return few.conclude(plan, told, {("lastfm", "infonce"): CHOICE})


@pytest.mark.parametrize(
    ("ours", "reached", "told"),
    [
        ((0.1, 0.3, 0.4), 0.5, "on 1 of 1 set (lastfm) (lastfm: with 50%)"),
        ((0.1, 0.2, 0.3), 1.0, "on none of 1 set (lastfm: with 100%)"),
        ((0.1, 0.2, 0.2), None, "on none of 1 set (lastfm: with no share tried)"),
    ],
)
def test_the_least_share_that_reaches_the_twins_whole_is_named(ours, reached, told):
    result = shares(ours, (0.1, 0.2, 0.3))
    assert result.figures["share_that_reaches"] == {"lastfm": reached}
    assert told in result.answer


def test_few_draws_a_point_for_each_share():
    chart = shares((0.1, 0.3, 0.4), (0.1, 0.2, 0.3)).charts[0]
    lines = {line.label: line for line in chart.panels[0].lines}
    assert lines["inter-intra"].x == (10.0, 50.0, 100.0)
    assert lines["inter-intra"].y == pytest.approx((10.0, 30.0, 40.0))
    assert chart.panels[0].levels[0].y == (10.0, 10.0)


def test_all_pairs_are_the_plain_set_so_that_main_has_done_it():
    plain = {"kind": "set", "name": "emomv"}
    assert few.share_of(FEW, "emomv", 1.0, 1) == plain
    assert few.share_of(FEW, "emomv", 0.5, 1) == {**plain, "share": 0.5, "draw": 1}
    rotating = replace(FEW, folds=2)
    assert few.share_of(rotating, "emomv", 1.0, 1) == recipe_of(rotating, "emomv", 1)
    assert few.share_of(rotating, "emomv", 0.5, 1) == {
        **plain,
        "fold": 1,
        "folds": 2,
        "share": 0.5,
        "draw": 1,
    }


def test_a_rotating_test_part_is_told_with_what_its_intervals_leave_out(scored):
    plan = replace(PLAN, folds=2)
    note = main.conclude(plan, scored, CHOSEN).notes[0]
    assert "rotates over 2 folds" in note
    assert "with the trainings as they are" in note
    assert "share most of their pairs" in note


def test_a_set_that_few_rows_were_measured_on_has_no_best_row(scored):
    plan = replace(PLAN, sets=(*PLAN.sets, "tiktok"))
    few_rows = {("tiktok", row): seeds(0.5, "tiktok") for row in ("infonce", "inter-intra")}
    result = main.conclude(plan, {**scored, **few_rows}, CHOSEN)
    assert "the best row, or level with it, on 1 of 2 sets (emomv)" in result.answer
    assert "inter-intra is above infonce on 1 of 3 sets" in result.answer
    cells = row(table(result, "R@10, mean"), "inter-intra")
    assert cells["emomv"].startswith("**40.0")
    assert cells["tiktok"].startswith("50.0")
    assert row(table(result, "R@10, mean"), "linear CCA")["tiktok"] == "–"
