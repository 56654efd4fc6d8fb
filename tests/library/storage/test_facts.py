"""Facts about tracks: sources, columns, conditions and details."""

from __future__ import annotations

import subprocess
import sys

import pytest

from reelscore.errors import InputError
from reelscore.library.storage.facts import BUILT_IN, TrackDetails, TrackFacts
from reelscore.library.storage.open import open_for_search
from reelscore.library.storage.snapshot import Snapshot
from reelscore.library.storage.store import Store
from support.library_entries import make_entry, make_facts, make_meta


def test_the_stronger_source_counts_and_the_weaker_stays_reachable():
    facts = TrackFacts.combine(
        {
            "analysis": {"bpm": 180.0, "bpm_alt": 90.0, "key": "C major", "key_confidence": 0.4},
            "tag": {"bpm": 90.0, "genre": ("rock",)},
            "pack": {"genre": ("pop",), "vocals": "no"},
        }
    )
    assert facts.values == {
        "bpm": 90.0,
        "key": "C major",
        "key_confidence": 0.4,
        "genre": ("rock",),
        "vocals": "no",
    }
    assert facts.sources["bpm"] == facts.sources["genre"] == "tag"
    assert facts.outranked == {"analysis": {"bpm": 180.0, "bpm_alt": 90.0}, "pack": {"genre": ("pop",)}}
    imported = facts.with_source("csv", {"bpm": 91.0, "price": 3.0})
    assert (imported.values["bpm"], imported.sources["bpm"]) == (91.0, "csv")
    assert imported.with_source("csv", {}) == facts
    assert TrackFacts.from_json(imported.to_json()) == imported
    assert TrackFacts.from_json("") == TrackFacts()


def test_facts_are_read_without_lancedb(library):
    code = (
        "import sys\n"
        "from reelscore.library.storage.open import open_for_search\n"
        "s = open_for_search(sys.argv[1]); print(len(s.facts(s.all_rows().text('key'))), len(s.columns()))\n"
        "print(sorted({'lancedb', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, library], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["40 25", "[]"]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("bpm BETWEEN 90 AND 92", [11, 12]),
        ("bpm = 100", range(0, 40, 5)),
        ("array_has(genre, 'genre 3')", range(3, 40, 4)),
        ("explicit AND duration_s < 66", [0, 2, 4]),
        ("music_key = 'A minor' AND path = '/music/00007.mp3'", [7]),
        ("licence IS NULL AND NOT explicit AND duration_s < 63", [1]),
        ("bpm > 1000", []),
    ],
)
def test_conditions_choose_the_same_tracks_in_snapshot_and_store(library, unit, sql, expected):
    keys = {make_entry(i).track.key for i in expected}
    for searcher in (Snapshot.open(library), Store.open(library)):
        assert searcher.keys_where(sql) == keys
        assert {track.key for track, _ in searcher.search(unit(1, 16), 40, where=sql)} == keys


def test_a_condition_that_is_no_sql_is_an_input_error(library):
    for sql in ("nope = 3", "bpm between", "bpm > 'x'"):
        with pytest.raises(InputError, match="condition"):
            open_for_search(library).keys_where(sql)


def test_imported_columns_survive_an_upsert_by_key_and_by_path_and_a_rebuild(library, entry, unit):
    price = {entry(3).track.key: 4.5, entry(5).track.key: 6.0}
    with Store.open(library) as store:
        store.import_columns({"price": "number", "uses": "list"})
        facts = store.facts(list(price))
        store.set_facts(
            {k: f.with_source("csv", {"price": price[k], "uses": ("tv",)}) for k, f in facts.items()}
        )
    assert Snapshot.open(library).columns() == Store.open(library).columns()
    assert Snapshot.open(library).columns()["uses"] == "list"
    with Store.open(library) as store:
        store.upsert([entry(3, path="/moved.mp3"), entry(50, path=entry(5).track.path)])
        store.replace(make_meta(), list(store.entries()))
    for searcher in (Snapshot.open(library), Store.open(library)):
        assert searcher.keys_where("csv_price > 4") == {entry(3).track.key, entry(50).track.key}
        assert searcher.keys_where("array_has(csv_uses, 'tv') AND csv_price > 5") == {entry(50).track.key}
        found = searcher.facts([entry(3).track.key])[entry(3).track.key]
        assert found == make_facts(3).with_source("csv", {"price": 4.5, "uses": ("tv",)})


def test_details_are_kept_apart_and_go_with_their_track(library, entry):
    details = TrackDetails(b"1234", b"56", (0.0, 12.5))
    keys = [entry(i).track.key for i in (60, 61)]
    with Store.open(library) as store:
        store.upsert([entry(60, details=details), entry(61)])
    assert Snapshot.open(library).details(keys) == Store.open(library).details(keys) == {keys[0]: details}
    with Store.open(library) as store:
        store.remove([keys[0]])
    assert Store.open(library).details(keys) == {}


def test_a_library_of_the_old_format_has_no_facts(tmp_path, entry, unit):
    path = tmp_path / "old"
    with Store.create(path, make_meta(format=1)) as store:
        store.upsert(entry(i) for i in range(5))
    for searcher in (Snapshot.open(path), Store.open(path)):
        key = entry(2).track.key
        assert searcher.facts([key]) == {key: TrackFacts()}
        assert searcher.details([key]) == {}
        assert not set(BUILT_IN) & set(searcher.columns())
        assert len(searcher.search(unit(1, 16), 3, where="duration_s > 62")) == 2
