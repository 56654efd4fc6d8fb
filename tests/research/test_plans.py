"""Built-in plans, the systems and the rejection of inconsistent plans."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from reelscore.errors import ConfigError
from reelscore.losses import build_loss
from reelscore.losses.config import LossName
from research.plan_files import Plan, read_plan
from research.registry import STUDIES
from research.runs.methods import METHODS
from research.studies.ablation import ROWS, AblationPlan
from research.studies.false_negatives import SharesPlan
from research.studies.methods import MethodsPlan
from research.studies.pairs_needed import PairsNeededPlan
from research.systems import BUDGET, CORRELATED, II, INFONCE, KERNEL, SYSTEMS, changed
from support.research_sets import PLAN, SMALL

FOUR_SETS = {"muvisync", "emomv", "tiktok", "lastfm"}


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("name", STUDIES)
def test_every_study_has_a_plan_and_a_short_plan(name, quick):
    plan = read_plan(STUDIES[name].plan, name, quick=quick)
    assert STUDIES[name].sets(plan)


def test_every_loss_is_a_system_and_every_try_can_be_built():
    built = {"inter-intra"}
    for one in SYSTEMS.values():
        assert one.method in METHODS
        for values in one.tries:
            loss = changed(BUDGET, values).loss
            build_loss(loss)
            built.add(loss.name)
    assert built == {*get_args(LossName)} - {"infonce"}, "infonce is ii with an intra weight of 0"


def test_infonce_is_the_baseline_of_ii_with_as_many_tries():
    assert len(SYSTEMS[INFONCE].tries) == len(SYSTEMS[II].tries) == 6
    for values in SYSTEMS[INFONCE].tries:
        config = changed(BUDGET, values)
        assert (config.loss.name, config.loss.intra_weight) == ("inter-intra", 0.0)


def test_the_full_plans_cover_their_questions():
    plans = {name: read_plan(STUDIES[name].plan, name) for name in STUDIES}
    methods, few, false_negatives = (plans[name] for name in ("methods", "few-pairs", "false-negatives"))
    for plan in (methods, few, false_negatives, plans["pairs-needed"]):
        assert set(plan.sets) == FOUR_SETS
        assert plan.folds == 5
    assert set(methods.systems["lastfm"]) == {*SYSTEMS} - {"kernel, mean alone"}
    assert {KERNEL, II} <= set(methods.clips["muvisync"])
    assert false_negatives.shares["lastfm"] == [0.0, 0.2, 0.4, 0.6]
    assert few.shares["lastfm"] == [0.1, 0.25, 0.5, 1.0]
    assert all(
        {INFONCE, II, CORRELATED, KERNEL} <= set(p.systems[s]) for p in (few, false_negatives) for s in p.sets
    )
    assert plans["pairs-needed"].numbers == (50, 100, 300, 1000)
    assert set(plans["ablation"].rows["muvisync"]) == set(ROWS)


@pytest.mark.parametrize("quick", [False, True])
def test_the_studies_share_the_search_of_methods(quick):
    methods, *others = (
        read_plan(STUDIES[name].plan, name, quick=quick)
        for name in ("methods", "few-pairs", "false-negatives")
    )
    for other in others:
        assert (other.train, other.folds, other.max_tries) == (
            methods.train,
            methods.folds,
            methods.max_tries,
        )


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (Plan, {"folds": 1}, "folds must be at least 2"),
        (Plan, {"systems": {"lastfm": []}}, "systems.lastfm must list at least one"),
        (Plan, {"systems": {"lastfm": ["ii", "ii"]}}, "none twice"),
        (Plan, {"systems": {"lastfm": "ii"}}, "must list"),
        (Plan, {"systems": {"lastfm": ["magic"]}}, "a system must be one of .* got 'magic'"),
        (MethodsPlan, {"clips": {"lastfm": ["magic"]}}, "got 'magic'"),
        (SharesPlan, {}, "shares.lastfm must list increasing shares"),
        (SharesPlan, {"shares": {"lastfm": [0.5, 0.2]}}, "increasing"),
        (SharesPlan, {"shares": {"lastfm": [0.5, 1.2]}}, r"lie in \[0, 1\]"),
        (PairsNeededPlan, {"numbers": (100, 50)}, "numbers must increase"),
        (PairsNeededPlan, {"numbers": (1, 50)}, "from at least 2"),
        (AblationPlan, {"rows": {"lastfm": ["deeper"]}}, "rows.lastfm must be of .* got 'deeper'"),
    ],
)
def test_an_inconsistent_plan_is_rejected(kind, changes, message):
    valid = {} if kind is AblationPlan else {"systems": {"lastfm": ["ii"]}}
    with pytest.raises(ConfigError, match=message):
        kind(**{**valid, **changes})


def test_an_unknown_key_is_an_error(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('fold = 5\n[systems]\nlastfm = ["ii"]\n')
    with pytest.raises(ConfigError, match="unknown key 'fold'"):
        read_plan(MethodsPlan, "methods", file=file)


def test_a_change_leaves_the_other_settings():
    new = changed(SMALL, {"loss.name": "rince", "loss.strength": 0.3, "model.dim": 4})
    assert (new.loss.name, new.loss.strength, new.model.dim) == ("rince", 0.3, 4)
    assert replace(new, loss=SMALL.loss, model=SMALL.model) == SMALL
    assert changed(SMALL, {}) == SMALL
    with pytest.raises(ConfigError, match="unknown key 'lambda'"):
        changed(SMALL, {"loss.lambda": 1.0})


def test_the_systems_of_a_set_keep_their_order():
    assert [one.title for one in PLAN.systems_of("lastfm")] == ["infonce", "ii", "linear CCA"]
