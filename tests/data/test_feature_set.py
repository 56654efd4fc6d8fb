"""A data set of features: rows once each, in the order of the manifest, equal to `extract_pairs`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reelscore.data import feature_table
from reelscore.data.extraction import PairFeatures, extract_pairs, prepare_pair
from reelscore.data.feature_set import FeatureSet
from reelscore.data.feature_table import FailedItem, FeatureTable
from reelscore.data.manifest import ManifestRow
from reelscore.data.pair_settings import PairSettings
from reelscore.encoders.spec import EncoderSpec
from reelscore.errors import ArtifactError, InputError, NotFoundError
from reelscore.text.spec import TextSpec
from support import worlds
from support.feature_sets import assert_same_pairs
from support.tiny_pack import write_tiny_pack

SETTINGS = PairSettings(
    "films.csv", "light", "fast", "video-1", "music-1", 5, 3, 4, 2, 0, 2, TextSpec("p"), "text-1", 6
)


def features(i: int) -> PairFeatures:
    rng = np.random.default_rng(i)

    def rows(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    return PairFeatures(
        video=tuple(rows(3, 4, 5)),
        music=tuple(rows(3, 4, 3)),
        video_key=f"video {i}",
        music_key=f"music {i % 4}",
        text=None if i % 3 == 0 else rows(1 + i % 2, 6),
        clips=tuple(rows(i % 3, 4, 5)),
        row_s=(0.1 * i, 0.3),
        notes=("odd",) * (i % 2),
    )


def items(numbers: range | list[int]) -> list[tuple[ManifestRow, PairFeatures]]:
    return [
        (
            ManifestRow(Path(f"{i}.mp4"), group="g" if i in (1, 2) else None, line=i, key=f"{i}.mp4"),
            features(i),
        )
        for i in numbers
    ]


def assert_equal(one: PairFeatures, other: PairFeatures) -> None:
    for name in ("video", "music", "clips"):
        ours, theirs = getattr(one, name), getattr(other, name)
        assert [(a.tobytes(), a.shape) for a in ours] == [(a.tobytes(), a.shape) for a in theirs]
    assert (one.text is None) == (other.text is None)
    if one.text is not None and other.text is not None:
        np.testing.assert_array_equal(one.text, other.text)
    for name in ("video_key", "music_key", "row_s", "notes"):
        assert getattr(one, name) == getattr(other, name)


def test_rows_are_read_by_number_in_the_order_of_the_manifest_however_they_were_written(
    tmp_path: Path,
) -> None:
    there = FeatureSet.create(tmp_path / "set", SETTINGS)
    for numbers in ([7, 3], [5], [0, 9, 1], [2, 4, 6, 8]):
        there.append(items(numbers))
    there.append(items([3, 8]))  # stored already
    again = FeatureSet.open(tmp_path / "set")
    assert again.settings == SETTINGS
    assert len(again) == 10
    assert again.keys() == [f"{i}.mp4" for i in range(10)]
    wanted = [4, 9, 4, 0, 2]
    for number, found in zip(wanted, again.take(wanted), strict=True):
        assert_equal(found, features(number))
    again.table.compact()
    for number, found in enumerate(again.take(range(10))):
        assert_equal(found, features(number))
    group, split = again.groups_and_splits()
    assert group[1] == group[2] != group[0]
    assert group[0] == group[4] == group[8]  # the same music
    assert split[0] == split[4] == split[8]


def test_rows_are_found_after_some_were_changed(tmp_path: Path) -> None:
    there = FeatureSet.create(tmp_path / "set", SETTINGS)
    for numbers in (range(6), range(6, 10)):
        there.append(items(numbers))
    changed = [replace(row, line=100 + row.line, group="new") for row, _ in items([1, 4, 8])]
    assert there.follow(changed) == 3
    order = [0, 2, 3, 5, 6, 7, 9, 1, 4, 8]
    for found in (there, FeatureSet.open(tmp_path / "set")):
        assert found.keys() == [f"{i}.mp4" for i in order]
        for number, item in zip(order, found.take(range(10)), strict=True):
            assert_equal(item, features(number))
        for number, item in zip([8, 0, 4, 9], found.take([9, 0, 8, 6]), strict=True):
            assert_equal(item, features(number))
        assert found.table.column("group").to_pylist()[-3:] == ["new"] * 3


def test_a_reader_keeps_its_version_until_it_is_refreshed(tmp_path: Path) -> None:
    writer = FeatureSet.create(tmp_path / "set", SETTINGS)
    writer.append(items([1, 2]))
    reader = FeatureSet.open(tmp_path / "set")
    assert len(reader) == 2
    writer.append(items([0]))
    assert reader.keys() == ["1.mp4", "2.mp4"]
    reader.table.refresh()
    assert reader.keys() == ["0.mp4", "1.mp4", "2.mp4"]
    assert_equal(reader.take([0])[0], features(0))


def test_two_writers_of_the_same_rows_leave_each_once(tmp_path: Path) -> None:
    one = FeatureSet.create(tmp_path / "set", SETTINGS)
    other = FeatureSet.open(tmp_path / "set")
    one.append(items([0, 1, 2]))
    other.append(items([1, 2, 3]))
    found = FeatureSet.open(tmp_path / "set")
    assert found.keys() == [f"{i}.mp4" for i in range(4)]
    assert found.table.column("key").to_pylist() == found.keys()


def test_failures_are_kept_by_key_until_they_are_cleared(tmp_path: Path) -> None:
    there = FeatureSet.create(tmp_path / "set", SETTINGS)
    there.table.record_failures([FailedItem("it's.mp4", "no sound", 1), FailedItem("1.mp4", "killed", 2)])
    there.table.record_failures([FailedItem("it's.mp4", "no sound", 2)])
    again = FeatureTable.open(tmp_path / "set", kind="pairs")
    assert again.failures() == [FailedItem("1.mp4", "killed", 2), FailedItem("it's.mp4", "no sound", 2)]
    there.table.clear_failures(["it's.mp4", "2.mp4"])
    assert again.failures() == [FailedItem("1.mp4", "killed", 2)]


def test_its_pairs_are_those_of_the_manifest(tmp_path: Path) -> None:
    films = [worlds.finished(tmp_path / f"{i}.mp4", i=i, seconds=46.0 if i == 1 else 1.0) for i in range(3)]
    films[1].with_suffix(".txt").write_text("Fast. Car car.", encoding="utf-8")
    pack = write_tiny_pack(tmp_path / "pack")
    rows = [ManifestRow(film, line=2 + i, key=film.name, split="test") for i, film in enumerate(films)]
    spec, words = EncoderSpec(), TextSpec(str(pack))
    settings = PairSettings.of(
        spec, name="films", num_segments=2, num_random_samples=1, seed=3, num_clips=1, words=words
    )
    work = prepare_pair(spec, str(tmp_path / "cache"), 2, 1, 3, words, 1, 3)
    there = FeatureSet.create(tmp_path / "set", settings)
    for i in (2, 0, 1):
        there.append([(rows[i], work((i, str(rows[i].video), str(rows[i].video), None)))])
    expected, failures = extract_pairs(
        rows,
        spec,
        name="films",
        cache_folder=tmp_path / "cache",
        num_segments=2,
        num_random_samples=1,
        seed=3,
        num_clips=1,
        clip_seed=3,
        words=words,
        workers=1,
    )
    assert not failures
    assert_same_pairs(there.pairs(), expected)
    assert [len(samples) for samples in there.pairs(num_random_samples=0).video] == [1, 1, 1]
    assert there.pairs(with_text=False, with_clips=False).text is None
    with pytest.raises(InputError, match="has 1 random samples of each file, expected 2"):
        there.pairs(num_random_samples=2)


def test_what_is_no_data_set_of_these_settings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="reelscore extract MANIFEST --out"):
        FeatureSet.open(tmp_path / "set")
    FeatureSet.create(tmp_path / "set", SETTINGS)
    with pytest.raises(InputError, match="has no rows"):
        FeatureSet.open(tmp_path / "set").pairs()
    FeatureSet.open_or_create(tmp_path / "set", SETTINGS)
    other = PairSettings(
        "films.csv", "light", "fast", "video-2", "music-1", 5, 3, 4, 2, 0, 2, TextSpec("p"), "text-1", 6
    )
    with pytest.raises(ArtifactError, match="extracted with video_encoder 'video-1', not 'video-2'"):
        FeatureSet.open_or_create(tmp_path / "set", other)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    with pytest.raises(ArtifactError, match=r"holds other files \(a.jpg\)"):
        FeatureSet.open_or_create(tmp_path / "photos", SETTINGS)
    with pytest.raises(InputError, match="is a file, expected a folder"):
        FeatureSet.open_or_create(tmp_path / "photos" / "a.jpg", SETTINGS)
    FeatureSet.open(tmp_path / "set").append(items([0]))
    for file in (tmp_path / "set" / "features.lance" / "data").iterdir():
        file.unlink()
    with pytest.raises(ArtifactError, match="cannot be read or written"):
        FeatureSet.open(tmp_path / "set").pairs()


def test_a_killed_creation_is_begun_again(tmp_path: Path) -> None:
    FeatureSet.create(tmp_path / "set", SETTINGS)
    for file in (tmp_path / "set" / "features.lance" / "_versions").iterdir():
        file.unlink()
    (tmp_path / "set" / "features.lance" / "_versions").rmdir()
    FeatureSet.open_or_create(tmp_path / "set", SETTINGS).append(items([0]))
    assert FeatureSet.open(tmp_path / "set").keys() == ["0.mp4"]


def test_a_large_table_has_an_index_of_its_keys_and_many_commits_are_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_table, "_INDEX_FROM", 20)
    monkeypatch.setattr(feature_table, "_COMPACT_FROM", 8)
    there = FeatureSet.create(tmp_path / "set", SETTINGS)
    for number in range(30):
        there.append(items([29 - number]))
        if number % 10 == 9:
            there.table.compact()
    table = there.table._table
    assert [index.columns for index in table.list_indices()] == [["key"]]
    assert table.stats()["fragment_stats"]["num_fragments"] < 8
    there.append(items(range(25, 35)))
    assert there.keys() == [f"{i}.mp4" for i in range(35)]
    assert table.count_rows() == 35
    for number, found in enumerate(there.take(range(35))):
        assert_equal(found, features(number))
