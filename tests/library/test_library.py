"""Adding, pruning, removing and rebuilding the tracks of a library."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from reelscore import ArtifactError, InputError, Library, NotFoundError
from reelscore.library.indexing import music_files
from support import worlds


@pytest.fixture
def music(tmp_path, music_folder):
    return shutil.copytree(music_folder, tmp_path / "music")


@pytest.fixture
def library(tmp_path):
    return Library.open(tmp_path / "lib", cache=tmp_path / "cache")


@pytest.fixture
def filled(tmp_path, light_library):
    """A copy of the session's library, over the songs of `music_folder`."""
    return Library.open(shutil.copytree(light_library.path, tmp_path / "filled"), cache=tmp_path / "cache")


def state(library):
    searcher = library.searcher()
    query = np.ones(searcher.meta.dim, np.float32) / np.sqrt(searcher.meta.dim)
    return [(t.key, t.path, score) for t, score in searcher.search(query, 100)]


def test_adding_twice_changes_nothing(library, music):
    first = library.add(music, workers=1)
    assert (len(first.added), len(first.failed)) == (6, 0)
    before = state(library)
    second = library.add(music, workers=1)
    assert (len(second.added), len(second.unchanged)) == (0, 6)
    assert state(library) == before
    assert len(library) == 6


def test_new_changed_moved_and_copied_files_are_distinguished(library, music):
    library.add(music, workers=1)
    (music / "deep" / "er").mkdir(parents=True)
    worlds.song(music / "deep" / "er" / "new.wav", tempo_bpm=77)
    worlds.song(music / "song 0.wav", tempo_bpm=99, pitch_hz=333)
    (music / "song 1.wav").rename(music / "renamed.wav")
    shutil.copy(music / "song 2.wav", music / "zzz copy.wav")
    summary = library.add(music, workers=1)
    names = {k: {Path(p).name for p in getattr(summary, k)} for k in ("added", "moved", "duplicates")}
    assert names == {
        "added": {"new.wav", "song 0.wav"},
        "moved": {"renamed.wav"},
        "duplicates": {"zzz copy.wav"},
    }
    assert len(library) == 7
    assert {Path(t.path).name for t in library.tracks()} == {
        "new.wav", "renamed.wav", "song 0.wav", "song 2.wav", "song 3.wav", "song 4.wav", "song 5.wav",
    }  # fmt: skip


def test_a_file_that_is_not_what_its_header_states_is_added_with_a_note(library, tmp_path):
    path = worlds.song(tmp_path / "cut.wav", tempo_bpm=99)
    path.write_bytes(path.read_bytes()[:-50_000])
    summary = library.add(path, workers=1)
    assert summary.added == (str(path),)
    assert summary.notes == (f"{path}: the file is truncated, or its header is wrong",)
    assert library.add(path, workers=1).notes == ()


def test_bad_files_are_recorded_and_the_others_added(library, music, video_file):
    (music / "empty.mp3").touch()
    (music / "text.wav").write_text("not sound at all\n" * 99)
    shutil.copy(video_file, music / "silent film.m4a")
    (music / "dangling.ogg").symlink_to(music / "nowhere.ogg")
    worlds.song(music / "-dash.wav", tempo_bpm=71)
    worlds.song(music / 'it\'s "quoted" 🎵.wav', tempo_bpm=73)
    worlds.song(music / "blink.wav", tempo_bpm=75, seconds=0.1)
    summary = library.add(music, music / "absent.mp3", workers=1)
    assert len(summary.added) == 9
    reasons = {Path(f.path).name: f.reason for f in summary.failed}
    assert set(reasons) == {"empty.mp3", "text.wav", "silent film.m4a", "dangling.ogg", "absent.mp3"}
    assert all(len(reason) > 10 for reason in reasons.values())


def test_a_folder_without_music_says_what_was_looked_for(library, tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match=r"no music found in .*\.mp3"):
        library.add(tmp_path / "none")


def test_pruning_mirrors_the_files(filled, music_folder):
    kept = [music_folder / f"song {i}.wav" for i in (0, 1, 2, 4, 5)]
    assert len(filled.add(*kept, prune=True).unchanged) == 5
    assert len(filled) == 5


def test_removing_needs_every_name(filled, music_folder):
    with pytest.raises(NotFoundError):
        filled.remove(["song 1", "no such song"])
    assert len(filled) == 6
    removed = filled.remove(["song 1", str(music_folder / "song 2.wav")])
    assert [t.title for t in removed] == ["song 1", "song 2"]
    assert len(filled) == 4
    assert (music_folder / "song 1.wav").exists()


def test_rebuilding_needs_no_file_while_features_are_cached(library, music, tmp_path):
    library.add(music, workers=1)
    before = state(library)
    shutil.rmtree(music)
    library.rebuild(workers=1)
    assert state(library) == before
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(ArtifactError, match="stays as it was"):
        library.rebuild(workers=1)
    assert state(library) == before


def test_opening_says_what_is_wrong(tmp_path, filled):
    with pytest.raises(NotFoundError, match="reelscore add"):
        Library.open(tmp_path / "absent", create=False)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    with pytest.raises(ArtifactError, match="not a library"):
        Library.open(tmp_path / "other")
    with pytest.raises(ArtifactError, match="light encoder"):
        Library.open(filled.path, encoder="pack")


def test_hidden_files_are_left_alone_and_order_is_stable(tmp_path):
    for name in ("b.mp3", "a.FLAC", ".hidden.mp3", "notes.txt", ".git/x.mp3"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    files, problems = music_files([tmp_path, tmp_path / "b.mp3"])
    assert [Path(f).name for f in files] == ["a.FLAC", "b.mp3"]
    assert problems == []


def test_what_a_kill_left_before_the_library_was_made_is_no_obstacle(tmp_path, music_folder):
    for leftover in ("lock", ".library.json.abc.part"):
        (tmp_path / "lib").mkdir(exist_ok=True)
        (tmp_path / "lib" / leftover).touch()
    (tmp_path / "lib" / "tables").mkdir()
    opened = Library.open(tmp_path / "lib")
    assert len(opened.add(music_folder / "song 0.wav", workers=1).added) == 1
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").touch()
    with pytest.raises(ArtifactError, match="not a library"):
        Library.open(tmp_path / "mine")
