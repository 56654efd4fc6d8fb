"""Extracted tracks: a library of them is that of their files."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import pytest

from reelscore import Library
from reelscore.errors import ArtifactError, InputError
from reelscore.library import track_set
from reelscore.library.storage import schema
from reelscore.library.storage.generations import DETAILS_NAME
from reelscore.library.storage.lance import Table
from reelscore.library.track_import import add_tracks
from reelscore.library.track_set import TrackSet, find_tracks, write_tracks
from reelscore.workers.local import run_all
from support import worlds
from support.buckets import BUCKET, localbucket, use

pytestmark = pytest.mark.slow

ONE_WORKER = partial(run_all, workers=1)


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three songs, a copy of the first, and a file that is none; read only."""
    folder = worlds.songs(tmp_path_factory.mktemp("music") / "songs", 3)
    shutil.copy(folder / "song 0.wav", folder / "song 9.wav")
    (folder / "poor.mp3").write_bytes(b"no music")
    return folder


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory, music: Path) -> Library:
    """A library of the files; read only."""
    folder = tmp_path_factory.mktemp("added")
    library = Library.open(folder / "lib", cache=folder / "cache")
    library.add(music, workers=1)
    return library


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory, music: Path, added: Library) -> TrackSet:
    """A data set of the files; read only."""
    tracks = TrackSet.open_or_create(tmp_path_factory.mktemp("set") / "set", added.pipeline, name="songs")
    paths, problems = find_tracks(music)
    assert not problems
    report = write_tracks(tracks, paths, added.pipeline.spec, engine=ONE_WORKER)
    assert (report.num_new, [Path(one.key).name for one in report.failed]) == (4, ["poor.mp3"])
    return tracks


def content(library: Library) -> list[list[dict[str, object]]]:
    """Return all that is stored about the tracks and their details, but for when it was written."""
    store = library._store()
    details = Table(library._location, store._pointer.generation, DETAILS_NAME).scan()
    return [
        [
            {name: value for name, value in row.items() if name != "revision"}
            for row in table.sort_by("key").to_pylist()
        ]
        for table in (store._table.scan(), details)
    ]


def test_a_library_of_a_data_set_is_that_of_its_files(
    tmp_path: Path, music: Path, added: Library, extracted: TrackSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library.open(tmp_path / "lib", cache=tmp_path / "cache")
    seen: list[tuple[int, int]] = []
    summary = add_tracks(
        library, TrackSet.open(extracted.table.uri), progress=lambda *done: seen.append(done)
    )
    assert [Path(path).name for path in summary.added] == ["song 0.wav", "song 1.wav", "song 2.wav"]
    assert [Path(path).name for path in summary.duplicates] == ["song 9.wav"]
    assert seen[-1] == (4, 4)
    assert content(library) == content(added)
    assert not list((tmp_path / "cache").rglob("*.npz"))  # nothing was decoded
    again = add_tracks(library, extracted)
    assert (len(again.unchanged), len(again.added)) == (3, 0)
    monkeypatch.setattr("reelscore.library.adding.run_all", None)  # nor is anything by an add of the files
    later = library.add(*(music / f"song {i}.wav" for i in (0, 1, 2, 9)), workers=1)
    assert (len(later.unchanged), len(later.duplicates)) == (3, 1)


def test_tracks_of_another_model_are_refused(
    tmp_path: Path, added: Library, extracted: TrackSet, light_model: Path
) -> None:
    library = Library.open(tmp_path / "lib", model=light_model, cache=tmp_path / "cache")
    with pytest.raises(ArtifactError, match=r"was extracted with model .*the same --model"):
        add_tracks(library, extracted)
    assert not (tmp_path / "lib").exists()
    with pytest.raises(ArtifactError, match="was extracted with fingerprints"):
        TrackSet.open_or_create(extracted.table.uri, library.pipeline, name="songs")
    with pytest.raises(ArtifactError, match="was extracted with name 'songs', not 'others'"):
        TrackSet.open_or_create(extracted.table.uri, added.pipeline, name="others")


def test_tracks_are_found_in_tables_and_buckets(
    tmp_path: Path, music: Path, added: Library, extracted: TrackSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "tracks.csv"
    table.write_text(f"music,title\n{music}/song 1.wav,a\n,b\nsub/song.mp3,c\n")
    paths, problems = find_tracks(table)
    assert paths == [f"{music}/song 1.wav", f"{tmp_path}/sub/song.mp3"]
    assert [(one.line, one.reason) for one in problems] == [(3, "the music column is empty; fill it in")]
    with pytest.raises(InputError, match="no music found in"):
        find_tracks(tmp_path)
    with localbucket(tmp_path / "server") as url:
        use(monkeypatch, url)
        folder = track_set.S3Folder.parse(f"s3://{BUCKET}/songs")
        for name in ("song 1.wav", "song 2.wav", "notes.txt", "._song 1.wav"):
            folder.write(name, (music / name).read_bytes() if name[0] == "s" else b"-")
        paths, _ = find_tracks(str(folder))
        assert paths == [f"{folder}/song 1.wav", f"{folder}/song 2.wav"]
        tracks = TrackSet.open_or_create(f"s3://{BUCKET}/set", added.pipeline, name="songs")
        write_tracks(tracks, paths, added.pipeline.spec, engine=ONE_WORKER)
        library = Library.open(f"s3://{BUCKET}/lib", cache=tmp_path / "cache")
        assert add_tracks(library, tracks).added == tuple(paths)
        assert [track.path for track in library.tracks()] == paths
    local = {entry.track.title: entry for entry in extracted.entries()}
    for entry in tracks.entries():
        same = local[entry.track.title]
        assert entry.track.key == same.track.key
        assert entry.embedding.tobytes() == same.embedding.tobytes()
        assert entry.facts.values.items() >= {"lufs": same.facts.values["lufs"]}.items()
    assert schema.TRACK_JSON in tracks.table.schema.names
