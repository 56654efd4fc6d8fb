"""S3 servers on loopback: one on disk, one that deletes in bulk, and faulty ones."""

from __future__ import annotations

import io
import logging
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

BUCKET = "media"
KEY, SECRET = "AKIATESTKEYOFLOOPBACK", "a-secret-that-no-message-may-repeat"


def environment(url: str) -> dict[str, str]:
    """Return the environment of a client of a server."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
    }


def use(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Point this process at a server."""
    for name in ("AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_S3", "AWS_ALLOW_HTTP"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment(url).items():
        monkeypatch.setenv(name, value)


@contextmanager
def localbucket(folder: Path, *, handler: type | None = None) -> Iterator[str]:
    """Serve a folder with localbucket, with the bucket `BUCKET` in it, and yield the address."""
    from localbucket import S3Handler

    (folder / BUCKET).mkdir(parents=True, exist_ok=True)
    served = type("Handler", (handler or S3Handler,), {"data_root": folder, "log_message": _silent})
    server = _Server(("127.0.0.1", 0), served)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def moto() -> Iterator[str]:
    """Serve a bucket in memory with moto, which deletes in bulk, and yield the address."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    try:
        # All its servers of one process have the same buckets.
        urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/reset", method="POST")).close()
        client = boto3.client(
            "s3",
            endpoint_url=url,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
        )
        client.create_bucket(Bucket=BUCKET)
        yield url
    finally:
        server.stop()


def without_conditional_writes() -> type:
    """Return a handler for `localbucket` that ignores ``If-None-Match``, as some servers do."""
    from localbucket import S3Handler

    class Faulty(S3Handler):
        def do_PUT(self) -> None:  # noqa: N802
            del self.headers["If-None-Match"]
            super().do_PUT()

    return Faulty


def read_only() -> type:
    """Return a handler for `localbucket` that denies every request that writes."""
    from localbucket import S3Handler

    class ReadOnly(answering(403, "AccessDenied")):  # type: ignore[misc]
        do_GET, do_HEAD = S3Handler.do_GET, S3Handler.do_HEAD  # noqa: N815

    return ReadOnly


def answering(status: int, code: str) -> type:
    """Return a handler for `localbucket` that answers every request with an error, and repeats the key in it."""
    from localbucket import S3Handler

    class Failing(S3Handler):
        def _answer(self) -> None:
            body = f"<Error><Code>{code}</Code><AWSAccessKeyId>{KEY}</AWSAccessKeyId></Error>".encode()
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _answer  # noqa: N815

    return Failing


def switched(status: int, code: str) -> type:
    """Return a handler for `localbucket` that answers with an error while its attribute `is_failing` is true."""
    from localbucket import S3Handler

    failing = answering(status, code)

    class Switched(failing):  # type: ignore[misc,valid-type]
        is_failing = False

        def _dispatch(self, handler: Any) -> None:
            self._answer() if Switched.is_failing else S3Handler._dispatch(self, handler)

        do_GET, do_PUT = S3Handler.do_GET, S3Handler.do_PUT  # noqa: N815
        do_HEAD, do_POST, do_DELETE = S3Handler.do_HEAD, S3Handler.do_POST, S3Handler.do_DELETE  # noqa: N815

    return Switched


def losing_answers() -> type:
    """Return a handler for `localbucket` that creates each object but loses the first answer."""
    from localbucket import S3Handler

    class Losing(S3Handler):
        seen: ClassVar[set[str]] = set()

        def do_PUT(self) -> None:  # noqa: N802
            if self.path in self.seen or not self.headers.get("If-None-Match"):
                super().do_PUT()
                return
            self.seen.add(self.path)
            answer, self.wfile = self.wfile, io.BytesIO()
            super().do_PUT()
            self.wfile, self.close_connection = answer, True

    return Losing


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Say nothing about clients that were killed."""


def _silent(*_: Any) -> None:
    """Log no request."""
