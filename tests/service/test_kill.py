"""The server killed in uploads, jobs and writes of the library."""

from __future__ import annotations

import json
import random
import sqlite3
import threading
import time
from pathlib import Path

import httpx2
import pytest

from reelscore.media.probe import probe
from reelscore.service.client import Client
from support import worlds
from support.serving import PART, TUS, ServerProcess


@pytest.mark.slow
@pytest.mark.parametrize("num_kills", [3, pytest.param(20, marks=pytest.mark.long)])
def test_nothing_accepted_is_lost_and_nothing_is_done_twice(tmp_path: Path, num_kills: int) -> None:
    """Kill the server many times while a client uploads, renders and adds music; then let it finish."""
    rng = random.Random(21)
    music = worlds.songs(tmp_path / "music", 2)
    film = worlds.finished(tmp_path / "film.mp4", i=3).read_bytes()
    arguments = ("--library", tmp_path / "lib", "--data", tmp_path / "data", "--root", tmp_path)
    uploads: dict[str, bytes] = {}
    jobs: dict[str, str] = {}

    def work(server: ServerProcess, number: int) -> None:
        http = server.http
        content = film + (16).to_bytes(4, "big") + f"free{number:08}".encode()
        answer = http.post("/v1/videos", headers={**TUS, "upload-length": str(len(content))})
        assert answer.status_code == 201, answer.text
        uploads[answer.headers["location"]] = content
        worlds.song(music / f"new {number}.wav", tempo_bpm=70 + 3 * number, pitch_hz=100 + 7 * number)
        answer = http.post("/v1/tracks", json={"paths": [str(music)]})
        assert answer.status_code == 202, answer.text
        jobs[answer.json()["id"]] = "add"
        while True:
            for at in list(uploads):
                go_on(http, at, uploads[at], step=rng.choice((1000, 30_000)))
            tracks = http.get("/v1/tracks").json()["tracks"]
            videos = [video for video in http.get("/v1/videos").json()["videos"] if video["state"] == "ready"]
            if tracks and videos:
                body = {"video": rng.choice(videos)["id"], "track": rng.choice(tracks)["key"]}
                key = {"idempotency-key": f"{number}"}
                answer = http.post("/v1/renders", json=body, headers=key)
                if answer.status_code == 202:
                    jobs[answer.json()["id"]] = "render"
            time.sleep(0.1)

    # The first video and the first tracks are there before the first kill, so that every server can render.
    begun_s = time.monotonic()
    server = ServerProcess(*arguments, cache=tmp_path / "cache")
    # On a busy machine a server needs longer, for its work as for its start.
    pace = max(1.0, (time.monotonic() - begun_s) / 2)
    with Client(server.url) as client:
        client.upload(tmp_path / "film.mp4")
        client.add_tracks(music)
    assert server.stop() == 0

    for number in range(num_kills):
        server = ServerProcess(*arguments, cache=tmp_path / "cache")
        killer = kill_after(pace * rng.uniform(0.2, 2.5), server)
        try:
            work(server, number)
        except (httpx2.TransportError, RuntimeError):
            killer.join()
            assert not server.is_alive  # the kill also closes the client, even between two requests
        finally:
            killer.join()

    server = ServerProcess(*arguments, cache=tmp_path / "cache")
    try:
        deadline = time.monotonic() + 200 * pace
        for at, content in uploads.items():
            go_on(server.http, at, content, step=1 << 20)
        for at in [*uploads, *(f"/v1/jobs/{id}" for id in jobs)]:
            while (state := server.http.get(at).json()["state"]) in ("analysing", "queued", "running"):
                assert time.monotonic() < deadline, (at, state)
                time.sleep(0.1)
            assert state in ("ready", "done"), server.http.get(at).text
        for at, content in uploads.items():
            assert server.http.get(f"{at}/media").content == content
        known = {track["path"] for track in server.http.get("/v1/tracks").json()["tracks"]}
        assert known == {str(path) for path in music.iterdir()}
        renders = [id for id, kind in jobs.items() if kind == "render"]
        assert renders
        for id in renders:
            out = tmp_path / "out.mp4"
            out.write_bytes(server.http.get(f"/v1/jobs/{id}/file").content)
            info = probe(out)
            assert info.video is not None
            assert info.audio is not None
            assert info.duration_s == pytest.approx(3.0, abs=0.1)
    finally:
        assert server.stop() == 0
    # One end of each job, and one file of each render.
    with sqlite3.connect(tmp_path / "data" / "service.sqlite") as database:
        events = [
            json.loads(row[0]) for row in database.execute("SELECT data FROM events WHERE kind = 'job'")
        ]
        states = dict(database.execute("SELECT id, state FROM jobs").fetchall())
        done = [
            row[0] for row in database.execute("SELECT id FROM jobs WHERE kind = 'render' AND state = 'done'")
        ]
    ends = [event["id"] for event in events if event["state"] == "done"]
    assert sorted(ends) == sorted(set(ends))
    assert set(jobs) <= set(states)
    files = [path.stem for path in (tmp_path / "data" / "videos").glob("*/renders/*")]
    # A kill may cut off the answer to a render that the server has accepted.
    assert set(renders) <= set(done)
    assert sorted(files) == sorted(done)


def go_on(http: httpx2.Client, at: str, content: bytes, *, step: int) -> None:
    """Send the next part of an upload, or nothing if it is complete."""
    answer = http.head(at)
    assert answer.status_code == 200, (at, answer.status_code)
    offset = int(answer.headers["upload-offset"])
    if offset < len(content):
        headers = {**TUS, **PART, "upload-offset": str(offset)}
        assert http.patch(at, headers=headers, content=content[offset : offset + step]).status_code in (
            204,
            409,
        )


def kill_after(seconds: float, server: ServerProcess) -> threading.Timer:
    timer = threading.Timer(seconds, server.kill)
    timer.start()
    return timer
