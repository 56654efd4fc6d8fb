"""The store with real LanceDB tables."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from reelscore.errors import ArtifactError, InputError, NotFoundError
from reelscore.library.storage.exact_search import EXACT_UP_TO
from reelscore.library.storage.facts import TrackDetails
from reelscore.library.storage.open import open_for_search
from reelscore.library.storage.store import Store


def by_hand(entries, query, k):
    scored = [(e.track, float((e.embedding.astype(float) * query.astype(float)).sum())) for e in entries]
    return sorted(scored, key=lambda pair: (-pair[1], pair[0].key))[:k]


def test_entries_come_back_as_they_went_in(library, entry):
    found = {e.track.key: e for e in Store.open(library).entries()}
    assert len(found) == 40
    for number in range(40):
        expected, came = entry(number), found[entry(number).track.key]
        assert came.track == expected.track
        assert (came.album, came.size_bytes, came.mtime_ns) == (
            expected.album,
            expected.size_bytes,
            expected.mtime_ns,
        )
        assert np.array_equal(came.embedding, expected.embedding)
        assert np.abs(came.moments - expected.moments).max() < 5e-4
        assert np.array_equal(came.moment_starts_s, expected.moment_starts_s)
        assert np.array_equal(came.moment_ends_s, expected.moment_ends_s)


def test_search_is_the_sorted_list_of_all_cosines(library, entry, unit):
    store = Store.open(library)
    for seed in range(5):
        query = unit(seed + 70_000, 16)
        expected = by_hand([entry(i) for i in range(40)], query, 7)
        came = store.search(query, 7)
        assert [t for t, _ in came] == [t for t, _ in expected]
        assert np.allclose([s for _, s in came], [s for _, s in expected], atol=1e-12)


def test_equal_embeddings_tie_by_key_wherever_they_lie(tmp_path, entry, meta, unit):
    same = unit(1, 16)
    with Store.create(tmp_path / "l", meta()) as store:
        store.upsert(entry(i, embedding=same) for i in range(30))
        store.upsert(entry(i) for i in range(30, 37))
    found = store.search(same, 30)
    assert {score for _, score in found} == {found[0][1]}
    keys = [track.key for track, _ in found]
    assert keys == sorted(entry(i).track.key for i in range(30))
    assert [t.key for t, _ in store.search(same, 4)] == keys[:4]


def test_an_empty_library_finds_nothing(tmp_path, meta, unit):
    with Store.create(tmp_path / "l", meta()) as store:
        pass
    assert store.search(unit(0, 16), 5) == []
    assert (len(store), store.tracks(), store.keys(), store.paths(), list(store.entries())) == (
        0,
        [],
        [],
        {},
        [],
    )
    assert store.moments(["nothing"]) == {}
    assert store.moments([]) == {}


def test_upsert_is_idempotent_and_replaces_by_key(library, entry, everything):
    with Store.open(library) as store:
        before = everything(store)
        store.upsert(entry(i) for i in range(10))
        assert everything(store) == before
        store.upsert([entry(3, title="New title")])
        assert len(store) == 40
        assert store.get(entry(3).track.key).track.title == "New title"


def test_new_content_at_a_path_replaces_the_old_track_in_the_same_commit(library, entry):
    with Store.open(library) as store:
        version = store._table.version
        store.upsert([entry(90, path=entry(3).track.path), entry(91)])
        assert store._table.version == version + 1
        assert len(store) == 41
        assert store.get(entry(3).track.path).track.key == entry(90).track.key
        assert entry(3).track.key not in {track.key for track in store.tracks()}


def test_of_equal_keys_or_paths_in_one_batch_the_last_counts(tmp_path, entry, meta):
    with Store.create(tmp_path / "l", meta()) as store:
        store.upsert(
            [
                entry(1, title="first"),
                entry(1, path="/other", title="last"),
                entry(2),
                entry(3, path="/other"),
            ]
        )
        assert sorted(t.key for t in store.tracks()) == sorted([entry(2).track.key, entry(3).track.key])


def test_relocate_moves_the_path_and_nothing_else(library, entry):
    with Store.open(library) as store:
        before = store.get(entry(5).track.key)
        store.relocate(before.track.key, "/el'se/🎵.mp3", 7, 8)
        after = store.get("/el'se/🎵.mp3")
        assert (after.track.key, after.size_bytes, after.mtime_ns) == (before.track.key, 7, 8)
        assert np.array_equal(after.embedding, before.embedding)
        assert np.array_equal(after.moments, before.moments)
        assert store.paths()[before.track.key] == "/el'se/🎵.mp3"
        assert store.file_states(["/el'se/🎵.mp3"]) == {"/el'se/🎵.mp3": (7, 8, before.track.key)}
        with pytest.raises(NotFoundError):
            store.relocate("no such key", "/x", 1, 1)


@pytest.mark.parametrize("most_named", [2000, 3])
def test_file_states_are_those_of_the_paths(library, entry, monkeypatch, most_named):
    monkeypatch.setattr("reelscore.library.storage.reader._MANY_KEYS", most_named)
    store, wanted = Store.open(library), [entry(i) for i in (3, 5, 8, 13)]
    assert store.file_states([*(e.track.path for e in wanted), "/none.mp3"]) == {
        e.track.path: (e.size_bytes, e.mtime_ns, e.track.key) for e in wanted
    }
    assert store.file_states([]) == {}


def test_remove_says_how_many_were_there(library, entry, unit):
    with Store.open(library) as store:
        gone = [entry(i).track.key for i in (1, 2)]
        assert store.remove([*gone, "never was", "' OR 1=1 --"]) == 2
        assert store.remove(gone) == 0
        assert store.remove([]) == 0
        assert len(store) == 38
        assert not set(gone) & {t.key for t, _ in store.search(unit(0, 16), 40)}
        assert store.moments(gone) == {}


def test_tracks_are_ordered_and_paged(library, entry):
    store = Store.open(library)
    every = [entry(i).track for i in range(40)]
    assert store.tracks() == every
    assert store.tracks(limit=5, offset=10) == every[10:15]
    assert store.tracks("lower(artist) = 'artist 1'", limit=2) == [every[1], every[4]]


@pytest.mark.parametrize(
    "name", ["/music/00007.mp3", 'It\'s "nº 7" 🎵', 'IT\'S "Nº 7" 🎵', "key", "key start"]
)
def test_a_track_is_found_by_path_title_and_key(library, entry, name):
    key = entry(7).track.key
    name = {"key": key, "key start": key[:10]}.get(name, name)
    assert Store.open(library).get(name).track == entry(7).track


def test_names_that_mean_none_or_several_are_errors_that_say_so(library):
    store = Store.open(library)
    with pytest.raises(NotFoundError, match="reelscore list"):
        store.get("no such")
    with pytest.raises(NotFoundError, match="reelscore list"):
        store.get("")
    with pytest.raises(NotFoundError, match=r"and 6 more\. Give the path or key of one"):
        store.get("it's \"nº 1")


def test_moments_belong_to_their_tracks(library, entry):
    keys = [entry(i).track.key for i in (3, 30, 8)]
    found = Store.open(library).moments([*keys, "no such"])
    assert sorted(found) == sorted(keys)
    for i in (3, 30, 8):
        rows, starts_s, ends_s = found[entry(i).track.key]
        assert rows.dtype == np.float16  # as it is stored
        assert np.abs(rows - entry(i).moments).max() < 5e-4
        assert np.array_equal(ends_s - starts_s, np.full(6, 10.0))


def test_replace_swaps_meta_and_tracks_at_once(library, entry, meta, everything, unit):
    reader = Store.open(library)
    with Store.open(library) as store:
        store.replace(meta(1), (entry(i, model=1) for i in range(20)))
        assert store.meta.model_fingerprint == "model-1"
        assert len(store) == 20
    again = Store.open(library)
    assert everything(again) == everything(store)
    assert [f.name for f in (library / "tables").iterdir()] == ["000002"]
    reader.refresh()
    assert reader.meta == again.meta
    assert reader.search(unit(0, 16), 3) == again.search(unit(0, 16), 3)


def test_a_replacement_that_fails_leaves_the_old_library(library, entry, meta, everything):
    before = everything(Store.open(library))

    def broken():
        yield entry(1, model=1)
        raise RuntimeError("the model broke")

    with pytest.raises(RuntimeError, match="the model broke"):
        Store.open(library).replace(meta(1), broken())
    after = Store.open(library)
    assert (after.meta.model_fingerprint, everything(after)) == ("model-0", before)
    with after:
        after.upsert([entry(50)])
    assert len(after) == 41


def test_optimize_changes_no_answer(library, entry, everything, unit):
    with Store.open(library) as store:
        for i in range(60, 100):
            store.upsert([entry(i)])
        store.remove([entry(i).track.key for i in range(10)])
        before = everything(store), store.search(unit(0, 16), 20)
        assert store._table.num_fragments() > 32
    assert store._table.num_fragments() == 1
    assert (everything(store), store.search(unit(0, 16), 20)) == before


def data_files(library, table):
    return {file.name for file in library.glob(f"tables/*/{table}.lance/data/*.lance")}


@pytest.mark.parametrize("has_faiss", [True, False])
def test_small_writes_to_a_large_library_leave_its_large_files(
    tmp_path, entry, everything, unit, meta, monkeypatch, has_faiss
):
    monkeypatch.setattr("reelscore.library.storage.store.EXACT_UP_TO", 1000)
    monkeypatch.setattr("reelscore.library.storage.store._COMPACT_FROM", 8)
    monkeypatch.setattr("reelscore.library.storage.lance._SMALL_ROWS", 200)
    monkeypatch.setattr("reelscore.library.storage.lance._READABLE_FOR", timedelta(milliseconds=1))
    monkeypatch.setattr("reelscore.library.storage.memory_index.is_available", lambda: has_faiss)
    path = tmp_path / "l"

    def detailed(number, **changes):
        return entry(number, details=TrackDetails(bytes([number % 251]), b"peaks", (0.0, 5.0)), **changes)

    with Store.create(path, meta()) as store:
        store.upsert(detailed(i) for i in range(1100))
    large = {table: data_files(path, table) for table in ("tracks", "details")}
    assert [len(files) for files in large.values()] == [1, 1]
    for first in (1500, 1600):
        with Store.open(path) as store:
            for i in range(first, first + 9):
                store.upsert([detailed(i)])
            store.upsert([detailed(7, title=f"Title of {first}")])
            store.remove([entry(first).track.key, entry(first - 1490).track.key])
            before = everything(store), store.details(store.keys()), store.search(unit(0, 16), 20)
            assert store._table.num_fragments() > 8
        assert store._table.num_fragments() == 2
        assert store._table.has_index() is not has_faiss
        assert (everything(store), store.details(store.keys()), store.search(unit(0, 16), 20)) == before
        for table, files in large.items():
            assert files < data_files(path, table)
            assert len(data_files(path, table)) == 2  # the small files are gone


@pytest.mark.parametrize("has_faiss", [True, False])
def test_fragments_do_not_accumulate_in_a_large_library(
    tmp_path, entry, everything, meta, monkeypatch, has_faiss
):
    for name, value in (("EXACT_UP_TO", 100), ("_COMPACT_FROM", 4)):
        monkeypatch.setattr(f"reelscore.library.storage.store.{name}", value)
    monkeypatch.setattr("reelscore.library.storage.lance._SMALL_ROWS", 20)
    monkeypatch.setattr("reelscore.library.storage.memory_index.is_available", lambda: has_faiss)
    store = Store.create(tmp_path / "l", meta())
    nums = []
    for number in range(14):
        with store:
            store.upsert(entry(i) for i in range(120 * number, 120 * (number + 1)))  # too many rows to move
        nums.append(store._table.num_fragments())
    assert max(nums) < 6
    assert everything(store).keys() == {entry(i).track.key for i in range(120 * 14)}


def test_a_second_writer_gets_an_error_with_the_process_id(library, entry):
    first, second = Store.open(library), Store.open(library)
    first.upsert([entry(50)])
    with pytest.raises(ArtifactError, match=r"another process \(pid \d+\) is writing"):
        second.begin(wait_s=0.1)
    first.finish()
    with second:
        second.upsert([entry(51)])
    assert len(second) == 42  # it moved to the newest version before it wrote


def test_readers_see_whole_commits_beside_a_writer(library, entry, unit):
    problems: list[str] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            store = Store.open(library)
            found = store.search(unit(0, 16), 1000)
            if (len(found) - 40) % 4 or len(store.moments([t.key for t, _ in found])) != len(found):
                problems.append(f"{len(found)} tracks")

    reader = threading.Thread(target=read)
    reader.start()
    with Store.open(library) as store:
        for start in range(100, 180, 4):
            store.upsert(entry(i) for i in range(start, start + 4))
    done.set()
    reader.join()
    assert problems == []


def test_a_view_stays_at_its_version_until_refreshed(library, entry):
    reader = Store.open(library)
    with Store.open(library) as store:
        store.upsert([entry(70)])
    assert len(reader) == 40
    reader.refresh()
    assert len(reader) == 41


def test_create_refuses_what_lies_there(library, tmp_path, meta):
    with pytest.raises(ArtifactError, match="is a library already"):
        Store.create(library, meta())
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    with pytest.raises(ArtifactError, match=r"holds other files \(a.jpg\)"):
        Store.create(tmp_path / "photos", meta())
    with pytest.raises(ArtifactError, match="cannot create the folder"):
        Store.create(tmp_path / "photos" / "a.jpg", meta())


def test_create_takes_over_what_a_killed_one_left(tmp_path, meta):
    with Store.create(tmp_path / "l", meta()):
        pass
    (tmp_path / "l" / "library.json").unlink()
    with Store.create(tmp_path / "l", meta()) as store:
        assert len(store) == 0


def test_open_says_what_to_do_where_there_is_none(tmp_path):
    with pytest.raises(NotFoundError, match=r"does not exist. Create a library: reelscore add"):
        Store.open(tmp_path / "nowhere")
    with pytest.raises(NotFoundError, match=r"is not a library"):
        Store.open(tmp_path)


def test_entries_of_another_length_and_bad_queries_are_refused(library, entry, unit):
    store = Store.open(library)
    with pytest.raises(InputError, match="D=8, the library D=16"):
        store.upsert([entry(1).embedded_as(unit(0, 8), unit(0, 2, 8), np.zeros(2), np.ones(2))])
    for query, k, message in (
        (unit(0, 8), 5, "shape"),
        (unit(0, 16) * 2, 5, "norm 1"),
        (np.full(16, np.nan, np.float32), 5, "norm 1"),
        (unit(0, 16), 0, "k must"),
    ):
        with pytest.raises(InputError, match=message):
            store.search(query, k)


def test_load_fills_an_empty_library_only(library, tmp_path, entry, meta):
    from reelscore.library.storage.schema import entries_to_table, table_schema

    table = entries_to_table([entry(i) for i in range(9)], table_schema(16, with_facts=True), revision=1)
    with Store.create(tmp_path / "new", meta()) as store:
        store.load(table.to_batches(max_chunksize=2))
        assert store.tracks() == [entry(i).track for i in range(9)]
    with pytest.raises(InputError, match=r"holds 40 tracks\. Use upsert"), Store.open(library) as store:
        store.load(table.to_batches())


def test_the_index_answers_like_exact_search(tmp_path, entry, meta, unit, monkeypatch):
    monkeypatch.setattr("reelscore.library.storage.store.EXACT_UP_TO", 1000)
    monkeypatch.setattr("reelscore.library.storage.memory_index.is_available", lambda: False)
    assert EXACT_UP_TO > 1000
    with Store.create(tmp_path / "l", meta()) as store:
        store.upsert(entry(i) for i in range(3000))
        exact = (
            store.search(unit(-1 % 2**32, 16), 10),
            store.search(unit(9**9, 16), 5, where="artist = 'Artist 2'"),
        )
        store.optimize()
        assert store._table.has_index()
        store.upsert(entry(i) for i in range(3000, 3010))  # found before they are indexed
        assert (
            store.search(unit(-1 % 2**32, 16), 10),
            store.search(unit(9**9, 16), 5, where="artist = 'Artist 2'"),
        ) == exact
        assert store.search(entry(3005).embedding, 1)[0][0] == entry(3005).track
    assert not (tmp_path / "l" / "snapshot").exists()


def test_without_faiss_the_first_reader_of_a_large_library_builds_its_index(
    tmp_path, entry, meta, unit, monkeypatch
):
    for module in ("store", "snapshot_writer"):
        monkeypatch.setattr(f"reelscore.library.storage.{module}.EXACT_UP_TO", 1000)
    with Store.create(tmp_path / "l", meta()) as store:
        store.upsert(entry(i) for i in range(1500))
        store.optimize()
    assert (store._table.has_index(), (tmp_path / "l" / "snapshot").exists()) == (False, True)
    expected = open_for_search(tmp_path / "l").search(unit(3, 16), 5)
    monkeypatch.setattr("reelscore.library.storage.memory_index.is_available", lambda: False)
    with FileLock(tmp_path / "l" / "lock"):  # another process writes
        exact = open_for_search(tmp_path / "l")
        assert (type(exact), exact.search(unit(3, 16), 5)) == (Store, expected)
        assert not exact._table.has_index()
    indexed = open_for_search(tmp_path / "l")
    assert (type(indexed), indexed.search(unit(3, 16), 5)) == (Store, expected)
    assert indexed._table.has_index()


def test_a_folder_without_write_permission_can_be_read(library, unit, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("reelscore.library.storage.lock.FileLock.acquire", refuse)
    store = Store.open(library)
    store.leave_snapshot()
    assert len(store.search(unit(0, 16), 3)) == 3
    with pytest.raises(ArtifactError, match="cannot write to the library"):
        store.remove(["x"])
    assert Path(library).exists()
