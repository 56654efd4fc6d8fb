"""Atomic writes, content hashes, missing files and the user's folders."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from reelscore.encoders.cache import default_folder
from reelscore.errors import NotFoundError
from reelscore.files import cache_folder, content_hash, data_folder, existing_file, replace_file, write_bytes


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    target = tmp_path / "a" / "file.bin"
    write_bytes(target, b"old")
    with pytest.raises(ZeroDivisionError), replace_file(target) as file:
        file.write(b"half" * (1 // len(target.name[:0])))
    assert target.read_bytes() == b"old"
    assert [p.name for p in target.parent.iterdir()] == ["file.bin"]


def test_content_is_identity(tmp_path):
    write_bytes(tmp_path / "a", b"x" * 100_000)
    write_bytes(tmp_path / "b", b"x" * 100_000)
    write_bytes(tmp_path / "c", b"x" * 99_999)
    assert content_hash(tmp_path / "a") == content_hash(tmp_path / "b") != content_hash(tmp_path / "c")


def test_absent_files_and_folders_are_told_apart(tmp_path):
    with pytest.raises(NotFoundError, match="is a folder"):
        existing_file(tmp_path)
    with pytest.raises(NotFoundError, match="does not exist"):
        existing_file(tmp_path / "no")


def test_the_folders_of_the_user_follow_the_xdg_variables(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/c")
    monkeypatch.setenv("XDG_DATA_HOME", "/d")
    assert default_folder() == Path("/c/reelscore/features")
    assert (cache_folder(), data_folder()) == (Path("/c/reelscore"), Path("/d/reelscore"))


@pytest.mark.skipif(sys.platform != "linux", reason="the defaults differ between systems")
@pytest.mark.parametrize("value", ["", "relative"])
def test_the_folders_of_the_user_on_linux(monkeypatch, value):
    monkeypatch.setenv("HOME", "/h")
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    monkeypatch.setenv("XDG_DATA_HOME", value)
    assert cache_folder() == Path("/h/.cache/reelscore")
    assert data_folder() == Path("/h/.local/share/reelscore")
