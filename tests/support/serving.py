"""A running service, and calls that tests make of it."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import uvicorn

from reelscore.service.app import create_app
from reelscore.service.client import Client
from reelscore.service.server import server_config
from reelscore.service.service import Service
from reelscore.service.settings import Settings

TUS = {"tus-resumable": "1.0.0"}
PART = {"content-type": "application/offset+octet-stream"}


@dataclass(frozen=True)
class Running:
    """A service that listens: its address, parts, and a plain HTTP client."""

    url: str
    service: Service
    http: httpx2.Client

    def client(self, key: str | None = None) -> Client:
        return Client(self.url, key=key)

    def begin(self, content: bytes | int, name: str = "film.mp4", **headers: str) -> str:
        """Begin an upload and return its path."""
        length = content if isinstance(content, int) else len(content)
        encoded = base64.b64encode(name.encode("utf-8", "surrogateescape")).decode()
        answer = self.http.post(
            "/v1/videos",
            headers={
                **TUS,
                "upload-length": str(length),
                "upload-metadata": f"filename {encoded}",
                **headers,
            },
        )
        assert answer.status_code == 201, answer.text
        return str(answer.headers["location"])

    def append(self, at: str, content: bytes, offset: int = 0, **headers: str) -> httpx2.Response:
        return self.http.patch(
            at, headers={**TUS, **PART, "upload-offset": str(offset), **headers}, content=content
        )

    def upload(self, content: bytes, name: str = "film.mp4") -> dict[str, Any]:
        """Upload a video and return it once it is ready or failed."""
        at = self.begin(content, name)
        assert self.append(at, content).status_code == 204
        return self.settled(at)

    def settled(self, at: str) -> dict[str, Any]:
        """Return a video or job once nothing more happens to it."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            found: dict[str, Any] = self.http.get(at).json()
            if found["state"] not in ("uploading", "analysing", "queued", "running"):
                return found
            time.sleep(0.05)
        raise AssertionError(f"{at} is still {found['state']}")


@contextmanager
def running(settings: Settings) -> Iterator[Running]:
    """Serve in a thread, on any port."""
    app = create_app(settings)
    server = uvicorn.Server(server_config(app))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with httpx2.Client(base_url=url, timeout=60) as http:
            yield Running(url, app.state.service, http)
    finally:
        app.state.service.stopping.set()
        server.should_exit = True
        thread.join(30)


def found_in(folder: Path, needle: bytes) -> list[Path]:
    """Return the files below a folder whose name or content has some bytes."""
    return [
        file
        for file in sorted(folder.rglob("*"))
        if needle in str(file.relative_to(folder)).encode()
        or (file.is_file() and needle in file.read_bytes())
    ]


class ServerProcess:
    """``reelscore serve`` in a process of its own, on any port."""

    def __init__(self, *arguments: object, cache: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "reelscore", "serve", "--port", "0", *map(str, arguments)],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"XDG_CACHE_HOME": str(cache), "OMP_NUM_THREADS": "1"},
        )
        assert self._process.stderr is not None
        line = self._process.stderr.readline()
        assert "http://" in line, line + self._process.stderr.read()
        self.url = line.split()[2]
        self.pid = self._process.pid
        self.http = httpx2.Client(base_url=self.url, timeout=60)

    def kill(self) -> None:
        """Kill it as a power cut would (SIGKILL)."""
        self._process.kill()
        self._ended()

    def stop(self) -> int:
        """Ask it to stop (SIGTERM), and return its exit code."""
        self._process.terminate()
        return self._ended()

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def _ended(self) -> int:
        code = self._process.wait(40)
        self.http.close()
        assert self._process.stderr is not None
        self._process.stderr.close()
        return code
