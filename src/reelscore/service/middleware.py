"""Middleware: security headers, hosts and origins, size of bodies, HEAD, metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .metrics import Metrics
from .problems import Methods, problem

MOST_JSON_BYTES = 1 << 20

_DROP_S, _DROP_BYTES = 2.0, 16 << 20  # how much of a body that is too large is read

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class SecurityHeaders:
    """Adds the same security headers to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


class SameOrigin:
    """Rejects what a page of another site sends: other origins, and other host names where there are no keys.

    A foreign name that resolves to this machine (DNS rebinding) would make its page one of the same origin.

    Parameters
    ----------
    app : ASGI application
    hosts : iterable of str, optional
        Accepted names of this host; None accepts all.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str] | None) -> None:
        self._app = app
        self._hosts = None if hosts is None else frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            host = headers.get("host", "")
            name = (urlsplit(f"//{host}").hostname or "") if _is_host(host) else ""
            if self._hosts is not None and name not in self._hosts:
                text = f"this service has no name {host!r}; use http://127.0.0.1, or start it with --keys and --host"
                await problem(421, text)(scope, receive, send)
                return
            origin = headers.get("origin")
            foreign = headers.get("sec-fetch-site") == "cross-site" or (
                origin is not None and urlsplit(origin).netloc != host
            )
            if foreign and scope["method"] not in _SAFE_METHODS:
                await problem(403, "requests from pages of other sites are not accepted")(
                    scope, receive, send
                )
                return
        await self._app(scope, receive, send)


def _is_host(text: str) -> bool:
    try:
        return urlsplit(f"//{text}").port is None or True
    except ValueError:
        return False


class BodyLimit:
    """Rejects bodies of more than 1 MB, except parts of uploads."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http" or scope["method"] == "PATCH":
            await self._app(scope, receive, send)
            return
        stated = Headers(scope=scope).get("content-length", "0")
        if not stated.isascii() or not stated.isdigit() or int(stated) > MOST_JSON_BYTES:
            text = f"the body has {stated[:20]} bytes, the limit is {MOST_JSON_BYTES}; upload videos with tus"
            await _drop_body(receive)
            await problem(413, text, headers={"connection": "close"})(scope, receive, send)
            return
        # A body without a stated length is read here, up to the limit.
        received = 0
        messages: list[Message] = []
        while scope["method"] not in ("GET", "HEAD"):
            message = await receive()
            messages.append(message)
            received += len(message.get("body", b""))
            if received > MOST_JSON_BYTES:
                text = f"the body has more than {MOST_JSON_BYTES} bytes; upload videos with tus"
                await _drop_body(receive)
                await problem(413, text, headers={"connection": "close"})(scope, receive, send)
                return
            if message["type"] != "http.request" or not message.get("more_body"):
                break

        async def replay() -> Message:
            return messages.pop(0) if messages else await receive()

        await self._app(scope, replay, send)


async def _drop_body(receive: Receive) -> None:
    """Read and drop the rest of a body: a client that is still sending would see a reset, not the answer."""
    dropped = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(_DROP_S):
            while dropped < _DROP_BYTES:
                message = await receive()
                dropped += len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body"):
                    return


class HeadAsGet:
    """Answers HEAD as GET without a body, except where a route has its own HEAD.

    Parameters
    ----------
    app : ASGI application
    methods : Methods
    """

    def __init__(self, app: ASGIApp, methods: Methods) -> None:
        self._app = app
        self._methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        own = (
            self._methods.of(scope) if scope["type"] == "http" and scope["method"] == "HEAD" else frozenset()
        )
        if "GET" not in own or "HEAD" in own:
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, without_body)


class Measured:
    """Counts requests and their time by route."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        started_s = time.perf_counter()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._metrics.active.inc()
        try:
            await self._app(scope, receive, watched)
        finally:
            self._metrics.active.dec()
            route = getattr(scope.get("route"), "path", "")
            self._metrics.observe(scope["method"], route, status, time.perf_counter() - started_s)
