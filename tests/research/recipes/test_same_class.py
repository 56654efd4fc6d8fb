"""Pairs of one class, and labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reelscore.data.pairs import PairSet, Split
from reelscore.errors import ConfigError
from research.recipes import labelled, same_class
from research.runs.runner import builder_of

PARTS: tuple[Split, ...] = ("train",) * 24 + ("val",) * 12 + ("test",) * 12


def pair_set(*, labelled: bool = True) -> PairSet:
    """48 pairs of sequences of 7 to 12 rows; each cell names its item and row, music by negative numbers."""
    lengths = [7 + i % 6 for i in range(48)]
    rows = [np.stack([np.full(n, 100.0 * i), np.arange(n)], axis=1) for i, n in enumerate(lengths)]
    source = np.arange(48) // 2
    return PairSet(
        name="made",
        keys=tuple(f"item-{i}" for i in range(48)),
        video=tuple((r,) for r in rows),
        music=tuple((-r - 1,) for r in rows),
        group=np.array([i - 1 if i in (1, 25, 37) else i for i in range(48)]),
        split=PARTS,
        video_encoder="v",
        music_encoder="m",
        num_segments=4,
        label=np.arange(48) // 4 % 3 if labelled else None,
        source=source,
    )


def items(draws: tuple[tuple[np.ndarray, ...], ...]) -> list[int]:
    return [int(abs(d[0][0, 0]) // 100) for d in draws]


@pytest.mark.parametrize("side", ["video", "music"])
def test_same_class_pairs_are_of_one_class_one_split_and_two_sources(side: same_class.Side) -> None:
    pairs = pair_set()
    found = same_class.same_class(pairs, side=side)
    assert pairs.label is not None
    assert pairs.source is not None
    first, second = items(found.video), items(found.music)
    assert len(set(first + second)) == 2 * len(found)  # each item once
    assert len(found) >= 18
    for one, other, part in zip(first, second, found.split, strict=True):
        assert pairs.label[one] == pairs.label[other]
        assert pairs.split[one] == pairs.split[other] == part
        assert pairs.source[one] != pairs.source[other]
    # Pairs that share a group of an item are one group.
    for i in range(len(found)):
        for j in range(len(found)):
            shared = {int(pairs.group[n]) for n in (first[i], second[i])} & {
                int(pairs.group[n]) for n in (first[j], second[j])
            }
            if shared:
                assert found.group[i] == found.group[j]


@pytest.mark.parametrize("side", ["video", "music"])
def test_same_class_pairs_that_share_a_source_are_drawn_as_one(side: same_class.Side) -> None:
    pairs = pair_set()
    found = labelled.with_labels(same_class.same_class(pairs, side=side), oracle=True).pairs
    assert pairs.source is not None
    assert found.source is not None
    members = [
        {int(pairs.source[n]) for n in both}
        for both in zip(items(found.video), items(found.music), strict=True)
    ]
    joined = [
        (i, j) for i, one in enumerate(members) for j, other in enumerate(members) if i < j and one & other
    ]
    assert joined
    assert all(found.source[i] == found.source[j] for i, j in joined)
    assert 1 < len(set(found.source.tolist())) < len(found)
    # Sources are for the bootstrap only; groups make the hits.
    assert len(set(found.where("test").group.tolist())) > len(set(found.where("test").source.tolist()))  # type: ignore[union-attr]


def test_same_class_pairs_of_a_set_without_sources_have_none() -> None:
    assert same_class.same_class(replace(pair_set(), source=None), side="video").source is None


def test_same_class_pairs_depend_on_the_draw_alone() -> None:
    pairs = pair_set()
    one, again, other = (same_class.same_class(pairs, side="video", draw=d).keys for d in (0, 0, 1))
    assert one == again != other
    with pytest.raises(ConfigError, match="no labels"):
        same_class.same_class(pair_set(labelled=False), side="video")


def test_the_oracle_is_for_training_only() -> None:
    pairs = pair_set()
    plain, oracle = labelled.with_labels(pairs, oracle=False), labelled.with_labels(pairs, oracle=True)
    assert plain.pairs.group.tolist() == pairs.group.tolist()
    train = oracle.pairs.where("train")
    assert train.label is not None
    assert ((train.group[:, None] == train.group) == (train.label[:, None] == train.label)).all()
    for part in ("val", "test"):
        assert oracle.pairs.where(part).group.tolist() == pairs.where(part).group.tolist()  # type: ignore[arg-type]
    assert oracle.pairs.split == pairs.split
    index = np.flatnonzero(np.array(pairs.split) == "test")
    assert oracle.relevant is not None
    assert pairs.label is not None
    assert oracle.relevant(index, index).tolist() == [
        [bool(pairs.label[i] == pairs.label[j]) for j in index] for i in index
    ]


def test_without_labels_the_groups_are_the_ground_truth() -> None:
    pairs = pair_set(labelled=False)
    plain, oracle = labelled.with_labels(pairs, oracle=False), labelled.with_labels(pairs, oracle=True)
    for part in ("train", "val"):
        alone = plain.pairs.where(part).group  # type: ignore[arg-type]
        assert len(set(alone.tolist())) == len(alone)
    assert len(set(oracle.pairs.where("train").group.tolist())) == 23
    assert plain.pairs.where("test").group.tolist() == pairs.where("test").group.tolist()
    assert plain.relevant is not None
    assert plain.relevant(np.array([36, 36, 36]), np.array([36, 37, 38]))[0].tolist() == [True, True, False]


def test_recipes_of_real_sets_leak_nothing_between_splits(shared: Path) -> None:
    for recipe in (
        {"kind": "same-class", "name": "emomv", "side": "music", "oracle": True},
        {"kind": "labelled", "name": "tiktok"},
        {"kind": "same-class", "name": "emomv", "side": "music", "oracle": True, "fold": 1, "folds": 5},
        {"kind": "labelled", "name": "wikipedia", "oracle": True, "fold": 1, "folds": 5},
    ):
        pairs = builder_of(recipe).build(recipe, shared).pairs
        if recipe["kind"] == "same-class":
            split_of: dict[bytes, str] = {}
            for draws, part in zip((*pairs.video, *pairs.music), (*pairs.split, *pairs.split), strict=True):
                assert split_of.setdefault(draws[0].tobytes(), part) == part
        assert set(pairs.split) == {"train", "val", "test"}


@pytest.mark.parametrize(
    "recipe",
    [
        {"kind": "labelled", "name": "emomv", "knows": "truth"},
        {"kind": "labelled", "name": "emomv", "share": 0.5},
        {"kind": "same-class", "name": "emomv", "side": "sound"},
    ],
)
def test_wrong_recipes_are_rejected(recipe: dict[str, object], shared: Path) -> None:
    with pytest.raises(ConfigError):
        builder_of(recipe).build(recipe, shared)
