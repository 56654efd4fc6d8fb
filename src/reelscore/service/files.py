"""Answer with files: ranges, validators, names; and paths that clients may name."""

from __future__ import annotations

import email.utils
import os
import re
from collections.abc import Sequence
from pathlib import Path

from fastapi import Request
from starlette.responses import FileResponse, Response

from reelscore.errors import NotFoundError

from .problems import Problem, problem

MEDIA_TYPES = {
    ".aac": "audio/aac", ".aif": "audio/aiff", ".aiff": "audio/aiff", ".flac": "audio/flac", ".m4a": "audio/mp4",
    ".m4b": "audio/mp4", ".mp3": "audio/mpeg", ".oga": "audio/ogg", ".ogg": "audio/ogg", ".opus": "audio/ogg",
    ".wav": "audio/wav", ".weba": "audio/webm", ".wma": "audio/x-ms-wma", ".jpg": "image/jpeg",
    ".avi": "video/x-msvideo", ".m4v": "video/mp4", ".mkv": "video/x-matroska", ".mov": "video/quicktime",
    ".mp4": "video/mp4", ".mpg": "video/mpeg", ".mpeg": "video/mpeg", ".ts": "video/mp2t", ".webm": "video/webm",
}  # fmt: skip
"""Types by suffix. Everything else is ``application/octet-stream``, so that no upload is ever a page or a script."""


def file_response(request: Request, path: Path | str, *, download: str | None = None) -> Response:
    """Answer with a file, or 304 where the client has it.

    Parameters
    ----------
    request : Request
    path : path
    download : str, optional
        Name under which a browser saves the file.
    """
    file = Path(path)
    try:
        stat = file.stat()
    except OSError:
        raise NotFoundError(f"the file {file.name!r} is gone; add its folder again with prune") from None
    etag = f'"{stat.st_ino:x}-{stat.st_size:x}-{stat.st_mtime_ns:x}"'
    headers = {
        "etag": etag,
        "last-modified": email.utils.formatdate(stat.st_mtime, usegmt=True),
        "cache-control": "private, no-cache",
    }
    if _is_known(request, etag, stat.st_mtime):
        return Response(status_code=304, headers=headers)
    media_type = MEDIA_TYPES.get(file.suffix.lower(), "application/octet-stream")
    wanted = request.headers.get("range", "")
    if wanted and not re.fullmatch(r"bytes=(\d{0,18}-\d{0,18})(,\s*\d{0,18}-\d{0,18}){0,20}", wanted):
        return problem(
            416,
            f"expected a range such as bytes=0-999, got {wanted[:60]!r}",
            headers=headers | {"content-range": f"bytes */{stat.st_size}"},
        )
    return FileResponse(
        file,
        headers=headers,
        media_type=media_type,
        filename=download,
        stat_result=stat,
    )


def _is_known(request: Request, etag: str, modified_s: float) -> bool:
    """Return whether the client's copy is current; If-None-Match has priority over If-Modified-Since (RFC 9110)."""
    matches = request.headers.get("if-none-match")
    if matches is not None:
        return matches.strip() == "*" or etag in [
            tag.strip().removeprefix("W/") for tag in matches.split(",")
        ]
    since = request.headers.get("if-modified-since")
    if since is None:
        return False
    try:
        return int(modified_s) <= email.utils.parsedate_to_datetime(since).timestamp()
    except (TypeError, ValueError, OverflowError):
        return False


def allowed_path(path: str, roots: Sequence[Path]) -> Path:
    """Return an absolute path without links that is below one of the roots; raise 403 for any other."""
    try:
        real = Path(os.path.realpath(Path(path).expanduser(), strict=False))
        inside = any(real.is_relative_to(os.path.realpath(root)) for root in roots)
    except (OSError, ValueError, RuntimeError):
        inside = False
    if not inside:
        folders = ", ".join(map(str, roots)) or "none"
        raise Problem(403, f"expected a path below an allowed folder ({folders}), got {path[:200]!r}")
    if not real.exists():
        raise NotFoundError(f"{path} does not exist; check the spelling")
    return real
