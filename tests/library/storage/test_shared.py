"""Libraries on object stores: several writers at once, rebuilds, versions, and stores that cannot be used."""

from __future__ import annotations

import shutil
import threading
import traceback
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reelscore.errors import ArtifactError, ConfigError, NotFoundError
from reelscore.library.storage import lance, store, writer
from reelscore.library.storage.facts import TrackDetails
from reelscore.library.storage.lance import Table
from reelscore.library.storage.location import location_of
from reelscore.library.storage.open import open_for_search
from reelscore.library.storage.reader import View
from reelscore.library.storage.snapshot import Snapshot
from reelscore.library.storage.store import Store
from reelscore.objects import S3Folder
from support import buckets
from support.library_entries import content, make_entry, make_meta, make_unit

LIBRARY = f"s3://{buckets.BUCKET}/music/lib"


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a server on disk, whose address is in the environment."""
    with buckets.localbucket(tmp_path / "s3") as url:
        buckets.use(monkeypatch, url)
        yield tmp_path / "s3" / buckets.BUCKET


@pytest.fixture(params=["localbucket", pytest.param("moto", marks=pytest.mark.slow)])
def any_bucket(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    server = buckets.localbucket(tmp_path / "s3") if request.param == "localbucket" else buckets.moto()
    with server as url:
        buckets.use(monkeypatch, url)
        yield


def build(*numbers: int) -> Store:
    with Store.create(LIBRARY, make_meta()) as made:
        made.upsert(make_entry(number) for number in numbers)
    return made


def key(number: int) -> str:
    return make_entry(number).track.key


def unique(found: Store) -> set[str]:
    """Return the keys; fail if one of them, or a path, is there twice."""
    rows = found._table.scan(["key", "path"])
    assert len(set(rows["key"].to_pylist())) == len(set(rows["path"].to_pylist())) == len(rows)
    return set(rows["key"].to_pylist())


def once(function: Callable[[], object]) -> Callable[[], None]:
    """Return a function whose first call calls another one."""
    left = [function]
    return lambda: left.pop()() if left else None  # type: ignore[func-returns-value]


def test_it_holds_what_a_library_in_a_folder_holds(any_bucket: None, tmp_path: Path) -> None:
    for place in (tmp_path / "lib", LIBRARY):
        with Store.create(place, make_meta()) as made:
            made.upsert(make_entry(number) for number in range(20))
            made.upsert([make_entry(5, title="another"), make_entry(30, path=make_entry(6).track.path)])
            made.import_columns({"price": "number"})
            made.change_facts({key(7): lambda facts: facts.with_source("csv", {"price": 2.0})})
            made.relocate(key(8), "/else", 1, 2)
            assert made.remove([key(9), key(10), "none"]) == 2
            made.optimize()
            assert made.notes == []
    local, shared = Store.open(tmp_path / "lib"), Store.open(LIBRARY)
    assert content(shared) == content(local)
    assert shared.keys_where("csv_price > 1") == {key(7)}
    query = make_unit(3, 16)
    expected = open_for_search(tmp_path / "lib").search(query, 7)
    assert shared.search(query, 7) == expected
    found = open_for_search(LIBRARY)
    assert isinstance(found, Snapshot)
    assert found.search(query, 7) == expected
    assert found.search(query, 7, where="bpm > 90") == local.search(query, 7, where="bpm > 90")
    keys = local.keys()
    assert found.facts(keys) == local.facts(keys)
    for name, moments in found.moments(keys).items():
        assert all(np.array_equal(a, b) for a, b in zip(moments, local.moments([name])[name], strict=True))


@pytest.mark.slow
def test_threads_that_add_the_same_tracks_add_each_once(bucket: Path) -> None:
    build()
    failures: list[BaseException] = []

    def add(offset: int) -> None:
        try:
            with Store.open(LIBRARY) as mine:
                for start in range(0, 24, 4):
                    mine.upsert(make_entry(number) for number in range(start + offset, start + offset + 6))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=add, args=(offset,)) for offset in (0, 1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    found = Store.open(LIBRARY)
    assert unique(found) == {key(number) for number in range(28)}
    assert content(found) == content(Store.open(LIBRARY))


def test_facts_that_two_writers_change_at_once_are_both_kept(bucket: Path) -> None:
    first, second = build(1, 2, 3), Store.open(LIBRARY)
    first.import_columns({"mine": "number", "theirs": "number"})
    between = once(
        lambda: second.change_facts(
            {
                key(1): lambda facts: facts.with_source(
                    "csv", facts.by_source().get("csv", {}) | {"theirs": 1.0}
                )
            }
        )
    )

    def change(facts):
        between()
        return facts.with_source("csv", facts.by_source().get("csv", {}) | {"mine": 2.0})

    first.change_facts({key(number): change for number in (1, 2)})
    found = Store.open(LIBRARY)
    csv = {number: found.facts([key(number)])[key(number)].by_source().get("csv") for number in (1, 2, 3)}
    assert csv == {1: {"mine": 2.0, "theirs": 1.0}, 2: {"mine": 2.0}, 3: None}
    assert found.keys_where("csv_mine = 2 AND csv_theirs = 1") == {key(1)}


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Return a function that sets what another writer does between the reading and the writing of an upsert."""

    def set_action(action: Callable[[], object]) -> None:
        original, act = writer.keep_imported, once(action)

        def keep_imported(*arguments):
            act()
            return original(*arguments)

        monkeypatch.setattr(writer, "keep_imported", keep_imported)

    return set_action


def test_imported_values_survive_that_the_track_is_added_again(bucket: Path, between) -> None:
    first, second = build(1, 2), Store.open(LIBRARY)
    second.import_columns({"price": "number"})
    between(lambda: second.change_facts({key(1): lambda facts: facts.with_source("csv", {"price": 3.0})}))
    first.upsert([make_entry(1, title="read again"), make_entry(4)])
    found = Store.open(LIBRARY)
    assert unique(found) == {key(1), key(2), key(4)}
    assert found.get(key(1)).track.title == "read again"
    assert found.keys_where("csv_price = 3") == {key(1)}


def test_two_contents_of_one_path_leave_the_newest(bucket: Path, between) -> None:
    first, second = build(1), Store.open(LIBRARY)
    between(lambda: second.upsert([make_entry(8, path="/same.mp3")]))
    first.upsert([make_entry(9, path="/same.mp3")])
    assert len(unique(Store.open(LIBRARY))) == 2


@pytest.mark.slow
def test_a_track_that_moves_while_its_path_is_taken_stays(bucket: Path, between) -> None:
    first, second = build(1, 2), Store.open(LIBRARY)
    between(lambda: second.upsert([make_entry(1, path="/moved.mp3")]))
    first.upsert([make_entry(5, path=make_entry(1).track.path)])
    found = Store.open(LIBRARY)
    assert unique(found) == {key(1), key(2), key(5)}
    assert found.get(key(1)).track.path == "/moved.mp3"


@pytest.mark.slow
def test_a_column_that_appears_or_disappears_while_tracks_are_added(bucket: Path, between) -> None:
    first, second = build(1), Store.open(LIBRARY)
    first.import_columns({"price": "number"})
    second.change_facts({key(1): lambda facts: facts.with_source("csv", {"price": 3.0})})
    between(lambda: second.import_columns({"mood2": "text"}))
    first.upsert([make_entry(1), make_entry(2)])
    second.change_facts({key(1): lambda facts: facts.with_source("csv", {})})
    between(lambda: second.drop_columns(["price"]))
    first.upsert([make_entry(1), make_entry(3)])
    found = Store.open(LIBRARY)
    assert unique(found) == {key(1), key(2), key(3)}
    assert found.imported() == {"mood2": "text"}


@pytest.mark.slow
def test_what_others_add_during_a_rebuild_is_rebuilt_too(bucket: Path) -> None:
    first, second = build(*range(6)), Store.open(LIBRARY)

    def entries():
        for number in range(6):
            if number == 3:
                second.upsert([make_entry(8), make_entry(2, title="again")])
                second.remove([key(4)])
            yield make_entry(number, model=1)

    def embed(tracks):
        return [make_entry(int(t.path[7:12]), model=1, title=t.title) for t in tracks]

    first.replace(make_meta(1), entries(), embed=embed)
    found = Store.open(LIBRARY)
    assert found.meta.model == "model 1"
    assert unique(found) == {key(number) for number in (0, 1, 2, 3, 5, 8)}
    assert found.get(key(2)).track.title == "again"
    assert np.array_equal(found.get(key(8)).embedding, make_entry(8, model=1).embedding)


@pytest.mark.slow
def test_a_rebuild_that_cannot_embed_what_others_added_changes_nothing(bucket: Path) -> None:
    first, second = build(1, 2), Store.open(LIBRARY)

    def entries():
        second.upsert([make_entry(3)])
        yield make_entry(1, model=1)

    with pytest.raises(ArtifactError, match=r"other writers changed the library .* while it was rebuilt"):
        first.replace(make_meta(1), entries())
    found = Store.open(LIBRARY)
    assert (found.meta.model, unique(found)) == ("model 0", {key(1), key(2), key(3)})
    assert len((S3Folder.parse(LIBRARY) / "tables").names()) == 1


@pytest.mark.slow
def test_a_writer_follows_a_rebuild_with_the_same_model(bucket: Path) -> None:
    first, second = build(1, 2), Store.open(LIBRARY)
    second.upsert([make_entry(3)])
    first.replace(make_meta(), [make_entry(1), make_entry(3)])
    second.upsert([make_entry(4)])
    assert unique(Store.open(LIBRARY)) == {key(1), key(3), key(4)}


@pytest.mark.slow
def test_a_writer_stops_after_a_rebuild_with_another_model(bucket: Path) -> None:
    first, second = build(1, 2), Store.open(LIBRARY)
    second.upsert([make_entry(3)])
    first.replace(make_meta(1), [make_entry(number, model=1) for number in (1, 2, 3)])
    with pytest.raises(ArtifactError, match="was rebuilt with another model"):
        second.upsert([make_entry(4)])
    assert unique(Store.open(LIBRARY)) == {key(1), key(2), key(3)}


@pytest.mark.slow
def test_of_two_rebuilds_one_ends(bucket: Path) -> None:
    first, second = build(1, 2), Store.open(LIBRARY)

    def entries():
        second.replace(make_meta(2), [make_entry(1, model=2)])
        yield make_entry(1, model=1)

    with pytest.raises(ArtifactError, match="another rebuild"):
        first.replace(make_meta(1), entries())
    found = Store.open(LIBRARY)
    assert (found.meta.model, unique(found)) == ("model 2", {key(1)})


def test_of_two_processes_that_create_it_one_does(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    between = once(lambda: build(1))
    create_tables = store.create_tables

    def create(*arguments):
        between()
        create_tables(*arguments)

    monkeypatch.setattr(store, "create_tables", create)
    with pytest.raises(ArtifactError, match="is a library already"):
        Store.create(LIBRARY, make_meta())
    assert unique(Store.open(LIBRARY)) == {key(1)}
    assert len((S3Folder.parse(LIBRARY) / "tables").names()) == 1


def test_a_reader_keeps_its_version_while_others_compact(bucket: Path) -> None:
    build(*range(5))
    reader = View.open(LIBRARY)
    with Store.open(LIBRARY) as writer:
        for number in range(5, 15):
            writer.upsert([make_entry(number)])
        writer.remove([key(1)])
        writer.optimize()
        assert len(unique(writer)) == 14
    assert sorted(t.key for t in reader.tracks()) == sorted(key(number) for number in range(5))
    assert len(reader.moments([key(1)])) == 1
    reader.refresh()
    assert len(reader) == 14


def test_rows_that_others_change_are_not_moved(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "EXACT_UP_TO", 3)
    monkeypatch.setattr(lance, "_SMALL_ROWS", 12)
    made = build(*range(12))
    for number in range(12, 18):
        made.upsert([make_entry(number, details=TrackDetails(b"old", b"old"))])

    def change() -> None:
        other = Store.open(LIBRARY)
        other.upsert([make_entry(13, title="changed", details=TrackDetails(b"new", b"new"))])
        other.change_facts({key(15): lambda facts: facts.with_source("tag", {"bpm": 99.0})})
        other.remove([key(14)])

    between, original = once(change), Table.set_columns

    def set_columns(table: Table, *arguments: Any, **options: Any) -> int:
        between()
        return original(table, *arguments, **options)

    monkeypatch.setattr(Table, "set_columns", set_columns)
    made.optimize()
    assert made.notes == []
    found = Store.open(LIBRARY)
    assert unique(found) == {key(number) for number in range(18) if number != 14}
    assert found.get(key(13)).track.title == "changed"
    assert found.facts([key(15)])[key(15)].values["bpm"] == 99.0
    expected = {key(n): TrackDetails(b"old", b"old") for n in (12, 15, 16, 17)}
    assert found.details([key(n) for n in (12, 13, 15, 16, 17)]) == expected | {
        key(13): TrackDetails(b"new", b"new")
    }
    assert found._table.num_fragments() < 5


@pytest.mark.slow
def test_old_versions_are_deleted(any_bucket: None, monkeypatch: pytest.MonkeyPatch) -> None:
    made = build()
    for number in range(6):
        made.upsert([make_entry(number)])
    location = location_of(LIBRARY)
    versions = location.tables(location.read().generation) / "tracks.lance/_versions"
    assert len(versions.names()) > 6
    monkeypatch.setattr(lance, "_READABLE_FOR", timedelta(milliseconds=1))
    made.optimize()
    assert (len(versions.names()), made.notes) == (1, [])
    assert len(unique(Store.open(LIBRARY))) == 6


@pytest.mark.slow
def test_tables_of_old_generations_are_deleted_after_a_day(bucket: Path, monkeypatch) -> None:
    made = build(1)
    made.replace(make_meta(1), [make_entry(1, model=1)])
    tables = S3Folder.parse(LIBRARY) / "tables"
    made.optimize()
    assert len(tables.names()) == 2
    for name in ("_UNUSED_AFTER", "_READABLE_FOR"):
        monkeypatch.setattr(f"reelscore.library.storage.location.{name}", timedelta(seconds=-5))
    made.optimize()
    assert len(tables.names()) == 1
    assert unique(Store.open(LIBRARY)) == {key(1)}


def test_without_permission_to_write_all_that_reads_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with buckets.localbucket(tmp_path / "s3") as url:
        buckets.use(monkeypatch, url)
        build(*range(8))
    with buckets.localbucket(tmp_path / "s3", handler=buckets.read_only()) as url:
        buckets.use(monkeypatch, url)
        found = open_for_search(LIBRARY)
        assert len(found.search(make_unit(1, 16), 3)) == 3
        assert found.keys_where("bpm > 86") == {key(number) for number in (0, 5, 7)}
        reader = Store.open(LIBRARY)
        assert len(reader.tracks()) == 8
        with pytest.raises(ConfigError, match="denied access"):
            reader.upsert([make_entry(9)])
        with pytest.raises(ConfigError, match="denied access"):
            Store.create(f"s3://{buckets.BUCKET}/other", make_meta())


def test_a_store_without_conditional_writes_is_read_but_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with buckets.localbucket(tmp_path / "s3") as url:
        buckets.use(monkeypatch, url)
        build(*range(3))
    with buckets.localbucket(tmp_path / "s3", handler=buckets.without_conditional_writes()) as url:
        buckets.use(monkeypatch, url)
        reader = Store.open(LIBRARY)
        assert len(reader) == 3
        for write in (
            lambda: reader.upsert([make_entry(9)]),
            lambda: reader.remove([key(1)]),
            lambda: reader.optimize(),
            lambda: Store.create(f"s3://{buckets.BUCKET}/other", make_meta()),
        ):
            with pytest.raises(ConfigError, match="does not honour conditional writes"):
                write()
        assert len(Store.open(LIBRARY)) == 3


@pytest.mark.slow
def test_answers_that_are_lost_do_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with buckets.localbucket(tmp_path / "s3", handler=buckets.losing_answers()) as url:
        buckets.use(monkeypatch, url)
        made = build(1, 2)
        made.upsert([make_entry(2, title="again"), make_entry(3)])
        made.change_facts({key(1): lambda facts: facts.with_source("tag", {"bpm": 99.0})})
        assert made.remove([key(2)]) == 1
        made.replace(make_meta(1), [make_entry(number, model=1) for number in (1, 3)])
        made.upsert([make_entry(4, model=1)])
        found = Store.open(LIBRARY)
        assert (found.meta.model, unique(found)) == ("model 1", {key(number) for number in (1, 3, 4)})


def test_a_snapshot_is_used_although_others_write(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = build(1, 2)
    shutil.rmtree(location_of(LIBRARY).local)
    between = once(lambda: made.upsert([make_entry(3)]))
    original = store.write_snapshot

    def write_snapshot(*arguments):
        original(*arguments)
        between()

    monkeypatch.setattr(store, "write_snapshot", write_snapshot)
    found = open_for_search(LIBRARY)
    assert isinstance(found, Snapshot)
    assert (len(found), len(open_for_search(LIBRARY))) == (2, 3)
    assert found.keys_where("duration_s > 0") == {key(1), key(2)}


def test_a_prefix_with_other_objects_is_rejected(bucket: Path) -> None:
    S3Folder.parse(LIBRARY).write("holiday.mp4", b"x")
    for place in (LIBRARY, LIBRARY.rpartition("/")[0]):
        with pytest.raises(ArtifactError, match="holds other"):
            Store.create(place, make_meta())
    with pytest.raises(NotFoundError, match=r"no library at s3://media/music/lib\. Create one"):
        Store.open(LIBRARY)


def test_a_damaged_pointer_is_reported(bucket: Path) -> None:
    build(1)
    file = bucket / "music/lib/library/000001.json"
    file.write_bytes(file.read_bytes().replace(b"model 0", b"model 9"))
    with pytest.raises(ArtifactError, match="is damaged"):
        Store.open(LIBRARY)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        ("SignatureDoesNotMatch", ConfigError, "rejected the credentials"),
        ("AccessDenied", ConfigError, "denied access"),
        ("NoSuchKey", ArtifactError, "Another writer may have deleted the version"),
    ],
)
def test_errors_of_the_store_while_a_table_is_read(
    code: str, kind: type[Exception], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = buckets.switched(404 if code == "NoSuchKey" else 403, code)
    with buckets.localbucket(tmp_path / "s3", handler=handler) as url:
        buckets.use(monkeypatch, url)
        build(1)
        reader = View.open(LIBRARY)
        handler.is_failing = True
        with pytest.raises(kind, match=message) as caught:
            reader.tracks()
        assert buckets.KEY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.slow
def test_a_store_that_cannot_be_reached_while_a_table_is_opened(
    bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = build(1)
    buckets.use(monkeypatch, "http://127.0.0.1:1")
    with pytest.raises(NotFoundError, match="cannot be reached"):
        lance.Table(location_of(LIBRARY), made._pointer.generation)
