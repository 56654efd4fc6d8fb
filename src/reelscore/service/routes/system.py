"""Library, settings, sessions, events, health and metrics."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Header, Query, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from reelscore import __version__
from reelscore.service import schemas
from reelscore.service.access import ADMIN, COOKIE, READER, Reader, Served
from reelscore.service.events import Event
from reelscore.service.keys import Client
from reelscore.service.problems import Problem
from reelscore.service.service import Service

router = APIRouter(tags=["system"])

_POLL_S = 0.1
_PING_S = 15.0


@router.get("/v1/library", response_model=schemas.Library, dependencies=READER)
def library(service: Served) -> Response:
    """Return the library, its model, and the job that adds music at the moment."""
    running = [job for job in service.jobs.find() if job.kind == "add" and job.state in ("queued", "running")]
    return JSONResponse(
        service.catalogue.to_json()
        | {
            "roots": [str(root) for root in service.settings.roots],
            "indexing": running[-1].to_json() if running else None,
        }
    )


@router.get("/v1/library/facets", response_model=schemas.Facets, dependencies=READER)
def facets(
    service: Served,
    where: Annotated[schemas.Where, Query(description="Filters that must all hold, as for matches.")] = [],  # noqa: B006
) -> Response:
    """Return the values of the columns that filters may use, and how many tracks meet the filters on other columns."""
    return JSONResponse({"columns": service.catalogue.facets(where)})


@router.post("/v1/library/reload", response_model=schemas.Library, dependencies=ADMIN)
def reload(service: Served) -> Response:
    """Open the library and its model again; no request is dropped."""
    service.reload()
    return library(service)


@router.get("/v1/settings", response_model=schemas.Settings, dependencies=READER)
def settings(service: Served) -> Response:
    """Return version, encoders with their licences, and limits."""
    return JSONResponse(service.settings_json() | {"version": __version__})


@router.get("/v1/session", response_model=schemas.Session)
def session(service: Served, client: Reader) -> Response:
    """Return who the client is."""
    return JSONResponse({"name": client.name, "role": client.role, "keys": service.keys is not None})


@router.post("/v1/session", response_model=schemas.Session)
def sign_in(body: schemas.NewSession, service: Served, request: Request) -> Response:
    """Keep a key in a cookie that scripts cannot read."""
    client = None if service.keys is None else service.keys.client(body.key)
    if client is None:
        raise Problem(401, "this is no valid API key", headers={"www-authenticate": "Bearer"})
    response = JSONResponse({"name": client.name, "role": client.role, "keys": True})
    secure = request.url.scheme == "https"
    response.set_cookie(COOKIE, body.key, httponly=True, samesite="strict", secure=secure, path="/")
    return response


@router.delete("/v1/session", status_code=204, response_class=Response)
def sign_out() -> Response:
    """Delete the cookie."""
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, path="/")
    return response


@router.head("/v1/events", include_in_schema=False)
@router.get(
    "/v1/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def events(
    service: Served,
    client: Reader,
    request: Request,
    last_event_id: Annotated[str | None, Header(max_length=40)] = None,
    once: Annotated[bool, Query(description="End after the events that exist.")] = False,
) -> Response:
    """Stream events: `video`, `job` and `library`, each with the resource as data.

    A client that sends `Last-Event-ID` gets what it has missed, or `reset` when that is no longer kept.
    """
    if request.method == "HEAD":
        return Response(media_type="text/event-stream")
    newest = service.events.newest
    last = (
        int(last_event_id)
        if last_event_id and last_event_id.isascii() and last_event_id.isdigit()
        else newest
    )
    return StreamingResponse(
        _stream(service, client, min(last, 2**62), once=once), media_type="text/event-stream"
    )


@router.get("/healthz", response_class=JSONResponse)
async def health() -> Response:
    """Return 200 while the server answers."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz", response_class=JSONResponse)
async def readiness(service: Served) -> Response:
    """Return 200 while the server takes work, 503 while it stops."""
    if service.stopping.is_set():
        raise Problem(503, "the server stops", headers={"retry-after": "5"})
    return JSONResponse({"status": "ready"})


@router.get("/metrics", response_class=Response, dependencies=READER)
def metrics(service: Served) -> Response:
    """Return metrics for Prometheus."""
    return Response(service.measured(), media_type=service.metrics.content_type)


async def _stream(service: Service, client: Client, last: int, *, once: bool) -> AsyncIterator[str]:
    oldest = await to_thread.run_sync(service.events.oldest)
    if last > service.events.newest or last < oldest - 1:
        last = service.events.newest
        yield f"retry: 2000\nid: {last}\nevent: reset\ndata: {{}}\n\n"
    else:
        yield f"retry: 2000\nid: {last}\n\n"
    quiet_s = 0.0
    while not service.stopping.is_set():
        if service.events.newest > last:
            for event in await to_thread.run_sync(service.events.after, last):
                last = event.id
                if _may_see(client, event):
                    yield f"id: {event.id}\nevent: {event.kind}\ndata: {json.dumps(event.data)}\n\n"
            quiet_s = 0.0
            continue
        if once:
            return
        await asyncio.sleep(_POLL_S)
        quiet_s += _POLL_S
        if quiet_s >= _PING_S:
            quiet_s = 0.0
            yield ": ping\n\n"


def _may_see(client: Client, event: Event) -> bool:
    return client.may("admin") or event.kind == "library" or event.owner == client.name


PAGE = Path(__file__).parent.parent / "page"
