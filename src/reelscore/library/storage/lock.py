"""Lock that admits one writer to a library."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from reelscore.errors import ArtifactError

FILE_NAME = "lock"


def acquire_writer_lock(library: Path, *, wait_s: float = 0.0) -> FileLock:
    """Acquire the operating system's lock on a library and return it; `release` frees it.

    The kernel frees the lock when the process ends, so a killed writer leaves no stale lock. The lock file itself stays
    and holds the process id of the last writer.

    Parameters
    ----------
    library : Path
        An existing folder.
    wait_s : float
        How long to wait for another writer.

    Raises
    ------
    ArtifactError
        When another writer still holds the lock after `wait_s`, or the folder cannot be written.
    """
    file = library / FILE_NAME
    # A store may be closed by another thread than the one that opened it.
    lock = FileLock(file, thread_local=False)
    try:
        lock.acquire(timeout=wait_s)
    except Timeout:
        raise ArtifactError(
            f"another process{_holder(file)} is writing to the library {library}. Wait until it has ended, then run "
            "this again"
        ) from None
    except OSError as error:
        raise ArtifactError(
            f"cannot write to the library {library}: {error.strerror}. Check its permissions and the free space"
        ) from error
    with suppress(OSError):  # on a full disk the process id is missing from messages, nothing else
        file.write_text(f"{os.getpid()}\n", encoding="ascii")
    return lock


def _holder(file: Path) -> str:
    try:
        return f" (pid {int(file.read_text(encoding='ascii'))})"
    except (OSError, ValueError):
        return ""
