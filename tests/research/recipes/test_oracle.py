"""The made world: its truth, its false negatives, its splits and its bytes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from reelscore.data.batching import iterate
from reelscore.errors import ConfigError
from research.recipes.recipe import Material
from research.recipes.synthetic import World, made_world, make
from research.runs.makers import maker_of
from research.runs.scoring import rank_both_ways
from research.studies.false_negatives_figures import frozen_reliability, measured_rate

SMALL = World(num_topics=10, per_topic=(6, 2, 3), columns=12, seed=4)


def pooled(material: Material) -> np.ndarray:
    return np.concatenate([draws[0] for draws in (*material.pairs.video, *material.pairs.music)])


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
def test_the_rate_of_false_negatives_in_training_batches_is_the_one_set(rate: float) -> None:
    assert measured_rate(World(), batch_size=32, rate=rate) == pytest.approx(rate, abs=0.004)


def test_the_batches_of_the_loop_hold_false_negatives_as_the_truth_counts_them() -> None:
    material = made_world(World())
    learn = material.pairs.where("train")
    assert material.suits is not None
    shares = []
    for epoch in range(4):
        for batch in iterate(learn, batch_size=32, rng=np.random.default_rng(epoch), label_rate=0.4):
            suits = material.suits(batch.index, batch.index)  # training pairs stand first in the world
            false = suits & (batch.group[:, None] != batch.group[None, :])
            shares.append(false.sum() / (32 * 31))
    assert np.mean(shares) == pytest.approx(0.4, abs=0.005)


def test_all_rates_are_one_world_and_one_seed_is_one_world() -> None:
    one, again = pooled(made_world(SMALL)), pooled(made_world(SMALL))
    assert one.tobytes() == again.tobytes()
    assert one.tobytes() != pooled(made_world(dataclasses.replace(SMALL, seed=5))).tobytes()
    # What training is told changes its groups and nothing that is seen.
    assert one.tobytes() == pooled(made_world(SMALL, knows="topics")).tobytes()


def test_the_splits_share_no_item_and_only_training_is_told() -> None:
    pairs = made_world(SMALL, knows="topics").pairs
    sizes = {part: len(pairs.where(part)) for part in ("train", "val", "test")}  # type: ignore[arg-type]
    assert sizes == {"train": 60, "val": 20, "test": 30}
    assert len({draws[0].tobytes() for draws in pairs.video}) == len(pairs)
    assert pairs.label is not None
    learn = pairs.where("train")
    assert learn.label is not None
    same_group = learn.group[:, None] == learn.group[None, :]
    assert (same_group == (learn.label[:, None] == learn.label[None, :])).all()
    for part in ("val", "test"):
        assert len(set(pairs.where(part).group.tolist())) == sizes[part]  # type: ignore[arg-type]


def test_map_against_the_truth_equals_its_loop_twin() -> None:
    material = made_world(SMALL)
    assert material.suits is not None
    index = np.flatnonzero(np.array(material.pairs.split) == "test")
    truth = material.suits(index, index)
    assert (truth == truth.T).all()
    rng = np.random.default_rng(0)
    video, music = rng.normal(size=(2, len(index), 5)).astype(np.float32)
    found = rank_both_ways(video, music, material, index)
    label = material.pairs.label
    assert label is not None
    for direction, queries, candidates in (
        ("video_to_music", video, music),
        ("music_to_video", music, video),
    ):
        told = found[direction].suiting
        assert told is not None
        for q in range(len(index)):
            order = sorted(range(len(index)), key=lambda c: -float(queries[q] @ candidates[c]))
            hits, precisions = 0, []
            for place, c in enumerate(order, start=1):
                if label[index[c]] == label[index[q]]:
                    hits += 1
                    precisions.append(hits / place)
            assert told[q] == pytest.approx(np.mean(precisions), abs=1e-12)


def test_frozen_features_know_more_of_the_truth_the_louder_it_is_but_never_all() -> None:
    quiet, loud = (frozen_reliability(dataclasses.replace(World(), topic=t)) for t in (1.0, 3.0))
    chance = 15 / 511
    for side in ("video", "music"):
        assert 2 * chance < quiet[side] < loud[side] < 1.0
    ours = frozen_reliability(World())
    assert all(0.3 < value < 0.9 for value in ours.values())  # neither nothing nor everything


def test_a_world_with_time_drifts_and_keeps_its_topic() -> None:
    material = made_world(dataclasses.replace(SMALL, num_segments=5))
    rows = material.pairs.video[0][0]
    assert rows.shape == (5, 12)
    assert not np.allclose(rows[0], rows[-1])


def test_a_recipe_makes_the_world_and_a_wrong_one_is_refused() -> None:
    recipe = {"kind": "latent", "world": {"num_topics": 10, "per_topic": [6, 2, 3], "columns": 12, "seed": 4}}
    maker = maker_of(recipe)
    assert maker.files(recipe, None) == ()
    assert (
        pooled(maker.make(recipe, None)).tobytes() == pooled(made_world(dataclasses.replace(SMALL))).tobytes()
    )
    with pytest.raises(ConfigError, match="unknown key"):
        make({"kind": "latent", "world": {"topics": 3}}, None)
    with pytest.raises(ConfigError, match="knows"):
        make({"kind": "latent", "knows": "everything"}, None)
    for wrong in ({"per_topic": (1, 1)}, {"shared_style": 2.0}, {"noise": -1.0}, {"num_topics": 0}):
        with pytest.raises(ConfigError, match="world"):
            dataclasses.replace(SMALL, **wrong)  # type: ignore[arg-type]
