"""Errors as ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from reelscore.errors import (
    ArtifactError,
    ConfigError,
    InputError,
    MediaError,
    NotFoundError,
    ReelscoreError,
)

from .jobs import Busy, JobFailed, WorkerDied

STATUS: dict[type[ReelscoreError], int] = {
    InputError: 422,
    ConfigError: 422,
    MediaError: 422,
    NotFoundError: 404,
    ArtifactError: 503,
}
"""Status of each error; any other `ReelscoreError` is 500."""

RETRY_S = 5


class Problem(HTTPException):
    """A response that is an error; raise it in a route."""


def problem(status: int, detail: str, *, headers: dict[str, str] | None = None, **more: Any) -> Response:
    """Return a problem document."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **more,
    }
    return JSONResponse(body, status, headers=headers, media_type="application/problem+json")


def add_handlers(app: FastAPI) -> None:
    """Answer every error of an application with a problem document."""

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> Response:
        headers, status, detail = dict(error.headers or {}), error.status_code, str(error.detail)
        methods = request.app.state.methods.of(request.scope)
        # The mounted page answers 404 for a method that only other methods of the API have.
        if status == 405 or (status == 404 and methods and request.method not in methods | {"HEAD"}):
            methods = methods or {"GET"}
            allow = ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
            headers = {**{n: v for n, v in headers.items() if n.lower() != "allow"}, "allow": allow}
            status, detail = 405, f"{request.method} is not possible here; use one of {allow}"
        elif status == 404 and detail == HTTPStatus.NOT_FOUND.phrase:
            detail = "no such resource; GET /openapi.json describes them all"
        return problem(status, detail, headers=headers)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(_: Request, error: RequestValidationError) -> Response:
        errors = [
            {"field": ".".join(str(part) for part in item["loc"]), "detail": item["msg"]}
            for item in error.errors()[:20]
        ]
        first = errors[0]
        return problem(422, f"{first['field']}: {first['detail']}; see /openapi.json", errors=errors)

    @app.exception_handler(ReelscoreError)
    async def on_error(_: Request, error: ReelscoreError) -> Response:
        status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)
        return problem(status, str(error))

    @app.exception_handler(Busy)
    async def on_busy(_: Request, error: Busy) -> Response:
        return problem(429, str(error), headers={"retry-after": str(RETRY_S)})

    @app.exception_handler(JobFailed)
    @app.exception_handler(WorkerDied)
    async def on_media(_: Request, error: Exception) -> Response:
        return problem(
            422, str(error) if isinstance(error, JobFailed) else f"the file ended its worker ({error})"
        )

    @app.exception_handler(sqlite3.OperationalError)
    async def on_database(_: Request, error: sqlite3.OperationalError) -> Response:
        return problem(503, f"the database is not available ({error})", headers={"retry-after": str(RETRY_S)})

    @app.exception_handler(Exception)
    async def on_unexpected(_: Request, __: Exception) -> Response:
        return problem(500, "an unexpected error; the server's log has its cause")


class Methods:
    """The methods of the routes by path.

    Parameters
    ----------
    routes : iterable of BaseRoute
    """

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._routes = [route for route in routes if isinstance(route, Route)]

    def of(self, scope: Scope) -> frozenset[str]:
        """Return the methods of all routes that match a path; none where no route does."""
        found = (route.methods or () for route in self._routes if route.matches(scope)[0] is not Match.NONE)
        return frozenset(method for methods in found for method in methods)
