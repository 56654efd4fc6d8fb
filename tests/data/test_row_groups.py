"""Groups and splits of stored rows equal those of the rows in memory, in few bytes a row."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from reelscore.data.digests import digests, first_equal
from reelscore.data.extraction import PairFeatures
from reelscore.data.extraction import groups_and_splits as of_rows
from reelscore.data.feature_set import FeatureSet, PairSettings
from reelscore.data.manifest import ManifestRow
from reelscore.data.pairs import SPLITS
from reelscore.data.streaming import StreamedPairs
from reelscore.errors import InputError

SETTINGS = PairSettings("films.csv", "light", "fast", "v", "m", 1, 1, 1, 0, 0, 0)
ONE = np.ones((1, 1), np.float32)


def item(
    number: int, line: int, *, group: str | None, split: str | None, video: str, music: str
) -> tuple[ManifestRow, PairFeatures]:
    key = f"{number % 7}{'/' if number % 2 else '-'}{number}.mp4"
    row = ManifestRow(Path(key), group=group, split=split, line=line, key=key)  # type: ignore[arg-type]
    return row, PairFeatures((ONE,), (ONE,), video, music, None, (), (1.0, 1.0), ())


def random_items(
    rng: np.random.Generator, size: int, *, num_names: int
) -> list[tuple[ManifestRow, PairFeatures]]:
    """Return rows of which some share lines, groups, videos or tracks; those of group g0 are in the test split."""
    found = []
    for number in range(size):
        group = f"g{rng.integers(num_names)}" if rng.random() < 0.4 else ""
        video = "test video" if group == "g0" else f"video {rng.integers(num_names)}"
        found.append(
            item(
                number,
                int(rng.integers(size)),
                group=group or None,
                split="test" if group == "g0" and rng.random() < 0.7 else None,
                video=video,
                music=f"music {rng.integers(num_names)}",
            )
        )
    return found


@pytest.mark.parametrize("num_names", [3, 60, 300])
@pytest.mark.parametrize("use_splits", [True, False])
def test_groups_and_splits_are_those_of_the_rows_in_memory(
    tmp_path: Path, num_names: int, use_splits: bool
) -> None:
    rng = np.random.default_rng(num_names)
    items = random_items(rng, 90, num_names=num_names)
    there = FeatureSet.create(tmp_path / "set", SETTINGS)
    for start in range(0, 90, 40):
        there.append(items[start : start + 40])
    items.sort(key=lambda one: (one[0].line, one[0].key.replace("/", "\0")))
    assert there.keys() == [row.key for row, _ in items]
    rows = [row for row, _ in items]
    contents = [(features.video_key, features.music_key) for _, features in items]
    for seed in (0, 1):
        group, split = of_rows(rows, contents, seed=seed, use_splits=use_splits)
        found, codes = there.groups_and_split_codes(seed=seed, use_splits=use_splits)
        np.testing.assert_array_equal(found, group)
        assert tuple(SPLITS[code] for code in codes) == split
    assert found.dtype == np.int32
    assert codes.dtype == np.int8


def test_rows_of_one_video_in_two_splits_are_rejected(tmp_path: Path) -> None:
    there = FeatureSet.create(tmp_path / "set", SETTINGS)
    there.append(
        [
            item(0, 5, group="a", split="val", video="same", music="x"),
            item(1, 3, group="b", split=None, video="same", music="y"),
            item(2, 4, group="b", split="train", video="other", music="z"),
        ]
    )
    with pytest.raises(InputError, match=r"lines 4 \(train\) and 5 \(val\) of the manifest share"):
        there.groups_and_splits()


def test_the_second_rows_of_a_key_do_not_count(tmp_path: Path) -> None:
    there = FeatureSet.create(tmp_path / "set", SETTINGS)
    items = [
        item(i, 10 - i, group=None, split="train", video=f"video {i}", music=f"music {i}") for i in range(6)
    ]
    there.append(items)
    again = [(dataclasses.replace(row, split="test"), features) for row, features in items[2:4]]
    with pytest.MonkeyPatch.context() as patch:  # two writers at once, each before the other's commit
        patch.setattr(there.table, "append", there.table._table.add)
        there.append(again)
    found = FeatureSet.open(tmp_path / "set")
    assert found.keys() == [row.key for row, _ in reversed(items)]
    group, split = found.groups_and_splits()
    assert group.tolist() == list(range(6))
    assert split == ("train",) * 6
    assert len(StreamedPairs.open(found)) == 6


def test_the_first_of_equal_texts_is_found() -> None:
    rng = np.random.default_rng(0)
    texts = [f"text {number}" for number in rng.integers(400, size=1000)]
    assert first_equal(digests(pa.array(texts))).tolist() == [texts.index(text) for text in texts]
    assert first_equal(digests(pa.array([], pa.string()))).tolist() == []
