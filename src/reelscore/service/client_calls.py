"""Calls of the HTTP API as generators, which both clients run."""

from __future__ import annotations

import base64
import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from reelscore.errors import InputError, ReelscoreError

from .schemas import Job, Library, Matches, Track, TrackList, Video

_T = TypeVar("_T")

TUS = {"tus-resumable": "1.0.0"}

_PART_BYTES = 8 << 20
_POLL_S = 0.2
_RETRIES = 5


@dataclass(frozen=True, slots=True)
class Request:
    """A request to send; `file` gets the body of the answer."""

    method: str
    path: str
    json: Any = None
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """A time to wait."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Event:
    """An event: its id, kind ("video", "job", "library" or "reset") and resource."""

    id: str
    kind: str
    data: Mapping[str, Any]


Flow = Generator[Request | Pause, httpx2.Response, _T]
"""One call of the API: yields requests, gets their answers, returns the result. Both clients run the same ones."""


def upload(path: Path | str, *, name: str | None = None, wait: bool = True) -> Flow[Video]:
    """Upload a video in parts, and wait for its analysis unless `wait` is false.

    A part that fails is sent again from where the service has it.
    """
    source = Path(path)
    encoded = base64.b64encode((name or source.name).encode()).decode()
    size = source.stat().st_size
    headers = {"upload-length": str(size), "upload-metadata": f"filename {encoded}"}
    answer = yield Request("POST", "/v1/videos", headers=TUS | headers)
    at, offset = answer.headers["location"], 0
    failures = 0
    with source.open("rb") as file:
        while offset < size:
            file.seek(offset)
            headers = {"upload-offset": str(offset), "content-type": "application/offset+octet-stream"}
            try:
                answer = yield Request("PATCH", at, headers=TUS | headers, content=file.read(_PART_BYTES))
                failures = 0
            except httpx2.TransportError:
                failures += 1
                if failures > _RETRIES:
                    raise
                yield Pause(2.0**failures * _POLL_S)
                answer = yield Request("HEAD", at, headers=TUS)
            offset = int(answer.headers["upload-offset"])
    video = Video.model_validate((yield Request("GET", at)).json())
    return (yield from wait_for_video(video.id)) if wait else video


def use_path(path: Path | str, *, wait: bool = True) -> Flow[Video]:
    """Use a video that is on the server, below an allowed folder."""
    answer = yield Request("POST", "/v1/videos", json={"path": str(path)})
    video = Video.model_validate(answer.json())
    return (yield from wait_for_video(video.id)) if wait else video


def wait_for_video(id: str) -> Flow[Video]:
    """Wait until a video is ready; raise `InputError` with the reason when it cannot be used."""
    while (found := (yield from video(id))).state in ("uploading", "analysing"):
        yield Pause(_POLL_S)
    if found.state == "failed":
        raise InputError(f"{found.name}: {found.reason}")
    return found


def video(id: str) -> Flow[Video]:
    """Return a video."""
    return Video.model_validate((yield Request("GET", f"/v1/videos/{id}")).json())


def videos() -> Flow[list[Video]]:
    """Return the videos, newest first."""
    return [Video.model_validate(item) for item in (yield Request("GET", "/v1/videos")).json()["videos"]]


def delete_video(id: str) -> Flow[None]:
    """Delete a video and everything that was made of it."""
    yield Request("DELETE", f"/v1/videos/{id}", headers=TUS)


def match(
    video: Video | str | None = None, *, text: str | None = None, top: int = 10, **options: Any
) -> Flow[Matches]:
    """Find music for a video, a text, or both; `options` are the other fields of ``POST /v1/matches``."""
    id = video.id if isinstance(video, Video) else video
    body = {"video": id, "text": text, "top": top, **options}
    return Matches.model_validate((yield Request("POST", "/v1/matches", json=body)).json())


def tracks(q: str = "", *, limit: int = 100, offset: int = 0) -> Flow[TrackList]:
    """List or search the tracks."""
    params = {"q": q, "limit": limit, "offset": offset}
    return TrackList.model_validate((yield Request("GET", "/v1/tracks", params=params)).json())


def track(key: str) -> Flow[Track]:
    """Return a track."""
    return Track.model_validate((yield Request("GET", f"/v1/tracks/{key}")).json())


def add_tracks(*paths: Path | str, prune: bool = False, wait: bool = True) -> Flow[Job]:
    """Add files and folders on the server to the library."""
    body = {"paths": [str(path) for path in paths], "prune": prune}
    job = Job.model_validate((yield Request("POST", "/v1/tracks", json=body)).json())
    return (yield from wait_for_job(job.id)) if wait else job


def remove_track(key: str) -> Flow[None]:
    """Remove a track from the library; its file stays."""
    yield Request("DELETE", f"/v1/tracks/{key}")


def preview(key: str, out: Path | str, *, start_s: float = 0.0, length_s: float = 20.0) -> Flow[Path]:
    """Write an excerpt of a track as Opus."""
    params = {"start_s": start_s, "length_s": length_s}
    yield Request("GET", f"/v1/tracks/{key}/preview", params=params, file=Path(out))
    return Path(out)


def render(video: Video | str, track: str, out: Path | str, **options: Any) -> Flow[Job]:
    """Write a video with music, a timeline or a plan to a file; its suffix is the format.

    `options` are ``start_s``, ``fit`` and ``sound``; `track` is a key.
    """
    target = Path(out)
    body = {
        "video": video.id if isinstance(video, Video) else video,
        "track": track,
        "format": target.suffix.lstrip(".").lower(),
        **options,
    }
    answer = yield Request("POST", "/v1/renders", json=body)
    job = yield from wait_for_job(Job.model_validate(answer.json()).id)
    yield Request("GET", f"/v1/jobs/{job.id}/file", file=target)
    return job


def job(id: str) -> Flow[Job]:
    """Return a job."""
    return Job.model_validate((yield Request("GET", f"/v1/jobs/{id}")).json())


def jobs(*, limit: int = 100) -> Flow[list[Job]]:
    """Return the jobs, newest first."""
    answer = yield Request("GET", "/v1/jobs", params={"limit": limit})
    return [Job.model_validate(item) for item in answer.json()["jobs"]]


def wait_for_job(id: str) -> Flow[Job]:
    """Wait for the end of a job; raise `ReelscoreError` with the reason when it failed."""
    while (found := (yield from job(id))).state in ("queued", "running"):
        yield Pause(_POLL_S)
    if found.state != "done":
        raise ReelscoreError(found.reason or f"the job was {found.state}")
    return found


def cancel(id: str) -> Flow[Job]:
    """Cancel a job."""
    return Job.model_validate((yield Request("DELETE", f"/v1/jobs/{id}")).json())


def library() -> Flow[Library]:
    """Return the library."""
    return Library.model_validate((yield Request("GET", "/v1/library")).json())


def reload() -> Flow[Library]:
    """Open the library and its model again."""
    return Library.model_validate((yield Request("POST", "/v1/library/reload")).json())


class EventParser:
    """Parser of server-sent events, line by line."""

    def __init__(self) -> None:
        self._id = ""
        self._kind, self._data = "message", ""

    def feed(self, line: str) -> Event | None:
        """Take a line, and return the event that it ends."""
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            self._id = value
        elif name == "event":
            self._kind = value
        elif name == "data":
            self._data += value
        elif not line:
            kind, data = self._kind, self._data
            self._kind, self._data = "message", ""
            return Event(self._id, kind, json.loads(data)) if data else None
        return None
