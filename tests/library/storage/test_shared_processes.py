"""Processes that write one library on an object store at the same time, one of which is killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reelscore.library.storage.store import Store
from support import buckets, shared_writer
from support.library_entries import content, make_entry, make_meta

LIBRARY = f"s3://{buckets.BUCKET}/music/lib"


pytestmark = pytest.mark.slow


@pytest.fixture(params=["localbucket", "moto"])
def address(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = buckets.localbucket(tmp_path / "s3") if request.param == "localbucket" else buckets.moto()
    with server as url:
        buckets.use(monkeypatch, url)
        yield url


def start(first: int, end: int, batch: int) -> subprocess.Popen[str]:
    program = [sys.executable, shared_writer.__file__, LIBRARY, *map(str, (first, end, batch))]
    return subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=os.environ)


def ended(writer: subprocess.Popen[str]) -> bool:
    writer.communicate(timeout=250)
    return writer.returncode == 0


def add_and_kill(num_tracks: int, batch: int) -> None:
    """Add tracks by two writers, kill one half-way, run it again, and compare with what was to be added."""
    first, second = start(0, num_tracks, batch), start(num_tracks, 2 * num_tracks, batch)
    for _ in range(num_tracks // batch // 2):
        assert second.stdout is not None
        assert second.stdout.readline()
    time.sleep(random.random() * 0.3)  # at any moment of a commit
    second.send_signal(signal.SIGKILL)
    second.communicate()
    assert second.returncode == -signal.SIGKILL
    again = start(num_tracks, 2 * num_tracks, batch)
    assert ended(again)
    assert ended(first)
    store = Store.open(LIBRARY)
    keys = store._table.scan(["key"])["key"].to_pylist()
    assert len(keys) == len(set(keys)) == 2 * num_tracks
    assert set(keys) == {make_entry(number).track.key for number in range(2 * num_tracks)}


def test_two_writers_one_killed_and_run_again(address: str, tmp_path: Path) -> None:
    add_and_kill(100, 20)
    with Store.create(tmp_path / "local", make_meta()) as local:
        local.upsert(make_entry(number) for number in range(200))
    assert content(Store.open(LIBRARY)) == content(local)


@pytest.mark.long
def test_two_writers_of_a_thousand_tracks_one_killed_and_run_again(address: str) -> None:
    add_and_kill(1000, 50)


def test_two_writers_of_the_same_tracks_add_each_once(address: str) -> None:
    writers = [start(0, 60, 12) for _ in range(2)]
    assert [ended(writer) for writer in writers] == [True, True]
    keys = Store.open(LIBRARY)._table.scan(["key"])["key"].to_pylist()
    assert sorted(keys) == sorted(make_entry(number).track.key for number in range(60))
