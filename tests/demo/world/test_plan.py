"""The plan of the synthetic data set."""

from __future__ import annotations

import numpy as np
import pytest

from reelscore.demo.world.plan import SPLITS, SUITABLE, WorldSize, compatibility, plan_world, points
from reelscore.errors import ConfigError


def test_the_plan_depends_on_the_seed_only() -> None:
    assert plan_world(seed=3) == plan_world(seed=3)
    assert plan_world(seed=3).videos != plan_world(seed=4).videos


@pytest.mark.parametrize("seed", range(5))
def test_a_video_has_several_suitable_tracks_and_a_track_several_videos(seed: int) -> None:
    plan = plan_world(seed=seed)
    for split in SPLITS:
        videos = [v for v in plan.videos if v.split == split]
        tracks = [t for t in plan.tracks if t.split == split]
        suitable = compatibility(points(videos), points(tracks)) >= SUITABLE
        assert np.median(suitable.sum(axis=1)) >= 2
        assert np.median(suitable.sum(axis=0)) >= 2
        assert suitable.mean() < 0.25


@pytest.mark.parametrize("seed", range(5))
def test_a_video_is_paired_with_a_suitable_track_of_its_split(seed: int) -> None:
    plan = plan_world(seed=seed)
    tracks = {t.name: t for t in plan.tracks}
    assert set(plan.pairs) == {v.name for v in plan.videos}
    paired = [tracks[plan.pairs[v.name]] for v in plan.videos]
    assert all(v.split == t.split for v, t in zip(plan.videos, paired, strict=True))
    truth = np.diag(compatibility(points(plan.videos), points(paired)))
    assert (truth >= SUITABLE).mean() > 0.95
    used = [plan.pairs[v.name] for v in plan.videos if v.split == "train"]
    assert len(set(used)) < len(used)  # some tracks are paired with several videos


def test_unseen_videos_differ_and_belong_to_no_split() -> None:
    plan = plan_world(seed=0)
    assert len({item.theme for item in plan.unseen}) == len(plan.unseen) == 3
    assert {item.split for item in plan.unseen} == {"new"}


def test_names_and_seeds_are_distinct() -> None:
    plan = plan_world(seed=0)
    items = [*plan.videos, *plan.tracks, *plan.unseen]
    assert len({i.name for i in items}) == len({i.seed for i in items}) == len(items)


def test_compatibility_falls_with_distance() -> None:
    here = np.zeros((1, 3))
    there = np.array([[0, 0, 0], [0.65, 0, 0], [0, 1.3, 0], [0.4, 0.4, 0.4]])
    got = compatibility(here, there)[0]
    np.testing.assert_allclose(got, [1, 0.5, 0.0625, 2 ** -(0.48 / 0.4225)])


def test_an_empty_split_is_rejected() -> None:
    with pytest.raises(ConfigError, match="at least one"):
        WorldSize(num_videos=(3, 0, 2))
