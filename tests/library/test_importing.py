"""Import of columns from tables."""

from __future__ import annotations

import json

import pytest

from reelscore.errors import ArtifactError, InputError, NotFoundError
from reelscore.library.importing import import_columns, remove_columns
from reelscore.library.storage.facts import TrackFacts
from reelscore.library.storage.snapshot import Snapshot
from reelscore.library.storage.store import Store
from support.library_entries import content, make_entry, make_meta


@pytest.fixture
def library(tmp_path):
    """Tracks 0 to 5, the last two with one title and artist; 0 and 1 have an ISRC, 2 and 3 share one."""
    isrcs = ["GBAYE0000351", "USRC17607839", "FRZ039800212", "FRZ039800212", None, None]
    path = tmp_path / "lib"
    with Store.create(path, make_meta()) as store:
        for i, isrc in enumerate(isrcs):
            tags = {"bpm": 100.0} | ({} if isrc is None else {"isrc": isrc})
            store.upsert(
                [
                    make_entry(
                        i,
                        path=str(tmp_path / "music" / f"träck {i}.mp3"),
                        title=f"Títle {min(i, 4)}",
                        artist="Ärtist",
                        facts=TrackFacts.combine({"tag": tags, "analysis": {"bpm": 50.0, "key": "C major"}}),
                    )
                ]
            )
    return path


def key(number):
    return make_entry(number).track.key


def run(library, tmp_path, text, *, name="table.csv", encoding="utf-8"):
    table = tmp_path / name
    table.write_bytes(text.encode(encoding))
    with Store.open(library) as store:
        return import_columns(store, table)


def imported(library, number):
    return Snapshot.open(library).facts([key(number)])[key(number)].by_source().get("csv", {})


def test_rows_match_by_path_isrc_and_title_with_artist(library, tmp_path):
    summary = run(
        library,
        tmp_path,
        "path,ISRC,Title,Artist,licence\n"
        "music/träck 0.mp3,,,,CC0\n"
        "nowhere.mp3,us-rc1-76-07839,,,CC BY\n"
        ",frz039800212,,,B\n"
        ",,TÍTLE  4,Ärtist,ambiguous\n"
        ",,Títle 3,Another,unmatched\n"
        ",,,,unmatched\n",
    )
    assert (summary.matched, summary.tracks, summary.columns) == (3, 4, ("isrc", "licence"))
    assert summary.ambiguous == ("line 5: 2 tracks have the title 'TÍTLE  4' by 'Ärtist'",)
    assert summary.unmatched == (
        "line 6: no track with title 'Títle 3' by 'Another'",
        "line 7: no track with an empty path, ISRC and title",
    )
    assert [imported(library, i).get("licence") for i in range(6)] == ["CC0", "CC BY", "B", "B", None, None]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encodings_and_dialects_are_those_of_manifests(library, tmp_path, encoding, delimiter):
    rows = [["title", "artist", "mood"], ["Títle 0", "Ärtist", "fröhlich"]]
    text = "\r\n".join(delimiter.join(row) for row in rows)
    assert run(library, tmp_path, text, encoding=encoding).matched == 1
    assert imported(library, 0) == {"mood": ("fröhlich",)}


def test_kinds_follow_from_the_cells(library, tmp_path):
    run(
        library,
        tmp_path,
        "isrc;Price (EUR);AI-made;uses;note;empty;key;explicit;vocals\n"
        'GBAYE0000351;3,50;no;"TV; web";12 bars;;Am;yes;no\n'
        "USRC17607839;4;YES;;;;;;\n",
    )
    columns = Snapshot.open(library).columns()
    assert {n: columns.get(n) for n in ("price_eur", "ai_made", "uses", "note", "empty")} == {
        "price_eur": "number",
        "ai_made": "flag",
        "uses": "list",
        "note": "text",
        "empty": None,
    }
    assert imported(library, 0) == {
        "price_eur": 3.5,
        "ai_made": False,
        "uses": ("tv", "web"),
        "note": "12 bars",
        "key": "A minor",
        "tonic": 9,
        "mode": "minor",
        "explicit": True,
        "vocals": "no",
    }
    assert imported(library, 1) == {"price_eur": 4.0, "ai_made": True}
    searcher = Snapshot.open(library)
    assert searcher.keys_where("csv_price_eur < 4 AND music_key = 'A minor' AND NOT csv_ai_made") == {key(0)}
    assert searcher.keys_where("array_has(csv_uses, 'web')") == {key(0)}


def test_an_import_replaces_the_last_one_and_survives_other_writes(library, tmp_path):
    run(library, tmp_path, "isrc,bpm,price\nGBAYE0000351,120,3\nUSRC17607839,90,4\n")
    facts = Snapshot.open(library).facts([key(0)])[key(0)]
    assert (facts.values["bpm"], facts.sources["bpm"]) == (120.0, "csv")
    assert facts.outranked == {"tag": {"bpm": 100.0}, "analysis": {"bpm": 50.0}}
    run(library, tmp_path, json.dumps({"isrc": "GBAYE0000351", "bpm": None, "price": 5}), name="table.jsonl")
    facts = Snapshot.open(library).facts([key(0)])[key(0)]
    assert (facts.values["bpm"], facts.sources["bpm"], facts.values["price"]) == (100.0, "tag", 5.0)
    with Store.open(library) as store:
        store.upsert([make_entry(0, path=store.get(key(0)).track.path)])
        store.replace(make_meta(), list(store.entries()))
    assert imported(library, 0) == {"price": 5.0}
    assert imported(library, 1) == {"bpm": 90.0, "price": 4.0}


def test_columns_are_removed_together_or_not_at_all(library, tmp_path):
    run(library, tmp_path, "isrc,bpm,key,price\nGBAYE0000351,120,Am,3\nUSRC17607839,90,,4\n")
    with Store.open(library) as store:
        with pytest.raises(
            NotFoundError, match=r"no imported column .cost.\. The imported columns are: bpm, key"
        ):
            remove_columns(store, ["price", "cost"])
        assert imported(library, 1) == {"bpm": 90.0, "price": 4.0}
        assert remove_columns(store, ["Price", "tempo", "key"]) == 2
    found = Snapshot.open(library)
    facts = found.facts([key(0)])[key(0)]
    assert (facts.values["bpm"], facts.values["key"], "price" in facts.values) == (100.0, "C major", False)
    assert "price" not in found.columns()
    with Store.open(library) as store, pytest.raises(NotFoundError, match="imported columns are: none"):
        remove_columns(store, ["price"])
    run(library, tmp_path, "isrc,price\nGBAYE0000351,cheap\n")
    assert imported(library, 0) == {"price": "cheap"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("isrc,bpm\nGBAYE0000351,120\nUSRC17607839,fast\n", r"line 3: .*'bpm' holds a tempo .*'fast'"),
        ("isrc,key\nGBAYE0000351,H dur\n", "holds a key"),
        ("isrc,lufs\nGBAYE0000351,loud\n", "holds a number"),
        ("isrc,explicit\nGBAYE0000351,perhaps\n", "holds yes or no"),
        ("isrc,price\nXX,3\n", "holds an ISRC"),
        ("isrc,album\nGBAYE0000351,x\n", "Rename it, such as to 'my_album'"),
        ("isrc,mode\nGBAYE0000351,minor\n", "use the column 'key'"),
        ("isrc,A b,a-b\nGBAYE0000351,1,2\n", "two columns that are both named 'a_b'"),
        ("isrc,price\nGBAYE0000351,1,2\n", "line 2: 3 cells but 2 columns"),
        ("isrc,price\nGBAYE0000351,1\nGBAYE0000351,2\n", "lines 2 and 3 are about the same track"),
        ("isrc,price\nGBAYE9999999,1\n", "no row matches a track"),
        ("isrc,price\nGBAYE0000351,\n", "no column to import"),
        ("name,price\nx,1\n", "no column 'path' or 'isrc' or 'title'"),
        ("", "is empty"),
    ],
)
def test_bad_tables_are_rejected_whole(library, tmp_path, text, message):
    before = content(Store.open(library))
    with pytest.raises(InputError, match=message):
        run(library, tmp_path, text)
    assert content(Store.open(library)) == before
    assert Store.open(library).imported() == {}


def test_a_column_keeps_its_kind(library, tmp_path):
    run(library, tmp_path, "isrc,price\nGBAYE0000351,3\n")
    with pytest.raises(InputError, match="line 2: the column 'price' holds a number, got 'free'"):
        run(library, tmp_path, "isrc,price\nGBAYE0000351,free\n")
    run(library, tmp_path, "isrc,code\nGBAYE0000351,a1\n")
    run(library, tmp_path, "isrc,code\nGBAYE0000351,17\n")
    assert imported(library, 0) == {"price": 3.0, "code": "17"}


def test_a_missing_table_and_a_library_of_the_old_format_are_errors(library, tmp_path):
    with Store.open(library) as store, pytest.raises(NotFoundError):
        import_columns(store, tmp_path / "absent.csv")
    with Store.create(tmp_path / "old", make_meta(format=2)) as store:
        store.upsert([make_entry(0)])
    with pytest.raises(ArtifactError, match="reelscore rebuild"):
        run(tmp_path / "old", tmp_path, "isrc,price\nGBAYE0000351,3\n")
