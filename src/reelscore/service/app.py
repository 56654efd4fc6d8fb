"""The FastAPI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import to_thread
from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from reelscore import __version__

from .middleware import BodyLimit, HeadAsGet, Measured, SameOrigin, SecurityHeaders
from .problems import Methods, add_handlers
from .routes import fits, jobs, matches, system, tracks, videos
from .schemas import Problem
from .service import Service
from .settings import Settings

_OWN_NAMES = ("127.0.0.1", "localhost", "::1")


def create_app(settings: Settings) -> FastAPI:
    """Return the application; it opens the library now, and starts work when the server starts.

    Raises
    ------
    ReelscoreError
        As `Service`.
    """
    service = Service(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # In a thread: DBOS rejects calls in one with an event loop.
        await to_thread.run_sync(service.start)
        try:
            yield
        finally:
            await to_thread.run_sync(service.stop)

    app = FastAPI(
        title="reelscore",
        version=__version__,
        summary="Find music for a video.",
        lifespan=lifespan,
        docs_url=None,  # these pages load scripts from another host
        redoc_url=None,
        responses={"4XX": {"model": Problem, "content": {"application/problem+json": {}}}},
    )
    app.state.service = service
    add_handlers(app)
    routers = [module.router for module in (matches, videos, fits, tracks, jobs, system)]
    for router in routers:
        app.include_router(router)
    app.state.methods = methods = Methods(route for router in routers for route in router.routes)
    app.mount("/", StaticFiles(directory=system.PAGE, html=True))
    app.add_middleware(HeadAsGet, methods=methods)
    app.add_middleware(BodyLimit)
    app.add_middleware(SameOrigin, hosts=None if settings.keys else {*_OWN_NAMES, settings.host})
    app.add_middleware(SecurityHeaders)
    app.add_middleware(Measured, metrics=service.metrics)
    return app
