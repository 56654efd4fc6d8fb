"""Worker processes that open media of strangers: one process for each item."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from reelscore.errors import MediaError
from reelscore.workers.confinement import Confinement
from reelscore.workers.process import WorkerProcess

from .jobs import Cancelled, JobFailed, WorkerDied


def prepare_calls() -> Callable[[Callable[[], Any]], Any]:
    """Import the media code, and return the function that runs an item: a picklable call without arguments."""
    import reelscore.media.frames
    import reelscore.media.probe
    import reelscore.service.media_work  # noqa: F401

    return lambda call: call()


class ConfinedWorkers:
    """Runs each item in a worker process of its own, confined to the item's files, at low priority.

    Processes are started and prepared ahead, so that an item does not wait for it.

    Parameters
    ----------
    prepare : callable
        Importable by name; see `run_all`.
    *arguments
    most : int
        Number of items at a time.
    """

    def __init__(self, prepare: Callable[..., Callable[[Any], Any]], *arguments: Any, most: int = 2) -> None:
        self._preparation = (prepare, arguments)
        self._free = threading.BoundedSemaphore(most)
        # The system ends a worker with the thread that started it, so this thread lives as long as the workers.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="reelscore-start")
        self._spares: deque[Future[WorkerProcess]] = deque()
        self._running: dict[WorkerProcess, frozenset[str]] = {}
        self._cancelled: set[WorkerProcess] = set()
        self._lock = threading.Lock()
        self._closed = False

    def run(self, item: Any, confinement: Confinement, *, limit_s: float, names: Sequence[str] = ()) -> Any:
        """Return the value of an item.

        Parameters
        ----------
        item : picklable
        confinement : Confinement
        limit_s : float
            Longest time.
        names : sequence of str
            Ids of the job and the video, for `cancel`.

        Raises
        ------
        JobFailed
            When the item failed; the message is the reason.
        WorkerDied
            When its process ended.
        Cancelled
            When it was cancelled.
        """
        with self._free:
            process = self._take()
            with self._lock:
                self._running[process] = frozenset(names)
            try:
                kind, content = process.run(item, limit_s=limit_s, confinement=confinement)
            except TimeoutError:
                raise JobFailed(
                    f"took longer than {limit_s:.0f} s and was stopped; use a shorter file"
                ) from None
            except EOFError:
                death = process.death()
                if process in self._cancelled:
                    raise Cancelled from None
                raise WorkerDied(death) from None
            finally:
                with self._lock:
                    self._running.pop(process, None)
                    self._cancelled.discard(process)
                process.kill()
                process.close()
        if kind != "value":
            raise JobFailed(content)
        return content

    def cancel(self, name: str) -> None:
        """Kill the processes of the running items with a name."""
        with self._lock:
            for process, names in self._running.items():
                if name in names:
                    self._cancelled.add(process)
                    process.kill()

    def warm(self) -> None:
        """Start a spare process."""
        with self._lock:
            if not self._spares and not self._closed:
                self._spares.append(self._start())

    def close(self) -> None:
        """Kill all processes."""
        with self._lock:
            self._closed = True
            running, spares = list(self._running), list(self._spares)
            self._spares.clear()
        for process in running:
            process.kill()
        for spare in spares:
            with contextlib.suppress(Exception):
                process = spare.result()
                process.kill()
                process.close()
        self._starter.shutdown(wait=False)

    def _take(self) -> WorkerProcess:
        with self._lock:
            if self._closed:
                raise WorkerDied("the server stops")
            spare = self._spares.popleft() if self._spares else None
            started = spare or self._start()
        self.warm()
        return started.result()

    def _start(self) -> Future[WorkerProcess]:
        return self._starter.submit(WorkerProcess, *self._preparation, background=True)


def reason_without_path(error: BaseException, path: str) -> str:
    """Return the message of an error without the path of a file on the server."""
    return (error.message if isinstance(error, MediaError) else str(error)).replace(path, "the file")
