"""Synthetic data: ground truth, rate of false negatives, splits and bytes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from reelscore.data.batching import iterate
from reelscore.errors import ConfigError
from research.recipes.recipe import RunData
from research.recipes.synthetic import SyntheticSettings, synthetic_data
from research.runs.runner import builder_of
from research.runs.scoring import rank_both_ways
from research.studies.false_negatives_statistics import frozen_map, measured_rate

SMALL = SyntheticSettings(num_topics=10, per_topic=(6, 2, 3), columns=12, seed=4)


def pooled(run_data: RunData) -> np.ndarray:
    return np.concatenate([draws[0] for draws in (*run_data.pairs.video, *run_data.pairs.music)])


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
def test_training_batches_have_the_configured_rate_of_false_negatives(rate: float) -> None:
    assert measured_rate(SyntheticSettings(), batch_size=32, rate=rate) == pytest.approx(rate, abs=0.004)


def test_the_batches_of_training_have_the_rate_by_the_ground_truth() -> None:
    run_data = synthetic_data(SyntheticSettings())
    train = run_data.pairs.where("train")
    assert run_data.relevant is not None
    shares = []
    for epoch in range(4):
        for batch in iterate(train, batch_size=32, rng=np.random.default_rng(epoch), label_rate=0.4):
            relevant = run_data.relevant(batch.index, batch.index)  # the training pairs come first
            false = relevant & (batch.group[:, None] != batch.group[None, :])
            shares.append(false.sum() / (32 * 31))
    assert np.mean(shares) == pytest.approx(0.4, abs=0.005)


def test_equal_settings_give_equal_bytes() -> None:
    one, again = pooled(synthetic_data(SMALL)), pooled(synthetic_data(SMALL))
    assert one.tobytes() == again.tobytes()
    assert one.tobytes() != pooled(synthetic_data(dataclasses.replace(SMALL, seed=5))).tobytes()
    # The oracle changes the groups of training and no feature.
    assert one.tobytes() == pooled(synthetic_data(SMALL, oracle=True)).tobytes()


def test_the_splits_share_no_item_and_the_oracle_is_for_training_only() -> None:
    pairs = synthetic_data(SMALL, oracle=True).pairs
    sizes = {part: len(pairs.where(part)) for part in ("train", "val", "test")}  # type: ignore[arg-type]
    assert sizes == {"train": 60, "val": 20, "test": 30}
    assert len({draws[0].tobytes() for draws in pairs.video}) == len(pairs)
    assert pairs.label is not None
    train = pairs.where("train")
    assert train.label is not None
    same_group = train.group[:, None] == train.group[None, :]
    assert (same_group == (train.label[:, None] == train.label[None, :])).all()
    for part in ("val", "test"):
        assert len(set(pairs.where(part).group.tolist())) == sizes[part]  # type: ignore[arg-type]


def test_map_by_the_ground_truth_equals_a_loop() -> None:
    run_data = synthetic_data(SMALL)
    assert run_data.relevant is not None
    index = np.flatnonzero(np.array(run_data.pairs.split) == "test")
    relevant = run_data.relevant(index, index)
    assert (relevant == relevant.T).all()
    rng = np.random.default_rng(0)
    video, music = rng.normal(size=(2, len(index), 5)).astype(np.float32)
    found = rank_both_ways(video, music, run_data, index)
    label = run_data.pairs.label
    assert label is not None
    for direction, queries, candidates in (
        ("video_to_music", video, music),
        ("music_to_video", music, video),
    ):
        truth = found[direction].truth
        assert truth is not None
        for q in range(len(index)):
            order = sorted(range(len(index)), key=lambda c: -float(queries[q] @ candidates[c]))
            hits, precisions = 0, []
            for rank, c in enumerate(order, start=1):
                if label[index[c]] == label[index[q]]:
                    hits += 1
                    precisions.append(hits / rank)
            assert truth[q] == pytest.approx(np.mean(precisions), abs=1e-12)


def test_a_larger_topic_scale_raises_the_map_of_frozen_features() -> None:
    weak, strong = (frozen_map(dataclasses.replace(SyntheticSettings(), topic=t)) for t in (1.0, 3.0))
    chance = 15 / 511
    for side in ("video", "music"):
        assert 2 * chance < weak[side] < strong[side] < 1.0
    assert all(0.3 < value < 0.9 for value in frozen_map(SyntheticSettings()).values())


def test_sequences_drift() -> None:
    run_data = synthetic_data(dataclasses.replace(SMALL, num_segments=5))
    rows = run_data.pairs.video[0][0]
    assert rows.shape == (5, 12)
    assert not np.allclose(rows[0], rows[-1])


def test_a_recipe_builds_the_data_and_a_wrong_one_is_rejected() -> None:
    recipe = {
        "kind": "synthetic",
        "settings": {"num_topics": 10, "per_topic": [6, 2, 3], "columns": 12, "seed": 4},
    }
    builder = builder_of(recipe)
    assert builder.files(recipe, None) == ()
    assert (
        pooled(builder.build(recipe, None)).tobytes()
        == pooled(synthetic_data(dataclasses.replace(SMALL))).tobytes()
    )
    with pytest.raises(ConfigError, match="unknown key"):
        builder.build({"kind": "synthetic", "settings": {"topics": 3}}, None)
    with pytest.raises(ConfigError, match="unknown key 'knows'"):
        builder_of({"kind": "synthetic", "knows": "everything"})
    for wrong in ({"per_topic": (1, 1)}, {"shared_style": 2.0}, {"noise": -1.0}, {"num_topics": 0}):
        with pytest.raises(ConfigError, match="synthetic data"):
            dataclasses.replace(SMALL, **wrong)  # type: ignore[arg-type]
