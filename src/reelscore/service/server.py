"""Run the service with uvicorn."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from reelscore.errors import ConfigError

from .app import create_app
from .service import Service
from .settings import Settings

_BACKLOG = 2048
_STOP_S = 10
_HEADER_BYTES = 32 << 10


def serve(settings: Settings, *, ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; requests in progress end first.

    Parameters
    ----------
    settings : Settings
    ready : callable
        Called with the address once the service listens.
    """
    settings.check()
    listener = _listen(settings)
    address = listener.getsockname()
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    app = create_app(settings)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    config = server_config(app)
    ready(f"http://{host}:{address[1]}")
    try:
        _Server(config, app.state.service).run(sockets=[listener])
    finally:
        listener.close()


class _Protocol(H11Protocol):
    """HTTP/1.1 that closes a connection whose headers do not arrive in time; h11 has a limit on their size."""

    headers_s = 30.0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the headers of the first request."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(self.headers_s, self._close)

    def data_received(self, data: bytes) -> None:
        """Take bytes, and wait for the rest of the headers."""
        super().data_received(data)
        is_waiting = self.cycle is None or self.cycle.response_complete
        if self._timer is not None and not is_waiting:
            self._timer.cancel()
            self._timer = None
        elif self._timer is None and is_waiting:
            self._timer = self.loop.call_later(self.headers_s, self._close)

    def _close(self) -> None:
        self._timer = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


def server_config(app: FastAPI) -> uvicorn.Config:
    """Return how uvicorn serves the application."""
    return uvicorn.Config(
        app,
        http=type("Protocol", (_Protocol,), {"headers_s": app.state.service.settings.stall_s}),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=_STOP_S,
        h11_max_incomplete_event_size=_HEADER_BYTES,
        backlog=_BACKLOG,
        limit_concurrency=1000,
    )


class _Server(uvicorn.Server):
    """Stops work and ends streams at the first signal, so that the remaining requests can end."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle SIGINT and SIGTERM as the regular end of the program."""
        before = {
            number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop."""
        self._service.stopping.set()
        super().handle_exit(sig, frame)


def _listen(settings: Settings) -> socket.socket:
    try:
        info = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(info[0], info[1])
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(info[4])
        listener.listen(_BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror or error}. Choose another one "
            "with --port or --host"
        ) from None
    return listener
