"""Matches of a video, a text, or both."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from reelscore.matching.request import MatchRequest
from reelscore.service import schemas
from reelscore.service.access import Reader, Served, check_owner
from reelscore.service.catalogue import MatchQuery
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
    if not catalogue.tracks():
        text = "the library has no tracks yet; wait for the job that adds them"
        raise Problem(409, text, headers={"retry-after": "2"})
    path, name, analysed, info = None, None, None, None
    if body.video is not None:
        video = service.videos.get(body.video)
        check_owner(client, video.owner, "video")
        path, name = video.path, video.name
        if video.state != "ready" or video.media is None:
            text = f"the video is {video.state}; wait for its state to be ready"
            raise Problem(409, text, headers={"retry-after": "1"})
        info = media_info(dict(video.media))
        analysed = catalogue.analysis(path, video.folder)
        if analysed is None:
            service.analyse_again(video)
            text = "the model has changed, and the video is analysed again; wait for that job"
            raise Problem(409, text, headers={"retry-after": "1"})
    fields = body.model_dump(exclude={"video", "top"}, exclude_none=True)
    # One match more than asked for tells whether there is a next page.
    request = MatchRequest(video=path, k=body.top + 1, **fields)
    report = service.match(catalogue, MatchQuery(request, analysed, info))
    matches = report["matches"]
    return report | {
        "query": report["query"] | {"video": name},
        "matches": matches[: body.top],
        "next_offset": body.offset + body.top if len(matches) > body.top else None,
    }
