"""The queue of jobs, and renders over HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from reelscore.media.probe import probe
from reelscore.service.database import Database
from reelscore.service.events import Events
from reelscore.service.jobs import Busy, Cancelled, Job, JobFailed, WorkerDied
from reelscore.service.sqlite_jobs import SqliteQueue
from support.serving import Running

Open = Callable[[], SqliteQueue]


@pytest.fixture
def open_queue(tmp_path: Path) -> Open:
    """Open the queue of one database, as a new server does."""

    def opened() -> SqliteQueue:
        database = Database(tmp_path / "jobs.sqlite")
        return SqliteQueue(database, Events(database), {"analyse": 2}, most=5)

    return opened


def ended(queue: SqliteQueue, id: str) -> Job:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        job = queue.get(id)
        assert job is not None
        if job.state not in ("queued", "running"):
            return job
        time.sleep(0.01)
    raise AssertionError("the job does not end")


def test_a_job_runs_once_and_keeps_its_result(open_queue: Open) -> None:
    queue, seen = open_queue(), []

    def work(job: Job) -> Mapping[str, Any]:
        seen.append(job.arguments["n"])
        return {"twice": 2 * job.arguments["n"]}

    jobs = [queue.enqueue("analyse", {"n": n}) for n in range(5)]
    queue.start(work)
    assert [ended(queue, job.id).result for job in jobs] == [{"twice": 2 * n} for n in range(5)]
    assert sorted(seen) == [0, 1, 2, 3, 4]
    queue.stop(5)


def test_the_same_key_is_the_same_job(open_queue: Open) -> None:
    queue = open_queue()
    assert queue.enqueue("analyse", {}, key="a").id == queue.enqueue("analyse", {}, key="a").id
    assert queue.enqueue("analyse", {}, key="b").id != queue.enqueue("analyse", {}, key="a").id
    assert len(queue.find()) == 2


def test_a_full_queue_is_busy(open_queue: Open) -> None:
    queue = open_queue()
    for _ in range(5):
        queue.enqueue("analyse", {})
    with pytest.raises(Busy, match="the limit is 5"):
        queue.enqueue("analyse", {})


def test_only_the_newest_attempt_can_finish(open_queue: Open) -> None:
    queue = open_queue()
    queue.enqueue("analyse", {})
    first = queue.claim("analyse")
    assert first is not None
    assert queue.claim("analyse") is None
    # A new server queues again what ran.
    later = open_queue()
    later._threads = []
    later._lanes = {}
    later.start(lambda _: {})
    second = later.claim("analyse")
    assert second is not None
    assert (second.id, second.attempt) == (first.id, 2)
    queue._run(first, lambda _: {"by": "first"})
    assert later.get(second.id).state == "running"  # type: ignore[union-attr]
    later._run(second, lambda _: {"by": "second"})
    assert later.get(second.id).result == {"by": "second"}  # type: ignore[union-attr]


def test_a_worker_may_die_once(open_queue: Open) -> None:
    queue, attempts = open_queue(), []

    def work(job: Job) -> Mapping[str, Any]:
        attempts.append(job.attempt)
        if job.arguments["dies"] >= job.attempt:
            raise WorkerDied("SIGKILL")
        return {}

    once, twice = queue.enqueue("analyse", {"dies": 1}), queue.enqueue("analyse", {"dies": 2})
    queue.start(work)
    assert ended(queue, once.id).state == "done"
    failed = ended(queue, twice.id)
    assert (failed.state, failed.attempt) == ("failed", 2)
    assert "SIGKILL" in (failed.reason or "")
    queue.stop(5)


def test_stops_of_the_server_do_not_count_as_deaths(open_queue: Open) -> None:
    queue = open_queue()
    job = queue.enqueue("analyse", {})
    for _ in range(4):
        server = open_queue()
        begun = threading.Event()

        def work(_: Job, begun: threading.Event = begun, server: SqliteQueue = server) -> Mapping[str, Any]:
            begun.set()
            while not server.stopping:
                time.sleep(0.01)
            raise WorkerDied("SIGKILL")

        server.start(work)
        assert begun.wait(60)
        server.stop(5)
        found = server.get(job.id)
        assert found is not None
        assert (found.state, found.deaths) == ("queued", 0)


@pytest.mark.parametrize("error", [JobFailed("no sound"), ValueError("no sound")])
def test_a_failure_has_its_reason(open_queue: Open, error: Exception) -> None:
    queue = open_queue()

    def work(_: Job) -> Mapping[str, Any]:
        raise error

    job = queue.enqueue("analyse", {})
    queue.start(work)
    failed = ended(queue, job.id)
    assert failed.state == "failed"
    assert "no sound" in (failed.reason or "")
    queue.stop(5)


def test_a_cancelled_job_notices_at_its_progress(open_queue: Open) -> None:
    queue, begun, noticed = open_queue(), threading.Event(), threading.Event()

    def work(job: Job) -> Mapping[str, Any]:
        begun.set()
        try:
            while True:
                queue.progress(job, 1, 2)
                time.sleep(0.01)
        except Cancelled:
            noticed.set()
            raise

    job = queue.enqueue("analyse", {})
    queue.start(work)
    assert begun.wait(60)
    queue.cancel(job.id)
    assert noticed.wait(60)
    assert ended(queue, job.id).state == "cancelled"
    queue.stop(5)


def test_a_render_is_downloaded(served: Running, ready: str, key: str, tmp_path: Path) -> None:
    body = {"video": ready, "track": key, "start_s": 0.5}
    answer = served.http.post("/v1/renders", json=body)
    assert answer.status_code == 202
    at = answer.headers["location"]
    job = served.settled(at)
    assert job["state"] == "done", job
    assert job["result"]["length_s"] == 3.0
    assert job["result"]["integrated_lufs"] == pytest.approx(-14, abs=0.5)
    file = served.http.get(f"{at}/file")
    assert "holiday%20with%20music.mp4" in file.headers["content-disposition"]
    out = tmp_path / "out.mp4"
    out.write_bytes(file.content)
    info = probe(out)
    assert info.video is not None
    assert info.audio is not None


@pytest.mark.parametrize(
    ("suffix", "begins"), [("otio", b"{"), ("fcpxml", b"<?xml"), ("edl", b"TITLE"), ("json", b"{")]
)
def test_timelines_and_plans(served: Running, ready: str, key: str, suffix: str, begins: bytes) -> None:
    body = {"video": ready, "track": key, "format": suffix}
    at = served.http.post("/v1/renders", json=body).headers["location"]
    assert served.settled(at)["state"] == "done"
    assert served.http.get(f"{at}/file").content.startswith(begins)


def test_a_render_that_is_not_possible(served: Running, ready: str, key: str) -> None:
    def status(**changes: object) -> int:
        return served.http.post("/v1/renders", json={"video": ready, "track": key, **changes}).status_code

    assert status(track="00") == 404
    assert status(video="0" * 32) == 404
    assert status(start_s=1e6) == 422
    assert status(start_s=100) == 422
    assert status(format="exe") == 422
    assert status(sound="loud") == 422
    at = served.http.post("/v1/renders", json={"video": ready, "track": key, "fit": True}).headers["location"]
    job = served.settled(at)
    assert job["state"] == "failed"
    assert str(served.service.settings.data) not in job["reason"]
    assert served.http.get(f"{at}/file").status_code == 409


def test_jobs_are_listed_newest_first(served: Running, ready: str, key: str) -> None:
    made = [
        served.http.post("/v1/renders", json={"video": ready, "track": key, "format": "json"}).json()["id"]
        for _ in range(2)
    ]
    jobs = served.http.get("/v1/jobs", params={"video": ready}).json()["jobs"]
    assert [job["id"] for job in jobs[:2]] == made[::-1]
    assert all(job["video"] == ready for job in jobs)
    for id in made:
        served.settled(f"/v1/jobs/{id}")
    assert served.http.delete(f"/v1/jobs/{made[0]}").json()["state"] == "done"
