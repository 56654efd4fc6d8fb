"""A service that serves a library on an object store."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from reelscore import Library
from reelscore.objects import S3Folder
from reelscore.service import live_library
from reelscore.service.settings import Settings
from support import buckets
from support.serving import Running, running

pytestmark = pytest.mark.slow

LIBRARY = f"s3://{buckets.BUCKET}/music/lib"


def wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def titles(service: Running) -> list[str]:
    answer = service.http.get("/v1/tracks")
    assert answer.status_code == 200, answer.text
    return sorted(track["title"] for track in answer.json()["tracks"])


def test_a_read_only_replica_follows_the_library_without_a_failed_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, music_folder: Path
) -> None:
    monkeypatch.setattr(live_library, "_FRESH_SHARED_S", 0.1)
    songs = sorted(music_folder.iterdir())
    with buckets.localbucket(tmp_path / "s3") as url:
        buckets.use(monkeypatch, url)
        Library.open(LIBRARY).add(*songs[:3])
    with (
        buckets.localbucket(tmp_path / "s3") as writable,
        buckets.localbucket(tmp_path / "s3", handler=buckets.read_only()) as url,
    ):
        buckets.use(monkeypatch, url)
        settings = Settings(
            data=tmp_path / "service", library=S3Folder.parse(LIBRARY), roots=(music_folder,), workers=1
        )
        with running(settings) as service:
            assert len(titles(service)) == 3
            failed: list[str] = []
            stop = threading.Event()

            def ask() -> None:
                while not stop.is_set():
                    answer = service.http.get("/v1/tracks")
                    if answer.status_code != 200:
                        failed.append(answer.text)

            asking = threading.Thread(target=ask)
            asking.start()
            try:
                add_in_another_process(writable, songs[3:])
                wait(lambda: len(titles(service)) == 6)
            finally:
                stop.set()
                asking.join()
            assert failed == []
            key = service.http.get("/v1/tracks").json()["tracks"][0]["key"]
            answer = service.http.delete(f"/v1/tracks/{key}")
            assert answer.status_code == 422
            assert "denied access" in answer.json()["detail"]
            assert len(titles(service)) == 6


def add_in_another_process(url: str, songs: list[Path]) -> None:
    command = [sys.executable, "-m", "reelscore", "add", *map(str, songs), "--library", LIBRARY]
    subprocess.run(command, env=os.environ | buckets.environment(url), check=True, capture_output=True)


def test_a_replica_answers_while_the_store_is_unreachable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, music_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(live_library, "_FRESH_SHARED_S", 0.05)
    settings = Settings(data=tmp_path / "service", library=S3Folder.parse(LIBRARY), workers=1)
    with buckets.localbucket(tmp_path / "s3") as url:
        buckets.use(monkeypatch, url)
        Library.open(LIBRARY).add(*sorted(music_folder.iterdir())[:2])
        serving = ExitStack()
        service = serving.enter_context(running(settings))
        assert len(titles(service)) == 2
    with serving:
        buckets.use(monkeypatch, "http://127.0.0.1:1")
        wait(lambda: len(titles(service)) == 2 and "its last version answers" in caplog.text)
        assert len(titles(service)) == 2
