"""Adding tracks under kills, Ctrl-C and a full disk."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from reelscore import Library
from support import worlds


def logical_state(path):
    entries = sorted(Library.open(path, create=False)._store().entries(), key=lambda e: e.track.key)
    return [(e.track, e.embedding.tobytes(), e.moments.tobytes()) for e in entries]


def adding(music, library):
    return subprocess.Popen(
        [sys.executable, "-m", "reelscore", "add", str(music), "--library", str(library)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.slow
def test_an_add_killed_at_random_instants_leaves_a_whole_library(tmp_path, music_folder):
    begun = time.monotonic()
    assert adding(music_folder, tmp_path / "whole").wait() == 0
    whole_s = time.monotonic() - begun
    expected = logical_state(tmp_path / "whole")
    shutil.rmtree(os.environ["XDG_CACHE_HOME"])
    instants = random.Random(0)
    for _ in range(4):
        process = adding(music_folder, tmp_path / "killed")
        time.sleep(instants.uniform(0.2, 1.1) * whole_s)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if (tmp_path / "killed" / "library.json").exists():
            found = logical_state(tmp_path / "killed")
            assert all(entry in expected for entry in found)
    Library.open(tmp_path / "killed").add(music_folder)
    assert logical_state(tmp_path / "killed") == expected


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done(tmp_path, music_folder):
    process = subprocess.Popen(
        [sys.executable, "-m", "reelscore", "add", str(music_folder), "--library", str(tmp_path / "lib")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "lib").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)  # until then the program only imports
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert "Traceback" not in errors
    assert process.returncode in (0, 130)
    assert ("run the same command again to continue" in errors) == (process.returncode == 130)
    library = Library.open(tmp_path / "lib")
    library.add(music_folder)
    assert len(library) == 6


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 3 MB, where this user may mount one."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small tmpfs needs root; run the tests as root for this one")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.slow
def test_a_full_disk_is_reported_and_loses_nothing(tmp_path, light_library, small_disk):
    library = shutil.copytree(light_library.path, small_disk / "lib")
    before = logical_state(library)
    (tmp_path / "more").mkdir()
    more = worlds.song(tmp_path / "more" / "other.wav", tempo_bpm=93, pitch_hz=500)
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1024))
    done = subprocess.run(
        [sys.executable, "-m", "reelscore", "add", str(more), "--library", str(library)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode not in (0, None)
    assert "Traceback" not in done.stderr
    assert "space" in done.stderr
    filler.unlink()
    assert logical_state(library) == before
    assert len(Library.open(library).add(more, workers=1).added) == 1
    assert len(Library.open(library)) > len(before)
