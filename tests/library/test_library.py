"""Adding, pruning, removing and rebuilding the tracks of a library."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from reelscore import ArtifactError, InputError, Library, NotFoundError
from reelscore.library import adding
from reelscore.library.storage.hashes import FileHashes
from support import worlds


@pytest.fixture
def music(tmp_path, music_folder):
    return shutil.copytree(music_folder, tmp_path / "music")


@pytest.fixture
def library(tmp_path, light_library):
    """An empty library, with what is already known of the songs in its cache."""
    cache = shutil.copytree(light_library.path.with_name("cache"), tmp_path / "cache")
    return Library.open(tmp_path / "lib", cache=cache)


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


def test_pruning_removes_the_tracks_whose_files_are_gone(library, music, tmp_path):
    (music / "sub").mkdir()
    (music / "song 5.wav").rename(music / "sub" / "song 5.wav")
    elsewhere = shutil.copytree(music / "sub", tmp_path / "other")
    worlds.song(elsewhere / "song 5.wav", tempo_bpm=99, pitch_hz=333)
    library.add(music, elsewhere, workers=1)
    shutil.rmtree(music / "sub")
    (music / "song 1.wav").unlink()
    shutil.rmtree(elsewhere)
    assert len(library.add(music, workers=1).unchanged) == 4
    assert len(library) == 7
    summary = library.add(music, prune=True, workers=1)
    assert [Path(p).name for p in summary.removed] == ["song 1.wav", "song 5.wav"]
    assert len(library) == 5  # another folder, which may be on a disk that is not mounted, is not touched
    with pytest.raises(NotFoundError, match="other does not exist, so no track is pruned"):
        library.add(music, elsewhere, prune=True)
    for song in music.glob("*.wav"):
        song.unlink()
    with pytest.raises(InputError, match="no music found"):
        library.add(music, prune=True)
    assert len(library) == 5


@pytest.mark.slow
def test_pruning_keeps_what_is_behind_a_broken_link(library, music, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    (music / "song 1.wav").rename(disk / "song 1.wav")
    (music / "usb").symlink_to(disk)
    library.add(music, workers=1)
    disk.rename(tmp_path / "unmounted")
    summary = library.add(music, prune=True, workers=1)
    assert summary.removed == ()
    assert len(library) == 6


def test_the_first_copy_by_name_is_the_track_whichever_is_embedded_first(library, music, monkeypatch):
    shutil.copy(music / "song 2.wav", music / "aaa copy.wav")
    run_all = adding.run_all
    monkeypatch.setattr(adding, "run_all", lambda items, *a, **k: run_all(list(reversed(items)), *a, **k))
    summary = library.add(music, workers=1)
    assert [Path(p).name for p in summary.duplicates] == ["song 2.wav"]
    assert "aaa copy.wav" in {Path(t.path).name for t in library.tracks()}
    assert len(library) == len(summary.added) == 6


@pytest.mark.slow
def test_second_copies_are_known_and_not_read_again(library, music, monkeypatch):
    shutil.copy(music / "song 2.wav", music / "zzz copy.wav")
    first = library.add(music, workers=1)
    assert [Path(p).name for p in first.duplicates] == ["zzz copy.wav"]
    opened = Library.open(library.path, cache=library.cache_folder)
    monkeypatch.setattr(adding, "run_all", lambda *_, **__: pytest.fail("a file is read again"))
    monkeypatch.setattr(adding, "content_hash", lambda _: pytest.fail("a file is hashed again"))
    again = opened.add(music, workers=1)
    assert (again.duplicates, len(again.unchanged), again.is_empty) == (first.duplicates, 6, True)
    monkeypatch.undo()
    (music / "song 2.wav").unlink()
    moved = opened.add(music, workers=1)
    assert [Path(p).name for p in moved.moved] == ["zzz copy.wav"]
    assert len(opened) == 6


def test_a_change_that_keeps_size_and_time_is_noticed(library, music):
    library.add(music, workers=1)
    song = music / "song 3.wav"
    before, content = song.stat(), bytearray(song.read_bytes())
    content[-1] ^= 1
    time.sleep(0.02)  # the clock of some file systems is coarse
    song.write_bytes(content)
    os.utime(song, ns=(before.st_atime_ns, before.st_mtime_ns))
    summary = library.add(music, workers=1)
    assert ([Path(p).name for p in summary.added], len(summary.unchanged)) == (["song 3.wav"], 5)
    assert len(library) == 6
    assert library.add(music, workers=1).is_empty


@pytest.mark.slow
@pytest.mark.parametrize("content", [None, b"{", b'{"format": 1, "files": {"x": [1]}}', b"[" * 100_000])
def test_without_content_hashes_size_and_time_count(library, music, content):
    library.add(music, workers=1)
    file = library.path / "files.json"
    file.unlink() if content is None else file.write_bytes(content)
    assert len(library.add(music, workers=1).unchanged) == 6
    assert len(FileHashes.read(library.path)._entries) == 6


def test_no_path_stops_an_add(library, music, tmp_path, monkeypatch):
    odd = tmp_path / "odd"
    shutil.copytree(music, odd / "...And Justice for All")
    os.mkfifo(odd / "pipe.mp3")
    shutil.copy(music / "song 1.wav", os.fsencode(odd) + b"/caf\xe9.wav")
    (odd / "loop").symlink_to(odd)
    (odd / "...And Justice for All" / "song 4.wav").unlink()
    worlds.song(odd / "song 4.wav", tempo_bpm=66)
    long = odd / ("x" * 300 + ".mp3")
    found = adding.find_files

    def and_one_vanishes(*arguments):
        result = found(*arguments)
        (odd / "song 4.wav").unlink()
        return result

    monkeypatch.setattr(adding, "find_files", and_one_vanishes)
    summary = library.add(odd, long, odd / "a\0b.mp3", workers=1)
    assert len(summary.added) == 5
    reasons = {Path(f.path).name: f.reason for f in summary.failed}
    assert set(reasons) == {"pipe.mp3", "caf\\xe9.wav", "song 4.wav", long.name, "a\0b.mp3"}
    assert "expected a regular file" in reasons["pipe.mp3"]
    assert "not valid UTF-8" in reasons["caf\\xe9.wav"]
    assert "unexpected" not in str(reasons)


def test_tracks_are_named_by_any_path_that_leads_to_them(library, music, tmp_path, monkeypatch):
    (music / "song 0.wav").rename(music / "e\u0301te\u0301.wav")
    library.add(music, workers=1)
    (tmp_path / "link").symlink_to(music)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (
        "../music/song 1.wav",
        "../here/../music/song 1.wav",
        "~/music/song 1.wav",
        "../link/song 1.wav",
    ):
        assert library.show(name).track.title == "song 1"
    assert library.show("../music/\u00e9t\u00e9.wav").track.title == "\u00e9t\u00e9"
    assert library.show("\u00c9T\u00c9").track.title == "\u00e9t\u00e9"
    (tmp_path / "here" / "copy.wav").hardlink_to(music / "song 2.wav")
    assert library.show("./copy.wav").track.title == "song 2"
    monkeypatch.chdir(music)
    (music / "song 1.wav").unlink()
    assert [t.title for t in library.remove(["./song 1.wav", "song 2.wav"])] == ["song 1", "song 2"]


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


def loaded_after(*arguments):
    code = (
        f"import sys; sys.argv = {['reelscore', *map(str, arguments)]!r}\n"
        "from reelscore.cli.app import run\n"
        "try: run()\n"
        "except SystemExit as end: assert end.code in (None, 0), end.code\n"
        "print('MODULES', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    output, _, modules = done.stdout.rpartition("MODULES")
    return output, done.stderr, set(modules.split())


@pytest.mark.slow
def test_adding_nothing_new_and_listing_load_no_lancedb(library, music):
    library.add(music, workers=1)
    heavy = {"lancedb", "pyarrow", "pandas", "torch", "av", "onnxruntime"}
    output, errors, modules = loaded_after("add", music, "--library", library.path)
    assert output.splitlines() == ["6 tracks up to date", f"library {library.path}: 6 tracks"]
    assert errors == ""
    assert not modules & heavy
    output, _, modules = loaded_after("list", "--library", library.path)
    assert len(output.splitlines()) == 7
    assert not modules & heavy


@pytest.mark.slow
def test_the_cloud_client_of_lancedb_is_never_loaded(filled):
    _, _, modules = loaded_after("show", "song 1", "--library", filled.path)
    assert "lancedb" in modules
    assert not {m for m in modules if m.startswith("lance_namespace_urllib3_client")}
    # A program that uses LanceDB's cloud next to reelscore gets its own classes.
    code = (
        "import reelscore.library.storage.store, lance_namespace\n"
        "print(lance_namespace.CreateNamespaceRequest(id=['a']).id)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['a']"
