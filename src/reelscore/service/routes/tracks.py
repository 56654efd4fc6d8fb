"""Tracks of the library: list, search, add, remove, hear."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Header, Query, Request
from starlette.responses import JSONResponse, Response

from reelscore.service import schemas
from reelscore.service.access import ADMIN, READER, Admin, Served
from reelscore.service.files import allowed_path, file_response
from reelscore.types import Track

router = APIRouter(prefix="/v1/tracks", tags=["tracks"])


@router.get("", response_model=schemas.TrackList, dependencies=READER)
def list_tracks(
    service: Served,
    q: Annotated[str, Query(max_length=200, description="Words of title, artist or file name")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> Response:
    """List or search the tracks, in order of path."""
    words = q.casefold().split()
    tracks = (
        [track for track in service.catalogue.tracks() if _has(track, words)]
        if words
        else service.catalogue.tracks()
    )
    end = offset + limit
    return JSONResponse(
        {
            "tracks": service.catalogue.tracks_json(tracks[offset:end]),
            "total": len(tracks),
            "next_offset": end if end < len(tracks) else None,
        }
    )


@router.post("", status_code=202, response_model=schemas.Job)
def add_tracks(
    body: schemas.NewTracks,
    service: Served,
    client: Admin,
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> Response:
    """Add files and folders on the server, as a job."""
    paths = [str(allowed_path(path, service.settings.roots)) for path in body.paths]
    job = service.jobs.enqueue(
        "add",
        {"paths": paths, "prune": body.prune},
        owner=client.name,
        key=own_key(client.name, idempotency_key),
    )
    return JSONResponse(job.to_json(), 202, headers={"location": f"/v1/jobs/{job.id}"})


@router.get("/{key}", response_model=schemas.Track, dependencies=READER)
def get_track(key: schemas.Key, service: Served) -> Response:
    """Return a track."""
    return JSONResponse(service.catalogue.tracks_json([service.catalogue.track(key)])[0])


@router.patch("/{key}", response_model=schemas.Track, dependencies=ADMIN)
def tag_track(key: schemas.Key, body: schemas.NewTags, service: Served) -> Response:
    """Store facts about a track, such as genre or price, in place of what tags and analysis say; null removes one."""
    service.tag_track(key, body.facts)
    return get_track(key, service)


@router.delete("/{key}", status_code=204, response_class=Response, dependencies=ADMIN)
def remove_track(key: schemas.Key, service: Served) -> Response:
    """Remove a track from the library; its file stays."""
    service.remove_track(key)
    return Response(status_code=204)


@router.get("/{key}/audio", response_class=Response, dependencies=READER)
@router.head("/{key}/audio", include_in_schema=False, dependencies=READER)
def audio(key: schemas.Key, service: Served, request: Request) -> Response:
    """Return the file of a track; ranges are supported."""
    return file_response(request, service.catalogue.track(key).path)


@router.get("/{key}/preview", response_class=Response, dependencies=READER)
async def preview(
    key: schemas.Key,
    service: Served,
    request: Request,
    start_s: Annotated[float, Query(ge=0, le=604_800, allow_inf_nan=False)] = 0.0,
    length_s: Annotated[float, Query(ge=1, le=60, allow_inf_nan=False)] = 20.0,
) -> Response:
    """Return an excerpt as Ogg Opus, which begins exactly at `start_s`."""
    track = await to_thread.run_sync(service.catalogue.track, key)
    file = await service.run_media(lambda: service.derived.preview(track, start_s=start_s, length_s=length_s))
    return file_response(request, file)


@router.get("/{key}/peaks", response_model=schemas.Peaks, dependencies=READER)
async def peaks(
    key: schemas.Key, service: Served, points: Annotated[int, Query(ge=1, le=4000)] = 400
) -> Response:
    """Return the waveform of a track."""
    track = await to_thread.run_sync(service.catalogue.track, key)
    found = await service.run_media(lambda: service.derived.peaks(track, num_peaks=points))
    return JSONResponse({"duration_s": track.duration_s, "peaks": list(found)})


def own_key(client: str, given: str | None) -> str | None:
    """Return an idempotency key that is distinct for each client."""
    return None if given is None else f"client {client} {given}"


def _has(track: Track, words: list[str]) -> bool:
    text = f"{track.title}\n{track.artist}\n{Path(track.path).name}".casefold()
    return all(word in text for word in words)
