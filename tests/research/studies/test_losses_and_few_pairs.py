"""`losses` and `few-pairs`: runs, rows and findings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reelscore.errors import ConfigError
from research.report.comparison import compare
from research.result import Result
from research.runs.tuning import set_recipe
from research.studies import few_pairs, losses
from support.research_sets import FEW_PAIRS_PLAN, LOSSES_PLAN, Listing, outcome

NUM_QUERIES = 200
SETS = ("emomv", "lastfm")


def with_recall(recall, *, method="train", seed=0, shift=0):
    """Return an outcome whose R@10 is `recall`; the hits move by `shift` queries a seed."""
    hits = np.roll(np.arange(NUM_QUERIES) < round(recall * NUM_QUERIES), seed * shift)
    return outcome(np.where(hits, 2, 40), seed=seed, method=method)


def seeds(recall, shift=0):
    return [with_recall(recall, seed=s, shift=shift) for s in (0, 1)]


@pytest.fixture
def scored():
    """Inter-intra is far above InfoNCE on emomv and a little below it on lastfm; CCA is best on lastfm."""
    return {
        ("emomv", "infonce"): seeds(0.20),
        ("emomv", "inter-intra"): seeds(0.40),
        ("emomv", "linear CCA"): [with_recall(0.30, method="cca")],
        ("lastfm", "infonce"): seeds(0.20),
        ("lastfm", "inter-intra"): seeds(0.19),
        ("lastfm", "linear CCA"): [with_recall(0.30, method="cca")],
    }


def result(scored):
    names = ("infonce", "debiased", "linear CCA")
    return Result("losses", compare(scored, lambda place: [(place[0], other) for other in names]))


def test_the_finding_counts_the_sets(scored):
    finding = losses.finding(result(scored))
    assert "between inter-intra and infonce: above zero on 1 of 2 (emomv)." in finding
    assert "between inter-intra and linear CCA: above zero on 1 of 2 (emomv), below zero on 1 of 2" in finding


def test_a_gain_within_its_interval_is_not_above_zero(scored):
    # One more hit under either seed, but on other queries: a higher mean, not beyond chance.
    scored["lastfm", "inter-intra"] = seeds(0.205, shift=17)
    assert "infonce: above zero on 1 of 2 (emomv)." in losses.finding(result(scored))


def test_rows_hold_means_and_paired_differences(scored):
    rows = {row.place: row for row in result(scored).rows}
    assert rows["emomv", "inter-intra"].estimate.mean == pytest.approx(0.4)
    assert rows["emomv", "inter-intra"].less("infonce").mean == pytest.approx(0.2)
    assert rows["lastfm", "inter-intra"].less("infonce").mean == pytest.approx(-0.01)
    assert rows["lastfm", "inter-intra"].less("linear CCA").mean == pytest.approx(-0.11)
    assert rows["emomv", "infonce"].less("debiased") is None
    assert rows["emomv", "infonce"].metrics["median_rank"] == 40
    assert (rows["emomv", "infonce"].num_runs, rows["emomv", "linear CCA"].num_runs) == (2, 1)


def test_a_failed_seed_leaves_the_others_paired(scored):
    scored["lastfm", "inter-intra"] = scored["lastfm", "inter-intra"][1:]
    rows = {row.place: row for row in result(scored).rows}
    assert rows["lastfm", "inter-intra"].num_runs == 1
    assert rows["lastfm", "inter-intra"].less("infonce").mean == pytest.approx(-0.01)


def test_an_unknown_linear_baseline_is_rejected():
    with pytest.raises(ConfigError, match="linear baseline must be one of cca, ridge"):
        losses.title_of("cca-train")


def shares(recalls, infonce):
    scored = {}
    for loss, values in (("inter-intra", recalls), ("infonce", infonce), ("linear CCA", infonce)):
        scored |= {
            (share, "lastfm", loss): seeds(r) for share, r in zip(("10%", "50%", "100%"), values, strict=True)
        }
    return Result("few-pairs", compare(scored, lambda place: [(*place[:-1], "infonce")]))


@pytest.mark.parametrize(
    ("recalls", "reached"),
    [((0.1, 0.3, 0.4), "50%"), ((0.1, 0.2, 0.3), "100%"), ((0.1, 0.2, 0.2), "no share")],
)
def test_the_finding_names_the_share_that_reaches_infonce_on_all_pairs(recalls, reached):
    finding = few_pairs.finding(shares(recalls, (0.1, 0.2, 0.3)))
    assert f"with: lastfm {reached}." in finding


def test_all_pairs_have_the_recipe_of_losses():
    plain = {"kind": "set", "name": "emomv"}
    assert few_pairs.share_recipe(FEW_PAIRS_PLAN, "emomv", 1.0, 1) == plain
    assert few_pairs.share_recipe(FEW_PAIRS_PLAN, "emomv", 0.5, 1) == {**plain, "share": 0.5, "draw": 1}
    rotating = replace(FEW_PAIRS_PLAN, folds=2)
    assert few_pairs.share_recipe(rotating, "emomv", 1.0, 1) == set_recipe(rotating, "emomv", 1)
    fold = {"fold": 1, "folds": 2}
    assert few_pairs.share_recipe(rotating, "emomv", 0.5, 1) == {**plain, **fold, "share": 0.5, "draw": 1}


def test_both_studies_search_the_same_runs():
    asked = []
    for study, plan in ((losses, LOSSES_PLAN), (few_pairs, FEW_PAIRS_PLAN)):
        listing = Listing()
        with pytest.raises(Listing.StopError):
            study.run(plan, listing)
        asked.append([run.key for run in listing.runs])
    assert asked[0] == asked[1]
