"""Other views of a set: halves, classmates, pieces, and what training is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reelscore.data.pairs import PairSet, Split
from reelscore.errors import ConfigError
from research.recipes import derived as views
from research.recipes import oracle as told
from research.runs.makers import maker_of

PARTS: tuple[Split, ...] = ("train",) * 24 + ("val",) * 12 + ("test",) * 12


def made(*, labelled: bool = True) -> PairSet:
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
def test_halves_are_two_windows_of_one_item_in_its_split(side: views.Side) -> None:
    pairs = made()
    found = views.halves(pairs, side=side)
    assert found.split == pairs.split
    assert found.video_encoder == found.music_encoder == side[0]
    whole = pairs.video if side == "video" else pairs.music
    for first, second, both in zip(found.video, found.music, whole, strict=True):
        assert np.concatenate([first[0], second[0]]).tolist() == both[0].tolist()
        assert abs(len(first[0]) - len(second[0])) <= 1


def test_items_of_a_single_row_have_no_halves() -> None:
    pairs = made()
    short = views.excerpt(pairs, rows=1, where="middle")
    with pytest.raises(Exception, match="holds no pairs"):
        views.halves(short, side="video")


@pytest.mark.parametrize("side", ["video", "music"])
def test_classmates_are_of_one_class_one_split_and_two_sources(side: views.Side) -> None:
    pairs = made()
    found = views.classmates(pairs, side=side)
    assert pairs.label is not None
    assert pairs.source is not None
    first, second = items(found.video), items(found.music)
    assert len(set(first + second)) == 2 * len(found)  # each item once
    assert len(found) >= 18
    for one, other, part in zip(first, second, found.split, strict=True):
        assert pairs.label[one] == pairs.label[other]
        assert pairs.split[one] == pairs.split[other] == part
        assert pairs.source[one] != pairs.source[other]
    # Pairs whose members share a group are one group.
    for i in range(len(found)):
        for j in range(len(found)):
            shared = {int(pairs.group[n]) for n in (first[i], second[i])} & {
                int(pairs.group[n]) for n in (first[j], second[j])
            }
            if shared:
                assert found.group[i] == found.group[j]


@pytest.mark.parametrize("side", ["video", "music"])
def test_classmates_that_share_a_source_are_drawn_as_one(side: views.Side) -> None:
    pairs = made()
    found = told.told(views.classmates(pairs, side=side), all_of_it=True).pairs
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
    # What is drawn together in a bootstrap is not what makes a hit, and moves nobody to another split.
    assert len(set(found.where("test").group.tolist())) > len(set(found.where("test").source.tolist()))  # type: ignore[union-attr]


def test_classmates_of_a_set_without_sources_have_none() -> None:
    assert views.classmates(replace(made(), source=None), side="video").source is None


def test_classmates_differ_by_draw_and_not_by_chance() -> None:
    pairs = made()
    one, again, other = (views.classmates(pairs, side="video", draw=d).keys for d in (0, 0, 1))
    assert one == again != other
    with pytest.raises(ConfigError, match="no classes"):
        views.classmates(made(labelled=False), side="video")


def test_a_piece_is_continuous_and_a_spread_covers_the_whole() -> None:
    pairs = made()
    for where in ("middle", "anywhere", "spread"):
        found = views.excerpt(pairs, rows=4, where=where)  # type: ignore[arg-type]
        again = views.excerpt(pairs, rows=4, where=where)  # type: ignore[arg-type]
        assert [d[0].tobytes() for d in found.video] == [d[0].tobytes() for d in again.video]
        for i, (video, music) in enumerate(zip(found.video, found.music, strict=True)):
            at = video[0][:, 1]
            assert (music[0][:, 1] == -at - 1).all()  # both sides are cut alike
            length = len(pairs.video[i][0])
            if where == "spread":
                assert at[0] < length / 4 <= 3 * length / 4 <= at[-1]
            else:
                assert np.diff(at).tolist() == [1, 1, 1]
    assert found.split == pairs.split
    places = [d[0][0, 1] for d in views.excerpt(pairs, rows=4, where="anywhere", draw=1).video]
    assert places != [d[0][0, 1] for d in views.excerpt(pairs, rows=4, where="anywhere", draw=2).video]
    assert len(views.excerpt(pairs, rows=10, where="middle").video[0][0]) == 7  # shorter ones stay whole


def test_what_training_is_told_stays_in_training() -> None:
    pairs = made()
    hidden, shown = told.told(pairs, all_of_it=False), told.told(pairs, all_of_it=True)
    assert hidden.pairs.group.tolist() == pairs.group.tolist()
    learn = shown.pairs.where("train")
    assert learn.label is not None
    assert ((learn.group[:, None] == learn.group) == (learn.label[:, None] == learn.label)).all()
    for part in ("val", "test"):
        assert shown.pairs.where(part).group.tolist() == pairs.where(part).group.tolist()  # type: ignore[arg-type]
    assert shown.pairs.split == pairs.split
    index = np.flatnonzero(np.array(pairs.split) == "test")
    assert shown.suits is not None
    assert pairs.label is not None
    assert shown.suits(index, index).tolist() == [
        [bool(pairs.label[i] == pairs.label[j]) for j in index] for i in index
    ]


def test_without_classes_the_groups_are_the_truth_and_can_be_hidden() -> None:
    pairs = made(labelled=False)
    hidden, shown = told.told(pairs, all_of_it=False), told.told(pairs, all_of_it=True)
    for part in ("train", "val"):
        alone = hidden.pairs.where(part).group  # type: ignore[arg-type]
        assert len(set(alone.tolist())) == len(alone)
    assert len(set(shown.pairs.where("train").group.tolist())) == 23
    assert hidden.pairs.where("test").group.tolist() == pairs.where("test").group.tolist()
    assert hidden.suits is not None
    assert hidden.suits(np.array([36, 36, 36]), np.array([36, 37, 38]))[0].tolist() == [True, True, False]


def test_recipes_of_real_sets_leak_nothing_between_splits(shared: Path) -> None:
    for recipe in (
        {"kind": "halves", "name": "muvisync", "side": "music"},
        {"kind": "classmates", "name": "emomv", "side": "music", "knows": "truth"},
        {"kind": "classmates", "name": "wikipedia", "side": "video", "knows": "truth"},
        {"kind": "told", "name": "tiktok", "knows": "pairs"},
        {"kind": "classmates", "name": "emomv", "side": "music", "knows": "truth", "fold": 1, "folds": 5},
        {"kind": "told", "name": "wikipedia", "knows": "truth", "fold": 1, "folds": 5},
    ):
        pairs = maker_of(recipe).make(recipe, shared).pairs
        if recipe["kind"] == "classmates":
            split_of: dict[bytes, str] = {}
            for draws, part in zip((*pairs.video, *pairs.music), (*pairs.split, *pairs.split), strict=True):
                assert split_of.setdefault(draws[0].tobytes(), part) == part
        assert set(pairs.split) == {"train", "val", "test"}


def test_a_view_may_rotate_its_test_part_and_validation_stays(shared: Path) -> None:
    recipe = {"kind": "halves", "name": "muvisync", "side": "music"}
    keys = [
        [set(made.pairs.where(part).keys) for part in ("val", "test")]
        for fold in (0, 1)
        if (made := maker_of(recipe).make({**recipe, "fold": fold, "folds": 5}, shared))
    ]
    assert keys[0][0] == keys[1][0]
    assert not keys[0][1] & keys[1][1]


@pytest.mark.parametrize(
    "recipe",
    [
        {"kind": "told", "name": "emomv", "knows": "all"},
        {"kind": "told", "name": "emomv", "share": 0.5},
        {"kind": "halves", "name": "muvisync", "side": "sound"},
        {"kind": "excerpt", "name": "muvisync", "rows": 0, "where": "middle"},
        {"kind": "excerpt", "name": "muvisync", "rows": 4, "where": "nowhere"},
    ],
)
def test_wrong_recipes_are_refused(recipe: dict[str, object], shared: Path) -> None:
    with pytest.raises(ConfigError):
        maker_of(recipe).make(recipe, shared)
