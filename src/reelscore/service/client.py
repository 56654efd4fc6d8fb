"""Python client of the HTTP API, synchronous and asynchronous."""

from __future__ import annotations

import asyncio
import functools
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Concatenate, ParamSpec, TypeVar

import httpx2

from reelscore.errors import NotFoundError, ReelscoreError

from . import client_calls as calls
from .client_calls import Event, EventParser, Flow, Pause, Request

_P = ParamSpec("_P")
_T = TypeVar("_T")

_TIMEOUT_S = 60.0
_RETRIES = 5


class ServiceError(ReelscoreError):
    """An answer of the service that is an error.

    Attributes
    ----------
    status : int
        HTTP status.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def _sync(call: Callable[_P, Flow[_T]]) -> Callable[Concatenate[Client, _P], _T]:
    @functools.wraps(call)
    def method(self: Client, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        steps = call(*args, **kwargs)
        try:
            step = next(steps)
            while True:
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    step = next(steps)
                    continue
                try:
                    answer = self._send(step)
                except httpx2.TransportError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
        except StopIteration as end:
            result: _T = end.value
            return result

    return method


def _async(call: Callable[_P, Flow[_T]]) -> Callable[Concatenate[AsyncClient, _P], Coroutine[Any, Any, _T]]:
    @functools.wraps(call)
    async def method(self: AsyncClient, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        steps = call(*args, **kwargs)
        try:
            step = next(steps)
            while True:
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                    step = next(steps)
                    continue
                try:
                    answer = await self._send(step)
                except httpx2.TransportError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
        except StopIteration as end:
            result: _T = end.value
            return result

    return method


class Client:
    """Client of a service.

    Parameters
    ----------
    url : str
        Address of the service.
    key : str, optional
        API key.
    transport : httpx2.BaseTransport, optional
        How requests are sent, for tests.

    Examples
    --------
        with Client("http://127.0.0.1:8000") as client:
            video = client.upload("holiday.mp4")
            best = client.match(video, top=5).matches[0]
            client.render(video, best.key, "finished.mp4", start_s=best.start_s)
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        key: str | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._http = httpx2.Client(
            base_url=url, headers=_headers(key), timeout=_TIMEOUT_S, transport=transport
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    upload = _sync(calls.upload)
    use_path = _sync(calls.use_path)
    wait_for_video = _sync(calls.wait_for_video)
    video = _sync(calls.video)
    videos = _sync(calls.videos)
    delete_video = _sync(calls.delete_video)
    match = _sync(calls.match)
    tracks = _sync(calls.tracks)
    track = _sync(calls.track)
    add_tracks = _sync(calls.add_tracks)
    remove_track = _sync(calls.remove_track)
    preview = _sync(calls.preview)
    render = _sync(calls.render)
    job = _sync(calls.job)
    jobs = _sync(calls.jobs)
    wait_for_job = _sync(calls.wait_for_job)
    cancel = _sync(calls.cancel)
    library = _sync(calls.library)
    reload = _sync(calls.reload)

    def events(self, *, last_id: str | None = None) -> Iterator[Event]:
        """Yield events as they come, from the one after `last_id` on."""
        with self._http.stream("GET", "/v1/events", headers=_last(last_id), timeout=None) as answer:
            _check(answer.status_code, b"" if answer.is_success else answer.read())
            parser = EventParser()
            for line in answer.iter_lines():
                if (event := parser.feed(line)) is not None:
                    yield event

    def _send(self, request: Request) -> httpx2.Response:
        for retry in range(_RETRIES + 1):
            with self._http.stream(**_arguments(request)) as answer:
                if request.file is not None and answer.is_success:
                    with request.file.open("wb") as out:
                        for part in answer.iter_bytes():
                            out.write(part)
                    return answer
                answer.read()
            if answer.status_code != 429 or retry == _RETRIES:
                break
            time.sleep(float(answer.headers.get("retry-after", "1")))
        _check(answer.status_code, answer.content)
        return answer


class AsyncClient:
    """Asynchronous `Client`, with the same methods."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        key: str | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx2.AsyncClient(
            base_url=url, headers=_headers(key), timeout=_TIMEOUT_S, transport=transport
        )

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    upload = _async(calls.upload)
    use_path = _async(calls.use_path)
    wait_for_video = _async(calls.wait_for_video)
    video = _async(calls.video)
    videos = _async(calls.videos)
    delete_video = _async(calls.delete_video)
    match = _async(calls.match)
    tracks = _async(calls.tracks)
    track = _async(calls.track)
    add_tracks = _async(calls.add_tracks)
    remove_track = _async(calls.remove_track)
    preview = _async(calls.preview)
    render = _async(calls.render)
    job = _async(calls.job)
    jobs = _async(calls.jobs)
    wait_for_job = _async(calls.wait_for_job)
    cancel = _async(calls.cancel)
    library = _async(calls.library)
    reload = _async(calls.reload)

    async def events(self, *, last_id: str | None = None) -> AsyncIterator[Event]:
        """Yield events as they come, from the one after `last_id` on."""
        async with self._http.stream("GET", "/v1/events", headers=_last(last_id), timeout=None) as answer:
            _check(answer.status_code, b"" if answer.is_success else await answer.aread())
            parser = EventParser()
            async for line in answer.aiter_lines():
                if (event := parser.feed(line)) is not None:
                    yield event

    async def _send(self, request: Request) -> httpx2.Response:
        for retry in range(_RETRIES + 1):
            async with self._http.stream(**_arguments(request)) as answer:
                if request.file is not None and answer.is_success:
                    with request.file.open("wb") as out:
                        async for part in answer.aiter_bytes():
                            out.write(part)
                    return answer
                await answer.aread()
            if answer.status_code != 429 or retry == _RETRIES:
                break
            await asyncio.sleep(float(answer.headers.get("retry-after", "1")))
        _check(answer.status_code, answer.content)
        return answer


def _headers(key: str | None) -> dict[str, str]:
    return {} if key is None else {"authorization": f"Bearer {key}"}


def _last(id: str | None) -> dict[str, str]:
    return {} if id is None else {"last-event-id": id}


def _arguments(request: Request) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": request.path,
        "json": request.json,
        "params": request.params,
        "headers": request.headers,
        "content": request.content,
    }


def _check(status: int, content: bytes) -> None:
    """Raise the error of an answer that is one."""
    if status < 400:
        return
    try:
        detail = str(json.loads(content)["detail"])
    except (ValueError, KeyError, TypeError):
        detail = f"the service answers with status {status}"
    if status == 404:
        raise NotFoundError(detail)
    raise ServiceError(status, detail)
