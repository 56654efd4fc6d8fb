"""Atomic writes, content hashes, special files, damaged JSON and TOML, and the user's folders."""

from __future__ import annotations

import gc
import io
import os
import socket
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from reelscore.encoders.cache import default_folder
from reelscore.errors import InputError, NotFoundError
from reelscore.files import (
    cache_folder,
    content_hash,
    data_folder,
    existing_file,
    open_file,
    parse_json,
    parse_toml,
    read_arrays,
    read_file,
    replace_file,
    write_bytes,
)


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


@pytest.fixture(params=["pipe", "link to a pipe", "socket", "device", "link to a device"])
def special_file(request, tmp_path):
    """A file that may block or never end."""
    path = tmp_path / "x.mp3"
    if "pipe" in request.param:
        os.mkfifo(tmp_path / "pipe")
        path = tmp_path / "pipe" if request.param == "pipe" else path
        if path.name != "pipe":
            path.symlink_to(tmp_path / "pipe")
    elif request.param == "device":
        path = Path("/dev/zero")
    elif request.param == "link to a device":
        path.symlink_to("/dev/zero")
    else:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(path))
    return path


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("read", [existing_file, open_file, read_file, content_hash])
def test_only_regular_files_are_read(special_file, read):
    with pytest.raises(InputError, match=r": a (named pipe|socket|device), expected a regular file"):
        read(special_file)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_file_replaced_by_a_pipe_after_the_check_does_not_block(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(Path, "stat", lambda _, kept=(tmp_path / "file").stat(): kept)
    with pytest.raises(InputError, match="pipe: a named pipe"):
        open_file(tmp_path / "pipe")


@pytest.mark.parametrize("name", ["x" * 300, "loop", "a\0b"])
def test_names_that_cannot_be_read_are_clear_errors(tmp_path, name):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(NotFoundError, match=r"cannot be read|does not exist"):
        existing_file(tmp_path / name)


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        "[" + "9" * 5000 + "]",
        "[-" + "9" * 40 + "]",
        "{",
        b"\xff\xfe\x00",
        "",
    ],
)
def test_json_that_cannot_be_read_is_a_value_error(content):
    with pytest.raises(ValueError, match=r"."):
        parse_json(content)


@pytest.mark.parametrize(
    "content", ["a = " + "[" * 100_000, "a = " + "9" * 5000, "a = ", b"\xff", "a = " + "{b=" * 10_000]
)
def test_toml_that_cannot_be_read_is_a_value_error(content):
    with pytest.raises(ValueError, match=r"."):
        parse_toml(content if isinstance(content, bytes) else content.encode())


def test_numbers_of_64_bits_are_read():
    assert parse_json(f"[{2**63 - 1}, {-(2**63)}, 1.5]") == [2**63 - 1, -(2**63), 1.5]


def test_arrays_are_read_in_threads_at_the_same_time():
    # Python 3.11.0 to 3.11.7 fails without the lock where a collection of garbage, which runs Python here as it does
    # wherever an object has a finalizer, switches threads while a header is parsed.
    content = io.BytesIO()
    np.savez(content, rows=np.ones((3, 4), np.float32), cuts_s=np.zeros(2))
    failures = []

    def read() -> None:
        try:
            for _ in range(100):
                arrays = read_arrays(content.getvalue())
                assert sorted(arrays) == ["cuts_s", "rows"]
                assert arrays["rows"].sum() == 12
        except Exception as error:
            failures.append(error)

    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    callback = lambda *_: sum(range(20))  # noqa: E731
    gc.callbacks.append(callback)
    try:
        sys.setswitchinterval(1e-6)
        gc.set_threshold(20, 2, 2)
        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(callback)
    assert not failures


@pytest.mark.parametrize("content", [b"", b"PK", b"\x93NUMPY\x01\x00", b"no archive"])
def test_damaged_arrays_are_a_value_error(content):
    with pytest.raises(ValueError, match="no arrays that can be read"):
        read_arrays(content)


def test_a_single_array_is_no_archive():
    content = io.BytesIO()
    np.save(content, np.ones(3))
    with pytest.raises(ValueError, match="no arrays that can be read"):
        read_arrays(content.getvalue())
