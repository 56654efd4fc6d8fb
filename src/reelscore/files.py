"""Content hashes, atomic file writes, and the user's cache and data folders."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .errors import NotFoundError


def content_hash(path: Path | str) -> str:
    """Return the BLAKE2b-160 hash of a file's bytes, 40 hex digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=20)).hexdigest()


def existing_file(path: Path | str) -> Path:
    """Return `path` as a Path, or raise `NotFoundError` if it does not exist or is a folder."""
    file = Path(path)
    if file.is_dir():
        raise NotFoundError(f"{file} is a folder; name a file inside it")
    if not file.exists():
        raise NotFoundError(f"{file} does not exist; check the spelling and the folder you are in")
    return file


def cache_folder() -> Path:
    """Return the user's cache folder of reelscore, below ``$XDG_CACHE_HOME`` (``~/.cache``) on Linux."""
    from platformdirs import user_cache_path

    return user_cache_path("reelscore", appauthor=False)


def data_folder() -> Path:
    """Return the user's data folder of reelscore, below ``$XDG_DATA_HOME`` (``~/.local/share``) on Linux."""
    from platformdirs import user_data_path

    return user_data_path("reelscore", appauthor=False)


@contextmanager
def replace_file(path: Path | str, *, mode: str = "wb") -> Iterator[IO[bytes]]:
    """Replace `path` atomically by what is written to the yielded binary file.

    The content goes to a temporary file in the same folder, which is synced and renamed over `path`. After an error
    the old file is unchanged. Missing parent folders are created.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:80]}.", suffix=".part")
    try:
        with os.fdopen(handle, mode) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # noqa: PTH101
        os.replace(temporary, target)  # noqa: PTH105
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def write_bytes(path: Path | str, content: bytes) -> None:
    """Replace the file at `path` by `content` atomically."""
    with replace_file(path) as file:
        file.write(content)


def sync_folder(folder: Path) -> None:
    """Sync a folder, so that a rename in it survives a power cut, if the system supports that."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def is_disk_full(error: BaseException) -> bool:
    """Return whether an error means that a disk or a quota is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
