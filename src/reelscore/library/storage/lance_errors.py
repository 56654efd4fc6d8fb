"""Errors of LanceDB as `ArtifactError`, and commits that are tried again."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import pyarrow as pa

from reelscore.errors import ArtifactError, ReelscoreError
from reelscore.objects import Folder, S3Folder, store_error

from .meta import damaged

T = TypeVar("T")

_MAX_ATTEMPTS = 30
_LONGEST_PAUSE_S = 2.0
# LanceDB itself tries a commit ten times without a pause, which is too few where many writers commit.

_CONFLICT = re.compile(r"commit conflict|[Tt]oo many concurrent writers|Please retry")
_MISSING = re.compile(r"not ?found|NoSuchKey", re.IGNORECASE)
_OF_STORE = re.compile(
    r"Generic S3|store: \"S3\"|HTTP error|status code|error sending request|security-credentials|BucketNotFound"
)


class ConflictError(ArtifactError):
    """A commit that another writer's commit came before; it may be tried again."""


@contextmanager
def lance_errors(library: Folder) -> Iterator[None]:
    """Turn what LanceDB raises, its panics included, into `ArtifactError`."""
    try:
        yield
    except (ReelscoreError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        if not isinstance(error, (RuntimeError, ValueError, OSError, pa.ArrowException)) and (
            type(error).__name__ not in ("PanicException", "RustPanic")
        ):
            raise
        message = " ".join(str(error).split())
        if _CONFLICT.search(message):
            raise ConflictError(
                f"other writers changed the library {library} at the same time, many times in a row. Run this again"
            ) from None
        if isinstance(library, S3Folder):
            # Without the cause, which may contain the key.
            if _OF_STORE.search(message) and not _MISSING.search(message):
                raise store_error(str(error), library) from None
            if _MISSING.search(message):
                raise ArtifactError(
                    f"a file of the library {library} is missing. Another writer may have deleted the version that was "
                    "read, after an hour. Run this again; if it recurs, restore the library from a backup"
                ) from None
            raise damaged(library, message[:200]) from None
        if "No space left" in message or "os error 28" in message:
            raise ArtifactError(
                f"the disk of the library {library} is full. The library is as it was before this write. Free some "
                "space, then run this again"
            ) from error
        if "ermission denied" in message or "Read-only file system" in message:
            raise ArtifactError(
                f"the library {library} cannot be written. Check the permissions of its folder"
            ) from error
        raise damaged(library, message[:200]) from error


def commit(write: Callable[[], T], library: Folder, *, refresh: Callable[[], None] | None) -> T:
    """Call a function that commits; after a conflict with another writer, call `refresh`, then try again.

    Without `refresh`, a conflict is an error.
    """
    for attempt in range(1, _MAX_ATTEMPTS):
        try:
            with lance_errors(library):
                return write()
        except ConflictError:
            if refresh is None:
                raise
            # Two writers that conflicted must not meet again.
            time.sleep(random.uniform(0, min(_LONGEST_PAUSE_S, 0.05 * 2**attempt)))
            refresh()
    with lance_errors(library):
        return write()
