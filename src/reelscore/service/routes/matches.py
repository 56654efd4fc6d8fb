"""Matches of a video, a text, or both."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from reelscore.service import schemas
from reelscore.service.access import Reader, Served, check_owner
from reelscore.service.keys import Client
from reelscore.service.media_work import media_info
from reelscore.service.problems import Problem
from reelscore.service.service import Service

router = APIRouter(prefix="/v1/matches", tags=["matches"])


@router.post("", response_model=schemas.Matches)
async def match(body: schemas.NewMatches, service: Served, client: Reader) -> Response:
    """Find music for a video, a text query, or both; nothing is stored."""
    return JSONResponse(await service.run_match(lambda: _match(service, client, body)))


def _match(service: Service, client: Client, body: schemas.NewMatches) -> dict[str, object]:
    catalogue = service.catalogue
    path, info, name = None, None, None
    if not catalogue.tracks():
        raise Problem(
            409,
            "the library has no tracks yet; wait for the job that adds them",
            headers={"retry-after": "2"},
        )
    if body.video is not None:
        video = service.videos.get(body.video)
        check_owner(client, video.owner, "video")
        if video.state != "ready" or video.media is None:
            raise Problem(
                409,
                f"the video is {video.state}; wait for its state to be ready",
                headers={"retry-after": "1"},
            )
        path, name = video.path, video.name
        if not catalogue.is_analysed(path, video.folder):
            service.analyse_again(video)
            raise Problem(
                409, "the model has changed and analyses the video again", headers={"retry-after": "1"}
            )
        info = media_info(dict(video.media))
    end = body.offset + body.top
    report = catalogue.match(
        path,
        info=info,
        text=body.text,
        top=end + 1,
        text_weight=body.text_weight,
        hubness=body.hubness,
    )
    matches = report["matches"]
    report["query"]["video"] = name
    report["matches"] = matches[body.offset : end]
    report["next_offset"] = end if len(matches) > end else None
    return report
