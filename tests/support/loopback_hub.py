"""A Hugging Face hub on loopback that serves local folders as model repositories."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

LARGE_SUFFIX = ".safetensors"
"""Files that the hub keeps in large file storage: their ETag is the sha256."""


class LoopbackHub:
    """The endpoints of the hub that `snapshot_download` uses: info, tree and files with ranges.

    Attributes
    ----------
    url : str
        Value of HF_ENDPOINT.
    requests : list of (str, str, str)
        Method, path and range of each request so far.
    cut_after : dict of str to int
        By id of a repository: close the connection once after this many bytes of a large file.
    paused : threading.Event
        Set when a large file has sent its first bytes while `stall` is set.
    stall : bool
        Whether large files stop after their first bytes, for ever.
    """

    def __init__(self, repositories: Mapping[str, tuple[str, Path]]) -> None:
        self.repositories = dict(repositories)
        self.requests: list[tuple[str, str, str]] = []
        self.cut_after: dict[str, int] = {}
        self.stall = False
        self.paused = threading.Event()
        self.stopped = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def files_fetched(self) -> list[str]:
        """Return the names of the files whose content was requested."""
        return [
            path.rpartition("/")[2]
            for method, path, _ in self.requests
            if method == "GET" and "/resolve/" in path
        ]


@contextmanager
def loopback_hub(repositories: Mapping[str, tuple[str, Path]]) -> Iterator[LoopbackHub]:
    """Serve repositories, given by id as commit and folder, until the block ends."""
    hub = LoopbackHub(repositories)
    thread = threading.Thread(target=hub.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.stopped.set()
        hub.server.shutdown()
        hub.server.server_close()


def _handler(hub: LoopbackHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(content=False)

        def do_GET(self) -> None:
            self._answer(content=True)

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self, *, content: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.requests.append((self.command, path, self.headers.get("Range", "")))
            api = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?", path)
            file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
            repository, revision = (api[1], api[3]) if api else (file[1], file[2]) if file else ("", "")
            if repository not in hub.repositories:
                return self._error(401, "RepoNotFound")
            commit, folder = hub.repositories[repository]
            if revision not in (None, "main", commit):
                return self._error(404, "RevisionNotFound")
            if api:
                entries = [_entry(folder, each) for each in sorted(folder.rglob("*")) if each.is_file()]
                info = {"id": repository, "modelId": repository, "sha": commit, "private": False, "tags": []}
                info |= {"siblings": [{"rfilename": entry["path"]} for entry in entries]}
                return self._send(
                    200, json.dumps(entries if api[2] == "tree" else info).encode(), {}, content
                )
            assert file is not None
            target = folder / file[3]
            if not target.is_file():
                return self._error(404, "EntryNotFound")
            return self._send_file(target, repository, commit, content=content)

        def _send_file(self, target: Path, repository: str, commit: str, *, content: bool) -> None:
            data = target.read_bytes()
            entry = _entry(target.parent, target)
            etag = entry["lfs"]["oid"] if "lfs" in entry else entry["oid"]
            headers = {"X-Repo-Commit": commit, "ETag": f'"{etag}"', "Accept-Ranges": "bytes"}
            if "lfs" in entry:
                headers |= {"X-Linked-Size": str(len(data)), "X-Linked-Etag": f'"{etag}"'}
            status, start = 200, 0
            if span := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
                status, start = 206, int(span[1])
                end = min(int(span[2] or len(data) - 1), len(data) - 1)
                headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
                data = data[start : end + 1]
            cut = hub.cut_after.pop(repository, None) if content and "lfs" in entry else None
            if cut is None and not (hub.stall and content and "lfs" in entry):
                return self._send(status, data, headers, content)
            self._head(status, len(data), headers)
            self.wfile.write(data[: cut or 1000])
            self.wfile.flush()
            if cut is None:
                hub.paused.set()
                hub.stopped.wait()
            self.close_connection = True
            return None

        def _error(self, status: int, code: str) -> None:
            self._send(status, b"{}", {"X-Error-Code": code, "X-Error-Message": code}, self.command == "GET")

        def _send(self, status: int, data: bytes, headers: Mapping[str, str], content: bool) -> None:
            self._head(status, len(data), headers)
            if content:
                self.wfile.write(data)

        def _head(self, status: int, length: int, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for name, value in ({"Content-Length": str(length)} | dict(headers)).items():
                self.send_header(name, value)
            self.end_headers()

    return Handler


def _entry(folder: Path, file: Path) -> dict[str, object]:
    """Return a file's entry in the tree: its git blob id, and the sha256 of a large file."""
    data = file.read_bytes()
    oid = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    entry: dict[str, object] = {
        "type": "file",
        "path": file.relative_to(folder).as_posix(),
        "size": len(data),
        "oid": oid,
    }
    if file.suffix == LARGE_SUFFIX:
        entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
    return entry
