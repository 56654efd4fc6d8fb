"""Versions of a track that end with a video, to hear before a render."""

from __future__ import annotations

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from reelscore.render.plan import load_plan
from reelscore.service import schemas
from reelscore.service.access import Editor, Served
from reelscore.service.files import file_response
from reelscore.service.keys import Client
from reelscore.service.service import Service
from reelscore.service.videos import Video
from reelscore.types import Track

from .videos import ready_video

router = APIRouter(prefix="/v1/videos/{id}/fit", tags=["videos"])

Start = Annotated[schemas.Seconds, Query(description="Earliest second of the track.")]


@router.get("", response_model=schemas.Fit)
async def fit(
    id: schemas.Id,
    service: Served,
    client: Editor,
    track: Annotated[schemas.Key, Query()],
    start_s: Start = 0.0,
) -> Response:
    """Plan a version of a track that ends with a video, as a render with `fit` does."""
    found = await to_thread.run_sync(_found, service, client, id, track)
    plan = load_plan(await service.run_media(lambda: service.derived.fit(*found, start_s=start_s)))
    pieces = [
        {"at_s": float(at), "start_s": float(piece.start_s), "end_s": float(piece.end_s)}
        for at, piece in zip(plan.starts_s, plan.pieces, strict=False)
    ]
    return JSONResponse({"length_s": float(plan.video.length_s), "pieces": pieces})


@router.get("/preview", response_class=Response)
async def fit_preview(
    id: schemas.Id,
    service: Served,
    client: Editor,
    request: Request,
    track: Annotated[schemas.Key, Query()],
    start_s: Start = 0.0,
    at_s: Annotated[schemas.Seconds, Query(description="Second of the video.")] = 0.0,
    length_s: Annotated[float, Query(ge=1, le=60, allow_inf_nan=False)] = 20.0,
) -> Response:
    """Return an excerpt of that version as Ogg Opus."""
    found = await to_thread.run_sync(_found, service, client, id, track)
    file = await service.run_media(
        lambda: service.derived.fit_preview(*found, start_s=start_s, at_s=at_s, length_s=length_s)
    )
    return file_response(request, file)


def _found(service: Service, client: Client, id: str, key: str) -> tuple[Video, Track]:
    return ready_video(service, client, id), service.catalogue.track(key)
