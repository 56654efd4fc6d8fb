"""Videos: resumable uploads (tus 1.0), videos on the server, media, waveforms, thumbnails."""

from __future__ import annotations

import asyncio
import base64
import binascii
import email.utils
import os
import shutil
from pathlib import Path
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Header, Query, Request
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from reelscore.service import schemas
from reelscore.service.access import Editor, Served, check_owner, owner_of
from reelscore.service.files import allowed_path, file_response
from reelscore.service.keys import Client
from reelscore.service.problems import Problem
from reelscore.service.service import Service
from reelscore.service.videos import Video

router = APIRouter(prefix="/v1/videos", tags=["videos"])

TUS = "1.0.0"
_EXTENSIONS = "creation,expiration,termination"
_CHUNK_BYTES = 1 << 20
_OFFSET_TYPE = "application/offset+octet-stream"

_uploading: set[str] = set()
"""Ids of the uploads that a request appends to."""

Points = Annotated[int, Query(ge=1, le=4000)]


@router.options("", status_code=204, response_class=Response)
def tus_options(service: Served) -> Response:
    """Describe the upload protocol."""
    return Response(
        status_code=204,
        headers={
            "tus-resumable": TUS,
            "tus-version": TUS,
            "tus-extension": _EXTENSIONS,
            "tus-max-size": str(service.settings.upload_bytes),
            "allow": "GET, HEAD, OPTIONS, POST",
        },
    )


@router.post("", status_code=201, response_model=schemas.Video)
def create_video(
    service: Served,
    client: Editor,
    request: Request,
    body: schemas.NewVideo | None = None,
    upload_length: Annotated[
        int | None, Header(le=2**63 - 1, description="tus: size of the upload in bytes")
    ] = None,
    upload_metadata: Annotated[str, Header(description="tus: `filename` and its value in Base64")] = "",
) -> Response:
    """Begin an upload (tus: `Upload-Length`, `Upload-Metadata: filename BASE64`), or name a file on the server."""
    if body is not None:
        path = allowed_path(body.path, service.settings.roots)
        if not path.is_file():
            raise Problem(422, f"{body.path} is no file; name a video file")
        video = service.videos.create(path.name, path.stat().st_size, owner=client.name, path=path)
        return _created(video)
    _check_version(request)
    if upload_length is None:
        raise Problem(400, "expected Upload-Length, the size of the upload, or a JSON body with a path")
    if upload_length < 1:
        raise Problem(400, f"Upload-Length must be at least 1, got {upload_length}")
    limit = service.settings.upload_bytes
    if upload_length > limit:
        raise Problem(
            413, f"the upload has {upload_length} bytes, the limit is {limit}; upload a smaller file"
        )
    if shutil.disk_usage(service.settings.data).free - upload_length < service.settings.free_bytes:
        raise Problem(507, "the disk of the service is full; delete videos, or try again later")
    video = service.videos.create(_file_name(upload_metadata), upload_length, owner=client.name)
    Path(video.path).touch()
    return _created(video)


@router.get("", response_model=schemas.VideoList)
def list_videos(service: Served, client: Editor) -> Response:
    """List the videos of this client, newest first."""
    return JSONResponse(
        {"videos": [video.to_json() for video in service.videos.find(owner=owner_of(client))]}
    )


@router.get("/{id}", response_model=schemas.Video)
def get_video(id: schemas.Id, service: Served, client: Editor) -> Response:
    """Return a video."""
    return JSONResponse(_video(service, client, id).to_json())


@router.head("/{id}", include_in_schema=False)
def upload_offset(id: schemas.Id, service: Served, client: Editor) -> Response:
    """Return how much of an upload has arrived (tus)."""
    video = _video(service, client, id)
    return Response(
        headers={
            **_upload_headers(video),
            "upload-length": str(video.size_bytes),
            "content-type": "application/json",
        }
    )


@router.patch("/{id}", status_code=204, response_class=Response)
async def append(
    id: schemas.Id,
    service: Served,
    client: Editor,
    request: Request,
    upload_offset: Annotated[int | None, Header(description="tus: number of bytes that have arrived")] = None,
) -> Response:
    """Append bytes to an upload (tus)."""
    _check_version(request)
    if request.headers.get("content-type") != _OFFSET_TYPE:
        raise Problem(415, f"expected Content-Type: {_OFFSET_TYPE}")
    video = await to_thread.run_sync(_video, service, client, id)
    if video.state != "uploading" or not video.is_upload:
        raise Problem(409, "the upload is complete; create a new video for other content")
    if id in _uploading:
        raise Problem(
            423, "another request appends to this upload; ask for the offset with HEAD and try again"
        )
    _uploading.add(id)
    try:
        offset = video.received_bytes
        if upload_offset != offset:
            raise Problem(
                409, f"Upload-Offset must be {offset}, the bytes that have arrived, got {upload_offset}"
            )
        await _receive(request, video, offset, stall_s=service.settings.stall_s)
        await to_thread.run_sync(service.videos.touch, id)
        if video.received_bytes == video.size_bytes:
            await to_thread.run_sync(service.videos.received, id)
    finally:
        _uploading.discard(id)
    return Response(status_code=204, headers=_upload_headers(video))


@router.delete("/{id}", status_code=204, response_class=Response)
def delete_video(id: schemas.Id, service: Served, client: Editor) -> Response:
    """Delete a video at once, with its features, excerpts, renders and jobs. A file named by path stays."""
    _video(service, client, id)
    service.delete_video(id)
    return Response(status_code=204, headers={"tus-resumable": TUS})


@router.get("/{id}/media", response_class=Response)
@router.head("/{id}/media", include_in_schema=False)
def video_media(id: schemas.Id, service: Served, client: Editor, request: Request) -> Response:
    """Return the file of a video; ranges are supported."""
    video = _video(service, client, id)
    if video.state == "uploading":
        raise Problem(409, "the upload is not complete; append the rest first")
    return file_response(request, video.path)


@router.get("/{id}/thumbnail", response_class=Response)
async def thumbnail(
    id: schemas.Id,
    service: Served,
    client: Editor,
    request: Request,
    at_s: Annotated[float, Query(ge=0, le=604_800, allow_inf_nan=False)] = 0.0,
    short_side_px: Annotated[int, Query(ge=16, le=1080)] = 180,
) -> Response:
    """Return a frame as JPEG."""
    video = await to_thread.run_sync(ready_video, service, client, id)
    file = await service.run_media(
        lambda: service.derived.thumbnail(video, at_s=at_s, short_side_px=short_side_px)
    )
    return file_response(request, file)


@router.get("/{id}/peaks", response_model=schemas.Peaks)
async def video_peaks(id: schemas.Id, service: Served, client: Editor, points: Points = 400) -> Response:
    """Return the waveform of a video's own sound."""
    video = await to_thread.run_sync(ready_video, service, client, id)
    if video.media is None or video.media["audio"] is None:
        raise Problem(404, "the video has no sound")
    peaks = await service.run_media(lambda: service.derived.video_peaks(video, num_peaks=points))
    return JSONResponse({"duration_s": video.media["audio"]["duration_s"], "peaks": list(peaks)})


def _video(service: Service, client: Client, id: str) -> Video:
    video = service.videos.get(id)
    check_owner(client, video.owner, "video")
    return video


def ready_video(service: Service, client: Client, id: str) -> Video:
    """Return an analysed video of a client."""
    video = _video(service, client, id)
    if video.state != "ready":
        raise Problem(409, f"the video is {video.state}; wait for its state to be ready")
    return video


def _created(video: Video) -> Response:
    location = {"location": f"/v1/videos/{video.id}"}
    return JSONResponse(video.to_json(), 201, headers={**location, **_upload_headers(video)})


def _upload_headers(video: Video) -> dict[str, str]:
    headers = {"tus-resumable": TUS, "upload-offset": str(video.received_bytes)}
    if video.state == "uploading":
        headers["upload-expires"] = email.utils.formatdate(video.expires, usegmt=True)
    return headers


def _check_version(request: Request) -> None:
    if request.headers.get("tus-resumable") != TUS:
        raise Problem(412, f"expected Tus-Resumable: {TUS}", headers={"tus-version": TUS})


def _file_name(metadata: str) -> str:
    """Return the file name in ``Upload-Metadata``."""
    for item in metadata.split(","):
        name, _, value = item.strip().partition(" ")
        if name == "filename":
            try:
                return base64.b64decode(value, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError, ValueError):
                raise Problem(400, "the filename in Upload-Metadata must be UTF-8 in Base64") from None
    return "video"


async def _receive(request: Request, video: Video, offset: int, *, stall_s: float) -> None:
    """Append the body to the file of an upload; what has arrived is kept when the client goes away."""
    left = video.size_bytes - offset
    waiting = bytearray()
    chunks = request.stream().__aiter__()
    descriptor = await to_thread.run_sync(os.open, video.path, os.O_WRONLY | os.O_APPEND)
    try:
        while True:
            try:
                chunk = await asyncio.wait_for(chunks.__anext__(), stall_s)
            except (StopAsyncIteration, ClientDisconnect):
                break
            except TimeoutError:
                raise Problem(
                    408,
                    f"no data for {stall_s:g} s; continue with HEAD and PATCH",
                    headers={"connection": "close"},
                ) from None
            if len(chunk) > left:
                raise Problem(413, f"the body goes beyond Upload-Length ({video.size_bytes} bytes)")
            left -= len(chunk)
            waiting += chunk
            if len(waiting) >= _CHUNK_BYTES:
                await to_thread.run_sync(_write, descriptor, bytes(waiting))
                waiting.clear()
    finally:
        await to_thread.run_sync(_finish, descriptor, bytes(waiting))


def _write(descriptor: int, content: bytes) -> None:
    view: Any = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _finish(descriptor: int, content: bytes) -> None:
    try:
        _write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
