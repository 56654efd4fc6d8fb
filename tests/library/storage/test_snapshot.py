"""The memory-mapped snapshot against the store."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from reelscore.errors import ArtifactError, NotFoundError
from reelscore.library.storage.generations import newest_version
from reelscore.library.storage.open import open_for_search
from reelscore.library.storage.snapshot import Snapshot
from reelscore.library.storage.store import Store
from support.library_entries import make_entry, make_meta, make_unit


def agree(library, unit, where=None):
    snapshot, store = Snapshot.open(library), Store.open(library)
    assert snapshot is not None
    assert (len(snapshot), snapshot.meta) == (len(store), store.meta)
    for seed in range(3):
        query = unit(seed + 40_000, 16)
        found = snapshot.search(query, 12, where=where)
        assert found == store.search(query, 12, where=where)
    keys = [*store.keys(), "no such"]
    rows, others = snapshot.embeddings(keys), store.embeddings(keys)
    assert set(rows) == set(others) == set(store.keys())
    assert all(np.array_equal(rows[key], others[key]) for key in rows)
    assert store.embeddings([]) == {}
    facts = snapshot.facts(keys)
    assert facts == store.facts(keys)
    assert list(facts) == keys[:-1]
    assert snapshot.columns() == store.columns()
    moments, stored = snapshot.moments(keys), store.moments(keys)
    assert list(moments) == keys[:-1]
    assert sorted(stored) == keys[:-1]
    for key in moments:
        for array, other in zip(moments[key], stored[key], strict=True):
            assert (array.dtype, array.tobytes()) == (other.dtype, other.tobytes())


def test_snapshot_and_store_agree_to_the_byte(library, unit):
    agree(library, unit)
    agree(library, unit, "artist = 'Artist 2' AND duration_s >= 70")


def test_snapshot_follows_every_kind_of_write(library, entry, meta, unit):
    with Store.open(library) as store:
        store.upsert([entry(3, title="new title"), entry(60)])
    agree(library, unit)
    with Store.open(library) as store:
        store.remove([entry(i).track.key for i in range(5)])
    agree(library, unit)
    with Store.open(library) as store:
        store.relocate(entry(7).track.key, "/else", 1, 2)
    agree(library, unit)
    with Store.open(library) as store:
        store.optimize()
    agree(library, unit)
    with Store.open(library) as store:
        store.upsert([entry(7, model=5)])
        store.upsert([entry(8, model=5)])
    agree(library, unit)
    Store.open(library).replace(meta(1), [entry(i, model=1) for i in range(9)])
    agree(library, unit)
    Store.open(library).replace(meta(2), [])
    agree(library, unit)


def test_moments_that_stay_are_not_written_again(library, entry, unit):
    files = {f: f.stat().st_mtime_ns for f in (library / "snapshot").glob("moments-*")}
    with Store.open(library) as store:
        store.upsert([entry(80)])
    assert {f: f.stat().st_mtime_ns for f in files} == files
    assert len(list((library / "snapshot").glob("moments-*"))) == len(files) + 3
    agree(library, unit)


def test_parts_stay_few_and_dead_moments_go(library, entry, unit):
    for i in range(100, 120):
        with Store.open(library) as store:
            store.upsert([entry(i)])
    assert len(Snapshot.open(library).parts) <= 16
    with Store.open(library) as store:
        store.remove([entry(i).track.key for i in range(39)])
    snapshot = Snapshot.open(library)
    assert sum(len(part.moments) for part in snapshot.parts) == snapshot.places["num_moments"].sum()
    agree(library, unit)


def test_of_many_parts_only_the_small_ones_are_written_again(library, entry, unit):
    first = {file.name for file in (library / "snapshot").glob("moments-*")}
    for i in range(100, 120):
        with Store.open(library) as store:
            store.upsert([entry(i)])
    assert first <= {file.name for file in (library / "snapshot").glob("moments-*")}
    agree(library, unit)


def test_vectors_are_appended_after_what_counts(library, entry, unit):
    (file,) = (library / "snapshot").glob("embeddings-*.f32")
    before, content = Snapshot.open(library), file.read_bytes()
    answer = before.search(unit(0, 16), 12)
    file.write_bytes(content + bytes(99))  # a writer was killed
    agree(library, unit)
    with Store.open(library) as store:
        store.upsert([entry(80), entry(7, model=3)])
        store.remove([entry(5).track.key])
    assert file.read_bytes()[: len(content)] == content
    assert file.stat().st_size == len(content) + 2 * 16 * 4
    agree(library, unit)
    assert before.search(unit(0, 16), 12) == answer
    with Store.open(library) as store:
        store.remove([entry(i).track.key for i in range(30)])
    assert not file.exists()  # more than half of it was of removed tracks
    agree(library, unit)


def test_a_stale_snapshot_is_not_used_and_the_next_reader_replaces_it(library, entry, unit):
    with Store.open(library) as store:
        store.upsert([entry(50)])
        assert Snapshot.open(library) is None  # written at the end
        assert isinstance(open_for_search(library), Store)  # not by readers while a writer is open
        assert Snapshot.open(library) is None
    shutil.rmtree(library / "snapshot")
    assert isinstance(open_for_search(library), Store)
    assert isinstance(open_for_search(library), Snapshot)
    agree(library, unit)


def test_an_open_snapshot_survives_the_next(library, entry, unit):
    before = Snapshot.open(library)
    answer = before.search(unit(0, 16), 5)
    with Store.open(library) as store:
        store.replace(store.meta, [entry(99)])
    assert before.search(unit(0, 16), 5) == answer
    assert len(before.moments([answer[0][0].key])) == 1


def test_newest_version_is_lances_own(library, entry):
    with Store.open(library) as store:
        for i in range(3):
            store.upsert([entry(50 + i)])
            assert newest_version(library, 1) == store._table.version
    assert newest_version(library, 7) is None


def test_searching_a_snapshot_loads_neither_lancedb_nor_arrow(library):
    code = (
        "import sys, numpy as np\n"
        "from reelscore.library.storage.open import open_for_search\n"
        "q = np.zeros(16, np.float32); q[0] = 1\n"
        "s = open_for_search(sys.argv[1]); s.moments([t.key for t, _ in s.search(q, 3)])\n"
        "print(sorted({'lancedb', 'pyarrow', 'pandas', 'torch', 'av'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, library], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_library_is_not_found(tmp_path):
    with pytest.raises(NotFoundError, match="reelscore add"):
        open_for_search(tmp_path / "nowhere")


@pytest.mark.parametrize("damage", ["cut", "flip", "remove", "empty"])
def test_a_damaged_snapshot_is_never_believed(library, unit, damage):
    """Damage each file in turn: the snapshot is skipped or raises, and answers stay right."""
    store = Store.open(library)
    query = unit(0, 16)
    expected = store.search(query, 40)
    moments = store.moments(store.keys())
    files = sorted(f for f in (library / "snapshot").rglob("*") if f.is_file())
    assert len(files) == 10
    for file in files:
        whole = file.read_bytes()
        if damage == "remove":
            file.unlink()
        else:
            broken = bytearray(whole)
            broken[len(broken) // 2 + 1] ^= 0x7F
            file.write_bytes({"cut": whole[:-9], "flip": bytes(broken), "empty": b""}[damage])
        try:
            snapshot = Snapshot.open(library)
            if snapshot is not None:
                assert [t for t, _ in snapshot.search(query, 40)] == [t for t, _ in expected], file
                for key, (rows, starts_s, _) in snapshot.moments(list(moments)).items():
                    assert np.allclose(rows, moments[key][0], atol=0.01), file
                    assert starts_s.shape == moments[key][1].shape
        except ArtifactError as error:
            assert "Delete that folder" in str(error)  # noqa: PT017
        file.write_bytes(whole)
    assert Snapshot.open(library) is not None


def test_a_snapshot_of_a_newer_format_is_passed_over(library):
    file = library / "snapshot" / "current.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 99}))
    assert Snapshot.open(library) is None


@pytest.fixture
def tagged(tmp_path):
    """A library of 12 tracks that keeps tag scores; two of them have none."""
    path = tmp_path / "tagged"
    with Store.create(path, dataclasses.replace(make_meta(), tags_fingerprint="tags-1")) as store:
        store.upsert(
            make_entry(i, tag_scores=None if i % 5 == 2 else make_unit(90_000 + i, 7)) for i in range(12)
        )
    return path


def test_tag_scores_of_snapshot_and_store_agree(tagged, unit):
    agree(tagged, unit)
    snapshot, store = Snapshot.open(tagged), Store.open(tagged)
    query = unit(3, 7)
    scores = snapshot.tag_cosines(query)
    assert np.array_equal(scores, store.tag_cosines(query), equal_nan=True)
    keys = snapshot.all_rows().text("key")
    assert keys == store.all_rows().text("key") == store.keys()
    expected = {
        e.track.key: np.nan if e.tag_scores is None else e.tag_scores @ query for e in store.entries()
    }
    assert np.allclose(scores, [expected[key] for key in keys], equal_nan=True, atol=1e-6)
    assert np.isnan(scores).sum() == store.count_without_tags() == 2
    all_cosines = dict(zip(keys, snapshot.cosines(unit(4, 16)), strict=True))
    found = snapshot.search(unit(4, 16), 12)
    assert found == [(track, all_cosines[track.key]) for track, _ in found]


def test_tag_scores_follow_writes(tagged, unit):
    with Store.open(tagged) as store:
        store.upsert([make_entry(2, tag_scores=unit(5, 7)), make_entry(40)])
        store.remove([make_entry(0).track.key])
    assert store.count_without_tags() == 2
    scores = Snapshot.open(tagged).tag_cosines(unit(3, 7))
    assert np.isnan(scores).sum() == 2
    assert np.array_equal(scores, store.tag_cosines(unit(3, 7)), equal_nan=True)
    Store.open(tagged).replace(make_meta(1), [make_entry(i, model=1) for i in range(4)])
    assert Snapshot.open(tagged).all_rows().tag_scores is None


@pytest.mark.parametrize("damage", ["cut", "remove", "flip"])
def test_damaged_tag_scores_are_never_believed(tagged, unit, damage):
    (file,) = (tagged / "snapshot").rglob("tag_scores-*.f32")
    content = bytearray(file.read_bytes())
    if damage == "remove":
        file.unlink()
    else:
        content[-1] ^= 0x7F
        file.write_bytes(content[:-9] if damage == "cut" else content)
    assert Snapshot.open(tagged) is None


def test_no_changed_byte_of_a_snapshot_is_ever_believed(tagged, unit):
    def answers(snapshot):
        keys = snapshot.rows.text("key")
        facts = snapshot.facts(keys)
        moments = snapshot.moments(keys)
        found = snapshot.search(unit(4, 16), 12)
        tags = snapshot.tag_cosines(unit(3, 7))
        return repr(
            (found, facts, tags.tolist(), [[part.tobytes() for part in moments[key]] for key in keys])
        )

    expected = answers(Snapshot.open(tagged))
    rng = np.random.default_rng(0)
    outcomes = set()
    for file in sorted(f for f in (tagged / "snapshot").rglob("*") if f.is_file()):
        content = file.read_bytes()
        for position in {0, len(content) - 1, *rng.integers(0, len(content), 60).tolist()}:
            changed = bytearray(content)
            changed[position] ^= 1 << int(rng.integers(8))
            file.write_bytes(changed)
            snapshot = Snapshot.open(tagged)
            try:
                outcome = "rebuild" if snapshot is None else answers(snapshot)
            except ArtifactError:
                outcome = "error"
            assert outcome in ("rebuild", "error", expected), (file.name, position)
            outcomes.add((file.suffix, "same" if outcome == expected else outcome))
        file.write_bytes(content)
    raised = {(".f16", "error"), (".f64", "error"), (".facts", "error")}
    assert raised | {(".npy", "rebuild"), (".json", "rebuild")} <= outcomes
    assert not {(suffix, "same") for suffix, _ in raised} & outcomes


def test_a_large_library_is_searched_by_an_index_in_memory(tmp_path, entry, meta, unit, monkeypatch):
    pytest.importorskip("faiss", reason="needs the extra large")
    for module in ("store", "snapshot_writer"):
        monkeypatch.setattr(f"reelscore.library.storage.{module}.EXACT_UP_TO", 1000)
    monkeypatch.setattr("reelscore.library.storage.snapshot._EXACT_ALLOWED", 100)
    library = tmp_path / "l"
    filters = (None, "artist = 'Artist 2'", "title = 'Title 5'", "duration_s < 0")
    with Store.create(library, meta()) as store:
        store.upsert(entry(i) for i in range(3000))
        exact = [store.search(unit(9**9, 16), 20, where=where) for where in filters]
    snapshot = open_for_search(library)
    assert isinstance(snapshot, Snapshot)
    assert snapshot.index is not None
    assert [snapshot.search(unit(9**9, 16), 20, where=where) for where in filters] == exact
    file = next(library.rglob("*.faiss"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert Snapshot.open(library) is None
    assert open_for_search(library).search(unit(9**9, 16), 20) == exact[0]
    assert Snapshot.open(library) is not None


def test_the_index_grows_with_the_library(tmp_path, entry, meta, unit, monkeypatch):
    pytest.importorskip("faiss", reason="needs the extra large")
    for module in ("store", "snapshot_writer"):
        monkeypatch.setattr(f"reelscore.library.storage.{module}.EXACT_UP_TO", 1000)
    monkeypatch.setattr("reelscore.library.storage.snapshot._EXACT_ALLOWED", 100)
    monkeypatch.setattr("reelscore.library.storage.snapshot_writer._MOST_UNINDEXED", 10)
    library = tmp_path / "l"

    def write(new, removed=()):
        with Store.open(library) as store:
            store.upsert(entry(i) for i in new)
            store.remove([entry(i).track.key for i in removed])
        snapshot, store = Snapshot.open(library), Store.open(library)
        found_all = []
        for where in (None, "artist = 'Artist 2'"):
            for number in (1, 2001, *new, *removed):
                query = entry(number).embedding
                found, expected = (one.search(query, 5, where=where) for one in (snapshot, store))
                assert found == sorted(found, key=lambda pair: (-pair[1], pair[0].key))
                assert found[0] == expected[0]  # a new track is the nearest of its own embedding
                assert set(found) <= set(store.search(query, 20, where=where))  # with their exact scores
                found_all += [pair in expected for pair in found]
        assert np.mean(found_all) > 0.97
        return snapshot.document["index"]

    with Store.create(library, meta()) as store:
        store.upsert(entry(i) for i in range(2000))
    first = write([])
    assert (first["num"], first["trained_on"]) == (2000, 2000)
    assert write(range(2000, 2010), [0, 1, 2001]) == first  # the new tracks are compared one by one
    second = write(range(2010, 2016))
    assert second["file"] != first["file"]
    assert (second["num"], second["trained_on"]) == (2015, 2000)  # number 2001 was removed at once
    monkeypatch.setattr("reelscore.library.storage.snapshot_writer._TRAIN_AGAIN_AT", 1)
    assert write(range(2016, 2030))["trained_on"] == 2029
