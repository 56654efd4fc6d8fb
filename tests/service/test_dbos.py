"""The queue of jobs on a real Postgres."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reelscore.errors import NotFoundError
from reelscore.media.probe import probe
from reelscore.service.client import Client
from support import worlds
from support.serving import ServerProcess

BIN = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"))), None)

SERVER = """
import sys, time
from pathlib import Path
from reelscore.service.database import Database
from reelscore.service.dbos_jobs import DbosQueue
from reelscore.service.events import Events
from reelscore.service.jobs import Busy, JobFailed, WorkerDied

url, folder, mode = sys.argv[1:]
folder = Path(folder)
events = Events(Database(folder / "events.sqlite"))
queue = DbosQueue(url, events, {"analyse": 2}, most=12)
attempts = {}

def work(job):
    n = job.arguments["n"]
    attempts[n] = attempts.get(n, 0) + 1
    if mode == "hang":
        (folder / "begun").touch()
        time.sleep(60)
    if n == 3:
        raise JobFailed("no sound")
    if n == 4 and attempts[n] == 1 or n == 5:
        raise WorkerDied("SIGKILL")
    with (folder / "effects").open("a") as file:
        file.write(f"{n}\\n")
    return {"twice": 2 * n}

queue.start(work)
if mode == "hang":
    for n in range(8):
        queue.enqueue("analyse", {"n": n}, owner="anna", video=f"video {n % 2}", key=f"job {n}")
    print("accepted", flush=True)
    time.sleep(60)
known = queue.enqueue("analyse", {"n": 0}, key="job 0")
while any(job.state in ("queued", "running") for job in queue.find()):
    time.sleep(0.1)
jobs = sorted(queue.find(), key=lambda job: job.arguments["n"])
assert [job.arguments["n"] for job in jobs] == list(range(8)), jobs
assert queue.get(known.id).result == {"twice": 0}
assert [job.state for job in jobs] == ["done"] * 3 + ["failed", "done", "failed", "done", "done"], jobs
assert jobs[3].reason == "no sound"
assert "SIGKILL" in jobs[5].reason
assert len(queue.find(video="video 1")) == 4
assert queue.find(owner="bert") == []
queue.forget("video 1")
assert queue.find(video="video 1") == []
assert len(queue.find()) == 4
assert queue.counts() == {("analyse", "done"): 4}
queue.stop(1)
print("passed", flush=True)
"""


@pytest.fixture
def postgres() -> Iterator[str]:
    """Start a Postgres server of its own, and return its URL."""
    if BIN is None:
        pytest.skip("Postgres is not installed; on Debian: apt install postgresql")
    pytest.importorskip("dbos")
    user = "postgres" if os.geteuid() == 0 else None  # it does not run as root
    # Other users may have no right to pass the folder of temporary files of this one.
    folder = Path(tempfile.mkdtemp(dir="/var/tmp" if user else None))
    if user:
        shutil.chown(folder, user)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    subprocess.run(
        [BIN / "initdb", "-D", folder / "db", "-U", "postgres", "-A", "trust", "--no-sync"],
        check=True,
        capture_output=True,
        user=user,
        cwd="/",
    )
    options = ["-D", folder / "db", "-p", str(port), "-k", folder, "-c", "listen_addresses=127.0.0.1", "-F"]
    server = subprocess.Popen([BIN / "postgres", *options], user=user, cwd="/", stderr=subprocess.DEVNULL)
    try:
        ready = [BIN / "pg_isready", "-h", "127.0.0.1", "-p", str(port)]
        end = time.monotonic() + 60
        while subprocess.run(ready, capture_output=True, check=False).returncode:
            assert time.monotonic() < end
            time.sleep(0.1)
        yield f"postgresql://postgres@127.0.0.1:{port}/reelscore"
    finally:
        server.terminate()
        server.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_jobs_survive_a_kill_and_run_once(postgres: str, tmp_path: Path) -> None:
    """Kill a server whose jobs wait or run; the next one does each of them once."""
    command = [sys.executable, "-c", SERVER, postgres, str(tmp_path)]
    server = subprocess.Popen([*command, "hang"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    assert server.stdout.readline() == "accepted\n"
    end = time.monotonic() + 60
    while not (tmp_path / "begun").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    server.kill()
    server.wait()
    done = subprocess.run([*command, "finish"], capture_output=True, text=True, timeout=200, check=False)
    assert done.stdout == "passed\n", done.stderr
    assert sorted(map(int, (tmp_path / "effects").read_text().split())) == [0, 1, 2, 4, 6, 7]


@pytest.mark.slow
def test_the_service_keeps_its_jobs_in_postgres_across_a_kill(postgres: str, tmp_path: Path) -> None:
    """Add music, upload, match, render and delete; the server is killed while the render waits or runs."""
    music = worlds.songs(tmp_path / "music", 2)
    film = worlds.finished(tmp_path / "film.mp4", i=3)
    arguments = ("--library", tmp_path / "lib", "--data", tmp_path / "data", "--root", tmp_path)
    arguments = (*arguments, "--jobs", postgres)
    server = ServerProcess(*arguments, cache=tmp_path / "cache")
    with Client(server.url) as client:
        assert len((client.add_tracks(music).result or {})["added"]) == 2
        video = client.upload(film)
        named = client.use_path(film)
        best = client.match(video, top=1).matches[0]
        body = {"video": video.id, "track": best.key, "start_s": best.start_s}
        job = server.http.post("/v1/renders", json=body, headers={"idempotency-key": "one"}).json()
        server.kill()
    server = ServerProcess(*arguments, cache=tmp_path / "cache")
    try:
        with Client(server.url) as client:
            again = server.http.post("/v1/renders", json=body, headers={"idempotency-key": "one"}).json()
            assert again["id"] == job["id"]
            assert client.wait_for_job(job["id"]).state == "done"
            (tmp_path / "out.mp4").write_bytes(server.http.get(f"/v1/jobs/{job['id']}/file").content)
            info = probe(tmp_path / "out.mp4")
            assert info.video is not None
            assert info.audio is not None
            assert {found.kind for found in client.jobs()} == {"add", "analyse", "render"}
            client.delete_video(video.id)
            with pytest.raises(NotFoundError):
                client.video(video.id)
            assert server.http.get(f"/v1/jobs/{job['id']}").status_code == 404
            assert {found.video for found in client.jobs()} == {None, named.id}
            assert not (tmp_path / "data" / "videos" / video.id).exists()
            assert film.exists()
    finally:
        assert server.stop() == 0
