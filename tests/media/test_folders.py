"""Finding files in folders with links, system files and odd names."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from reelscore.media.folders import find_files

SUFFIXES = {".mp3", ".flac"}


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def names_below(folder: Path, found: dict[str, object]) -> list[str]:
    return [str(Path(path).relative_to(folder)) for path in found]


def test_only_known_junk_is_skipped_and_counted(tmp_path: Path) -> None:
    kept = ("...And Justice for All/1.mp3", ".38 Special/a.FLAC", ".hidden.mp3", "Trash/b.mp3", "b.mp3")
    junk = (
        "._b.mp3",
        ".DS_Store",
        ".Trash-1000/c.mp3",
        ".TRASHES/c.mp3",
        "$RECYCLE.BIN/c.mp3",
        "@eaDir/c.mp3",
    )
    fill(
        tmp_path,
        *kept,
        *junk,
        ".git/c.mp3",
        "__MACOSX/c.mp3",
        "lost+found/c.mp3",
        "THUMBS.DB",
        "cover.jpg",
        ".mp3",
    )
    found = find_files([tmp_path, tmp_path / "b.mp3"], SUFFIXES)
    assert names_below(tmp_path, found.files) == sorted(kept)
    assert (found.num_junk, found.num_others, found.failures) == (10, 2, [])
    assert found.skipped_note is not None
    assert "10 system files or folders" in found.skipped_note


def test_linked_folders_are_followed_once_and_loops_end(tmp_path: Path) -> None:
    fill(tmp_path, "music/z/a.mp3", "disk/deep/b.mp3")
    music = tmp_path / "music"
    (music / "a link to z").symlink_to(music / "z")
    (music / "disk").symlink_to(tmp_path / "disk")
    (music / "z" / "up").symlink_to(tmp_path)
    (tmp_path / "disk" / "deep" / "loop").symlink_to("..")
    (music / "self").symlink_to("self")
    found = find_files([music], SUFFIXES)
    assert names_below(music, found.files) == ["disk/deep/b.mp3", "z/a.mp3"]
    assert found.failures == []


def test_what_cannot_be_read_is_one_line_each(tmp_path: Path) -> None:
    fill(tmp_path, "good.mp3")
    (tmp_path / "broken.mp3").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.flac")
    for name in (b"caf\xe9.mp3", b"d\xe9/in.mp3"):
        path = os.fsencode(tmp_path) + b"/" + name
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
        Path(os.fsdecode(path)).write_bytes(b"x")
    given = [tmp_path, tmp_path / "absent", tmp_path / ("x" * 300), tmp_path / "a\0.mp3", "~nobody-here/x"]
    found = find_files(given, SUFFIXES)
    assert list(found.files) == [str(tmp_path / "good.mp3")]
    reasons = {failure.path.removeprefix(f"{tmp_path}/"): failure.reason for failure in found.failures}
    assert set(reasons) == {
        "broken.mp3", "pipe.flac", "caf\\xe9.mp3", "d\\xe9", "absent", "x" * 300, "a\0.mp3", "~nobody-here/x",
    }  # fmt: skip
    assert reasons["broken.mp3"] == "it is a broken link"
    assert "regular file" in reasons["pipe.flac"]
    assert "File name too long" in reasons["x" * 300]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_an_unreadable_folder_is_one_line(tmp_path: Path) -> None:
    fill(tmp_path, "closed/a.mp3", "b.mp3")
    (tmp_path / "closed").chmod(0)
    found = find_files([tmp_path], SUFFIXES)
    (tmp_path / "closed").chmod(0o700)
    assert len(found.files) == 1
    assert "chmod" in found.failures[0].reason


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_are_found_in_any_composition(tmp_path: Path, form: str) -> None:
    fill(tmp_path, unicodedata.normalize(form, "\u00e9t\u00e9/a.mp3"))
    for given in ("NFC", "NFD"):
        found = find_files([tmp_path / unicodedata.normalize(given, "\u00e9t\u00e9")], SUFFIXES)
        assert len(found.files) == 1
