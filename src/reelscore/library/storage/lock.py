"""One writer at a time: a library's folder enters, a held lock leaves, or an error that says who holds it."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from reelscore.errors import ArtifactError

FILE_NAME = "lock"

_POLL_S = 0.05


class WriterLock:
    """Held from construction until `release`, at the latest until the process ends, however it ends.

    The kernel's `flock`, so that a killed writer leaves nothing that must be cleared by hand; the file
    itself stays and only tells the others which process writes.

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

    def __init__(self, library: Path, *, wait_s: float = 0.0) -> None:
        self._descriptor = -1
        try:
            self._descriptor = os.open(library / FILE_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise ArtifactError(
                f"cannot write to the library {library}: {error.strerror}; check its permissions and the free space"
            ) from error
        give_up = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= give_up:
                    holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
                    self.release()
                    raise ArtifactError(
                        f"another process (pid {holder}) is writing to the library {library}; "
                        "wait until it has ended and run this again"
                    ) from None
                time.sleep(_POLL_S)
        with suppress(OSError):  # a full disk: then nobody learns who writes
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode("ascii"), 0)

    def release(self) -> None:
        """Let the next writer in; harmless when done already."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> WriterLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def __del__(self) -> None:
        self.release()
