"""Who may do what: dependencies of the routes."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Request

from .keys import LOCAL, Client
from .problems import Problem
from .service import Service

COOKIE = "reelscore_key"
_SCHEME = "bearer "


async def service_of(request: Request) -> Service:
    """Return the service of an application; a coroutine, since FastAPI runs functions in threads."""
    service: Service = request.app.state.service
    return service


def client_of(request: Request) -> Client:
    """Return the client of a request, by its key in ``Authorization: Bearer`` or in the cookie."""
    keys = request.app.state.service.keys
    if keys is None:
        return LOCAL
    header = request.headers.get("authorization", "")
    key = header[len(_SCHEME) :] if header.lower().startswith(_SCHEME) else request.cookies.get(COOKIE, "")
    client: Client | None = keys.client(key)
    if client is None:
        raise Problem(
            401,
            "a valid API key is needed: Authorization: Bearer KEY",
            headers={"www-authenticate": "Bearer"},
        )
    return client


def needs(role: str) -> Callable[[Request], Coroutine[Any, Any, Client]]:
    """Return a dependency that is the client, if it has a role."""

    async def check(request: Request) -> Client:
        client = client_of(request)
        if not client.may(role):
            raise Problem(403, f"the key {client.name!r} has the role {client.role}, this needs {role}")
        return client

    return check


Served = Annotated[Service, Depends(service_of)]
Reader = Annotated[Client, Depends(needs("reader"))]
Editor = Annotated[Client, Depends(needs("editor"))]
Admin = Annotated[Client, Depends(needs("admin"))]

READER = [Depends(needs("reader"))]
ADMIN = [Depends(needs("admin"))]
"""Dependencies of routes that do not look at the client."""


def owner_of(client: Client) -> str | None:
    """Return whose videos and jobs a client sees: its own, or all (None) for an admin."""
    return None if client.may("admin") else client.name


def check_owner(client: Client, owner: str, what: str) -> None:
    """Raise 404 for what belongs to another client, so that ids cannot be probed."""
    if not client.may("admin") and owner != client.name:
        raise Problem(404, f"no such {what}; it was deleted or has expired")
