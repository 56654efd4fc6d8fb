"""Built-in plans, and the rejection of inconsistent ones."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from reelscore.errors import ConfigError
from reelscore.features.pooling import Pooling
from reelscore.losses import build_loss
from reelscore.losses.config import LossName, Structure
from research.plan_files import FewPairsPlan, LossesPlan, LossSpace, changed, read_plan, with_seeds
from research.registry import STUDIES
from support.research_sets import LOSSES, LOSSES_PLAN, SMALL

PLANS = [(LossesPlan, "losses"), (FewPairsPlan, "few-pairs")]


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("name", STUDIES)
def test_every_study_has_a_plan_and_a_short_plan(name, quick):
    plan = read_plan(STUDIES[name].plan, name, quick=quick)
    if name != "relevance":  # which trains nothing
        assert len(plan.seeds) >= (2 if quick else 5)


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize(("kind", "name"), PLANS)
def test_every_try_of_a_plan_can_be_built(kind, name, quick):
    plan = read_plan(kind, name, quick=quick)
    for space in plan.losses:
        for values in space.tries:
            build_loss(changed(plan.train, {"loss.name": space.name, **values}).loss)


def test_losses_covers_every_loss_on_four_sets():
    plan = read_plan(LossesPlan, "losses")
    assert {space.name for space in plan.losses} == set(get_args(LossName))
    assert set(plan.sets) == {"muvisync", "emomv", "tiktok", "lastfm"}
    assert {"cca", "ridge"} <= set(plan.linear)


def test_the_other_plans_cover_their_questions():
    few, tasks, false_negatives, ablation = (
        read_plan(STUDIES[name].plan, name) for name in ("few-pairs", "tasks", "false-negatives", "ablation")
    )
    assert few.shares == (0.05, 0.1, 0.25, 0.5, 1.0)
    assert (min(false_negatives.rates), max(false_negatives.rates), false_negatives.at) == (0.0, 0.6, 0.4)
    assert set(false_negatives.sets) == {"tiktok", "emomv"}
    assert {(task.family, task.name) for task in tasks.tasks} == {
        *(("cross-self", name) for name in ("muvisync", "emomv", "tiktok", "lastfm")),
        *(("cross-supervised", f"wikipedia, {kind}") for kind in ("pairs", "classes")),
        *(("uni-self", f"muvisync {side}") for side in ("music", "video")),
        *(("uni-supervised", name) for name in ("wikipedia images", "emomv music")),
    }
    assert set(ablation.forms) == {"kl", "mse", "order", "multiscale"}
    assert set(ablation.structures) == set(get_args(Structure))
    assert set(ablation.poolings) == set(get_args(Pooling))
    assert len(ablation.weights) >= 2
    assert len(ablation.segments) >= 3
    assert ablation.excerpts
    assert (ablation.set, set(ablation.part_sets)) == ("muvisync", {"muvisync", "emomv", "tiktok", "lastfm"})


@pytest.mark.parametrize("quick", [False, True])
def test_few_pairs_shares_its_search_with_losses(quick):
    few, losses = (read_plan(kind, name, quick=quick) for kind, name in PLANS[::-1])
    assert (few.search_seeds, few.train, few.seeds, few.sets) == (
        losses.search_seeds,
        losses.train,
        losses.seeds,
        losses.sets,
    )
    assert all(space in losses.losses for space in few.losses)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sets": ()}, "sets must list at least one"),
        ({"seeds": (1, 1)}, "none twice"),
        ({"seeds": (0, 100)}, "seed 100 is in seeds and in search_seeds"),
        ({"losses": (LOSSES[0], LOSSES[0])}, "none twice"),
        ({"losses": (LOSSES[0], replace(LOSSES[1], knobs={"seed": (3,)}))}, "same number of tries"),
        ({"losses": (replace(LOSSES[0], knobs={"loss.temperature": ()}),)}, "same number of tries"),
        ({"losses": (replace(LOSSES[0], knobs={"loss.lambda": (1.0,)}),)}, "unknown key 'lambda'"),
        ({"losses": (replace(LOSSES[0], knobs={"loss.temperature": 0.2}),)}, "must list the values"),
        ({"losses": (replace(LOSSES[0], knobs={"loss.temperature": (0.2, "warm")}),)}, "must be float"),
        ({"search_seeds": ()}, "search_seeds must list at least one"),
        ({"losses": (replace(LOSSES[0], name="magic"),)}, "'magic'"),
    ],
)
def test_an_inconsistent_plan_is_rejected(changes, message):
    with pytest.raises(ConfigError, match=message):
        replace(LOSSES_PLAN, **changes)


@pytest.mark.parametrize("shares", [(0.5,), (1.0, 0.5), (0.0, 1.0), (0.5, 0.5, 1.0)])
def test_shares_increase_to_one(shares):
    with pytest.raises(ConfigError, match="shares"):
        FewPairsPlan(sets=("lastfm",), seeds=(0,), losses=LOSSES, shares=shares)


def test_an_unknown_key_is_an_error(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('sets = ["lastfm"]\nseeds = [0]\nloses = []\n')
    with pytest.raises(ConfigError, match="loses"):
        read_plan(LossesPlan, "losses", file=file)


def test_a_change_leaves_the_other_settings():
    new = changed(SMALL, {"loss.name": "rince", "loss.strength": 0.3, "model.dim": 4})
    assert (new.loss.name, new.loss.strength, new.model.dim) == ("rince", 0.3, 4)
    assert replace(new, loss=SMALL.loss, model=SMALL.model) == SMALL
    assert changed(SMALL, {}) == SMALL


def test_labels_distinguish_two_spaces_of_one_loss():
    forms = (LOSSES[1], replace(LOSSES[1], label="inter-intra, mse"))
    assert [space.title for space in replace(LOSSES_PLAN, losses=forms).losses] == [
        "inter-intra",
        "inter-intra, mse",
    ]
    assert LossSpace("infonce", {"loss.temperature": (0.1,)}).title == "infonce"


@pytest.mark.parametrize(("number", "folds"), [(1, 1), (3, 3), (6, 3), (7, 1), (10, 5)])
def test_the_number_of_folds_divides_the_number_of_seeds(number: int, folds: int) -> None:
    plan = with_seeds(read_plan(LossesPlan, "losses"), number)
    assert (plan.seeds, plan.folds) == (tuple(range(number)), folds)
    assert with_seeds(read_plan(STUDIES["false-negatives"].plan, "false-negatives"), number).seeds == tuple(
        range(number)
    )
