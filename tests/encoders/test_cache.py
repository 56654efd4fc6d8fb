"""The feature cache: entries, keys, damage and concurrent writers."""

from __future__ import annotations

import multiprocessing

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reelscore.encoders.cache import FeatureCache
from reelscore.errors import ArtifactError
from reelscore.features.sampling import global_sparse
from reelscore.types import FeatureSequence

KEY = {"recipe": "light-1-fast", "sampling": "gs-4"}
CONTENT = "ab" * 20


def sequence(seed=0, columns=("a", "b", "c"), num_segments=4):
    values = np.random.default_rng(seed).standard_normal((num_segments, len(columns or "abc")))
    return FeatureSequence(
        values.astype(np.float32), global_sparse(9.7, num_segments=num_segments), "light-1", columns
    )


def same(one, two):
    return (
        one.values.tobytes() == two.values.tobytes()
        and one.segments == two.segments
        and one.encoder == two.encoder
        and one.columns == two.columns
    )


@pytest.mark.parametrize("columns", [("a", "b", "c"), None, ("größe_1", "b", "c")])
def test_what_went_in_comes_out(tmp_path, columns):
    cache = FeatureCache(tmp_path)
    assert cache.get(CONTENT, **KEY) is None
    cache.put(CONTENT, sequence(columns=columns), **KEY)
    assert same(cache.get(CONTENT, **KEY), sequence(columns=columns))
    assert cache.corrupt == []


@pytest.mark.parametrize(
    "other",
    [
        ("cd" * 20, KEY),
        (CONTENT, {**KEY, "recipe": "light-1-exact"}),
        (CONTENT, {**KEY, "sampling": "gs-5"}),
        (CONTENT + "light", {"recipe": "-1-fast", "sampling": "gs-4"}),
    ],
)
def test_another_content_recipe_or_sampling_is_another_entry(tmp_path, other):
    cache = FeatureCache(tmp_path)
    cache.put(CONTENT, sequence(), **KEY)
    content, key = other
    assert cache.get(content, **key) is None


def test_the_same_entry_is_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        FeatureCache(tmp_path / name).put(CONTENT, sequence(), **KEY)
    one, two = (FeatureCache(tmp_path / n).path_of(CONTENT, **KEY).read_bytes() for n in ("one", "two"))
    assert one == two


def test_entries_are_spread_over_folders_and_leave_nothing_else(tmp_path):
    cache = FeatureCache(tmp_path)
    for n in range(40):
        cache.put(f"{n:040x}", sequence(), **KEY)
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert len(files) == 40
    assert all(p.suffix == ".npz" and p.parent.name == p.name[:2] for p in files)
    assert len({p.parent for p in files}) > 10


@given(data=st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_entry_counts_as_absent_or_is_still_right(tmp_path, data):
    cache = FeatureCache(tmp_path)
    cache.put(CONTENT, sequence(), **KEY)
    path = cache.path_of(CONTENT, **KEY)
    stored = bytearray(path.read_bytes())
    how = data.draw(st.sampled_from(["flip", "cut", "grow"]))
    at = data.draw(st.integers(0, len(stored) - 1))
    if how == "flip":
        stored[at] ^= data.draw(st.integers(1, 255))
    elif how == "cut":
        del stored[at:]
    else:
        stored[at:at] = data.draw(st.binary(min_size=1, max_size=20))
    path.write_bytes(stored)
    found = cache.get(CONTENT, **KEY)
    assert found is None or same(found, sequence())
    assert cache.corrupt == ([] if found is not None else [path])
    cache.put(CONTENT, sequence(1), **KEY)
    assert same(cache.get(CONTENT, **KEY), sequence(1))


def test_an_entry_in_anothers_place_counts_as_absent(tmp_path):
    cache = FeatureCache(tmp_path)
    cache.put(CONTENT, sequence(), **KEY)
    other = cache.path_of("cd" * 20, **KEY)
    other.parent.mkdir(parents=True, exist_ok=True)
    other.write_bytes(cache.path_of(CONTENT, **KEY).read_bytes())
    assert cache.get("cd" * 20, **KEY) is None
    assert cache.corrupt == [other]


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ArtifactError, match=r"feature cache .* must be writable"):
        FeatureCache(tmp_path / "file").put(CONTENT, sequence(), **KEY)


def _write_often(folder, seed):
    cache = FeatureCache(folder)
    for _ in range(25):
        cache.put(CONTENT, sequence(seed), **KEY)
        found = cache.get(CONTENT, **KEY)
        assert found is not None
        assert same(found, sequence(1)) or same(found, sequence(2))
    assert cache.corrupt == []


def test_two_processes_at_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_often, args=(tmp_path, seed)) for seed in (1, 2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert len([p for p in tmp_path.rglob("*") if p.is_file()]) == 1
