"""Events, health, metrics, settings, reload, the Python client."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from reelscore import Library
from reelscore.errors import InputError, NotFoundError
from reelscore.media.probe import probe
from reelscore.service.client import AsyncClient, ServiceError
from reelscore.service.settings import Settings
from support.serving import Running, running


def test_events_follow_a_video(served: Running, film: bytes) -> None:
    seen: list[tuple[str, str]] = []
    listening = threading.Event()
    last = str(served.service.events.newest)

    def listen() -> None:
        with served.client() as client:
            for event in client.events(last_id=last):
                if event.kind == "video":
                    seen.append((event.data["name"], event.data["state"]))
                    if event.data["state"] == "ready":
                        return

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    listening.wait(0.2)
    served.upload(film, "event.mp4")
    thread.join(60)
    states = [state for name, state in seen if name == "event.mp4"]
    assert states == ["uploading", "analysing", "ready"]


def test_a_client_that_was_away_gets_what_it_missed(served: Running, ready: str, key: str) -> None:
    before = served.service.events.newest
    job = served.http.post("/v1/renders", json={"video": ready, "track": key, "format": "json"}).json()
    served.settled(f"/v1/jobs/{job['id']}")
    text = served.http.get("/v1/events", params={"once": True}, headers={"last-event-id": str(before)}).text
    states = [line for line in text.splitlines() if job["id"] in line]
    assert ['"state": "queued"' in states[0], '"state": "done"' in states[-1]] == [True, True]


@pytest.mark.parametrize("last", ["999999999", "9" * 40])
def test_a_client_that_was_away_too_long_is_told_to_start_again(served: Running, last: str) -> None:
    answer = served.http.get("/v1/events", params={"once": True}, headers={"last-event-id": last})
    assert "event: reset" in answer.text


def test_health_and_metrics(served: Running, ready: str) -> None:
    assert served.http.get("/healthz").json() == {"status": "ok"}
    assert served.http.get("/readyz").json() == {"status": "ready"}
    text = served.http.get("/metrics").text
    assert 'reelscore_jobs{kind="analyse",state="done"}' in text
    assert "reelscore_library_tracks 6.0" in text
    assert 'http_route="/v1/videos/{id}"' in text
    assert ready not in text


def test_settings_name_the_licences(served: Running) -> None:
    settings = served.http.get("/v1/settings").json()
    assert {encoder["part"] for encoder in settings["encoders"]} >= {"video", "music"}
    assert all(encoder["licence"] for encoder in settings["encoders"])


def test_a_reload_drops_no_request(served: Running, ready: str) -> None:
    with asking(served, ready) as statuses:
        for _ in range(5):
            assert served.http.post("/v1/library/reload").status_code == 200
            wait_for_answers(statuses, 5)
    assert set(statuses) == {200}


@contextmanager
def asking(served: Running, video: str) -> Iterator[list[int]]:
    """Yield the statuses of matches that three threads ask for until the block ends."""
    statuses: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                statuses.append(served.http.post("/v1/matches", json={"video": video}).status_code)
            except httpx2.HTTPError:  # a closed connection drops a request as well
                statuses.append(0)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def wait_for_answers(statuses: list[int], count: int) -> None:
    """Wait until so many more requests are answered, or fail after a minute."""
    wanted, until = len(statuses) + count, time.monotonic() + 60
    while len(statuses) < wanted:
        assert time.monotonic() < until, f"{len(statuses)} answers, expected {wanted}"
        time.sleep(0.01)


@pytest.mark.slow
def test_another_model_drops_no_request(
    tmp_path: Path, music_folder: Path, light_model: Path, film: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    library = Library.open(tmp_path / "lib")
    library.add(music_folder, workers=1)
    with running(Settings(data=tmp_path / "data", library=library.path, workers=1)) as served:
        id = served.upload(film)["id"]
        with asking(served, id) as statuses:
            library.rebuild(model=light_model, workers=1)
            wait_for_answers(statuses, 10)
            assert served.http.get("/v1/library").json()["model"]["trained"] is False
            assert served.http.post("/v1/library/reload").json()["model"]["trained"] is True
            wait_for_answers(statuses, 10)
        found = served.http.post("/v1/matches", json={"video": id}).json()
        assert found["model"]["trained"] is True
        assert len(found["matches"]) == 6
    assert set(statuses) == {200}


def test_a_process_of_its_own_matches_alike(
    served: Running, ready: str, film: bytes, light_library: Library, tmp_path: Path
) -> None:
    settings = Settings(data=tmp_path / "data", library=light_library.path, workers=1, matchers=1)
    expected = served.http.post("/v1/matches", json={"video": ready}).json()
    with running(settings) as other:
        query = {"video": other.upload(film, "holiday.mp4")["id"]}
        assert other.http.post("/v1/matches", json=query).json() == expected
        assert other.http.post("/v1/matches", json={"text": "calm"}).status_code == 422
        for process in list(other.service._matchers._all):  # type: ignore[union-attr]
            process.kill()
        assert other.http.post("/v1/matches", json=query).json() == expected
        assert other.http.post("/v1/library/reload").status_code == 200
        assert other.http.post("/v1/matches", json=query).json() == expected


def test_the_client_goes_from_a_film_to_a_finished_file(
    served: Running, video_file: Path, tmp_path: Path
) -> None:
    with served.client() as client:
        video = client.upload(video_file)
        best = client.match(video, top=5).matches[0]
        job = client.render(video, best.key, tmp_path / "finished.mp4", start_s=best.start_s)
        assert job.state == "done"
        assert probe(tmp_path / "finished.mp4").audio is not None
        client.preview(best.key, tmp_path / "excerpt.opus", length_s=2)
        assert probe(tmp_path / "excerpt.opus").duration_s == pytest.approx(2, abs=0.05)
        assert video.id in [other.id for other in client.videos()]
        assert client.tracks("song 1").total == 1
        assert client.library().num_tracks == 6
        client.delete_video(video.id)
        with pytest.raises(NotFoundError):
            client.video(video.id)
        with pytest.raises(ServiceError) as error:
            client.match()
        assert error.value.status == 422


def test_the_asynchronous_client_does_the_same(served: Running, video_file: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with AsyncClient(served.url) as client:
            video = await client.upload(video_file)
            best = (await client.match(video)).matches[0]
            await client.render(video, best.key, tmp_path / "plan.json", start_s=best.start_s)
            async for event in client.events(last_id="0"):
                assert event.kind in ("video", "job", "library", "reset")
                break
            await client.delete_video(video.id)

    asyncio.run(run())
    assert (tmp_path / "plan.json").stat().st_size > 100


def test_the_client_gives_the_reason_of_a_failure(served: Running, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    with served.client() as client, pytest.raises(InputError, match=r"bad\.mp4"):
        client.upload(tmp_path / "bad.mp4")
