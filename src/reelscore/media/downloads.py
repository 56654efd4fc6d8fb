"""Temporary local copies of media on object storage."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path, PurePosixPath

from reelscore.objects import S3Folder, uri_scheme

_PREFIX = "reelscore-media-"


@contextmanager
def local_file(source: Path | str) -> Iterator[str]:
    """Yield the path of a file: `source` itself, or a copy of an ``s3://`` object, which is deleted at the end.

    The copy has the name of the object, since its suffix and stem can matter.

    Raises
    ------
    NotFoundError
        When there is no such object, or its store cannot be reached.
    InputError, ConfigError
        See `S3Folder`.
    """
    if not uri_scheme(str(source)):
        yield str(source)
        return
    folder, name = split_uri(str(source))
    copies = copies_folder()
    try:
        target = Path(copies, name)
        folder.download(name, target)
        yield str(target)
    finally:
        shutil.rmtree(copies, ignore_errors=True)


def copies_folder() -> str:
    """Create a temporary folder, which a later process deletes if this one is killed."""
    _sweep()
    return tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")


def split_uri(uri: str) -> tuple[S3Folder, str]:
    """Return the folder and the name of an object.

    Examples
    --------
    >>> folder, name = split_uri("s3://media/films/a.mp4")
    >>> str(folder), name
    ('s3://media/films', 'a.mp4')
    """
    whole = S3Folder.parse(uri)
    path = PurePosixPath(whole.prefix)
    return S3Folder(whole.bucket, "" if str(path.parent) == "." else str(path.parent)), path.name


@cache
def _sweep() -> None:
    """Delete the copies that killed processes left, once in each process."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        process = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if process.isdigit() and not Path("/proc", process).exists() and Path("/proc").is_dir():
            shutil.rmtree(folder, ignore_errors=True)
