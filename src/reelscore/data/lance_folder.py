"""LanceDB databases in a folder or at an ``s3://`` address, with their errors as errors of reelscore."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from reelscore.errors import ArtifactError, InputError, ReelscoreError
from reelscore.objects import S3Folder, store_error, uri_scheme


@contextmanager
def table_errors(uri: str) -> Iterator[None]:
    """Turn what LanceDB raises, its panics included, into `ArtifactError`."""
    try:
        yield
    except (ReelscoreError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        known = isinstance(error, (RuntimeError, ValueError, OSError, pa.ArrowException))
        if not known and type(error).__name__ not in ("PanicException", "RustPanic"):
            raise
        message = " ".join(str(error).split())
        folder = folder_of(uri)
        if isinstance(folder, S3Folder):
            raise store_error(message, folder) from None
        if "No space left" in message or "os error 28" in message:
            raise ArtifactError(
                f"the disk of {uri} is full. The data set is as it was before this write. Free some space, then run "
                "this again"
            ) from error
        if "ermission denied" in message or "Read-only file system" in message:
            raise ArtifactError(f"{uri} cannot be written. Check the permissions of its folder") from error
        raise ArtifactError(
            f"the data set {uri} cannot be read or written: {message[:200]}. Extract again to another URI"
        ) from error


def check_writable(uri: str) -> None:
    """Raise `ConfigError` if a store would lose rows of two writers; see `S3Folder.check_conditional_writes`."""
    folder = folder_of(uri)
    if isinstance(folder, S3Folder):
        folder.check_conditional_writes()


def folder_of(uri: Path | str) -> Path | S3Folder:
    """Return the folder of a path or an ``s3://`` address; raise `InputError` for another scheme."""
    return S3Folder.parse(str(uri)) if uri_scheme(str(uri)) else Path(uri).expanduser()


def connect(uri: str) -> Any:
    """Return the LanceDB database of a folder or address."""
    from reelscore.library.storage.local_lancedb import lancedb

    folder = folder_of(uri)
    return lancedb.connect(
        uri, storage_options=folder.lance_options() if isinstance(folder, S3Folder) else None
    )


def check_empty(folder: Path | S3Folder, *, ignored: Sequence[str]) -> None:
    """Raise `ArtifactError` unless a folder is absent or empty, but for some names; or `InputError` for a file."""
    try:
        if isinstance(folder, Path):
            names = [path.name for path in folder.iterdir()]
        else:
            names = [found.name.partition("/")[0] for found in islice(folder.objects(), 1000)]
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        raise InputError(f"{folder} is a file, expected a folder; give another --out") from error
    if others := [name for name in names if name not in ignored]:
        raise ArtifactError(
            f"{folder} holds other files ({min(others)}), expected a data set of features or an empty folder; give "
            "another --out"
        )
