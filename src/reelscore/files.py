"""Files that are whole or not there: bytes enter, a hash or an atomically replaced file leaves."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .errors import NotFoundError


def content_hash(path: Path | str) -> str:
    """Return the BLAKE2b-160 hash of a file's bytes (40 hex digits): its identity wherever it lies."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=20)).hexdigest()


def existing_file(path: Path | str) -> Path:
    """Return `path` as a Path, or raise `NotFoundError` that says whether it is absent or a folder."""
    found = Path(path)
    if found.is_dir():
        raise NotFoundError(f"{found} is a folder; name a file inside it")
    if not found.exists():
        raise NotFoundError(f"{found} does not exist; check the spelling and the folder you are in")
    return found


@contextmanager
def replacing(path: Path | str, *, mode: str = "wb") -> Iterator[IO[bytes]]:
    """Write beside `path`, then fsync and rename over it; on any error the old file stays as it was.

    Yields a binary file object. Parent folders are made. Two writers at once leave one whole file.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:80]}.", suffix=".part")
    try:
        with os.fdopen(handle, mode) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, 0o666 & ~_umask())  # noqa: PTH101
        os.replace(beside, target)  # noqa: PTH105
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def write_bytes(path: Path | str, content: bytes) -> None:
    """Replace the file at `path` by `content`, atomically."""
    with replacing(path) as file:
        file.write(content)


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive a power cut, where the system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
