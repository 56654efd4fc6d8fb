"""Processes that match, so that several matches run at a time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from reelscore.errors import ReelscoreError
from reelscore.workers.process import WorkerProcess

from .catalogue import Catalogue, MatchQuery
from .jobs import WorkerDied
from .settings import Settings

Answer = dict[str, Any] | ReelscoreError


def prepare_matcher(settings: Settings) -> Callable[[MatchQuery | None], Answer]:
    """Open the library, and return the function that matches; errors are answers, since they have a status.

    Without a query, the function drops what is kept of earlier ones.
    """
    catalogue = Catalogue(settings)

    def match(query: MatchQuery | None) -> Answer:
        if query is None:
            catalogue.matcher.forget()
            return {}
        try:
            return catalogue.match(query)
        except ReelscoreError as error:
            return error

    return match


class Matchers:
    """Processes that each have the library and the model open.

    Parameters
    ----------
    settings : Settings
        `matchers` is the number of processes.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # The system ends a worker with the thread that started it, so this thread lives as long as the workers.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="reelscore-match")
        self._free: queue.SimpleQueue[WorkerProcess] = queue.SimpleQueue()
        self._all: set[WorkerProcess] = set()
        self._forgetting = threading.Lock()
        for _ in range(settings.matchers):
            self._free.put(self._start())

    def forget(self) -> None:
        """Drop what the processes keep of earlier queries."""
        with self._forgetting:
            for process in [self._free.get() for _ in range(self._settings.matchers)]:
                try:
                    process.run(None)
                    self._free.put(process)
                except (EOFError, ReelscoreError):
                    self._free.put(self._replaced(process))

    def match(self, query: MatchQuery) -> dict[str, Any]:
        """Return the matches; see `Catalogue.match`.

        Raises
        ------
        WorkerDied
            When the process ends at both attempts.
        """
        for attempt in range(2):
            process = self._free.get()
            try:
                kind, answer = process.run(query)
            except EOFError:
                process = self._replaced(process)
                if attempt:
                    raise WorkerDied("the matcher process ended twice") from None
                continue
            except ReelscoreError:  # the library or the model cannot be opened
                process = self._replaced(process)
                raise
            finally:
                self._free.put(process)
            if kind != "value":
                raise ReelscoreError(answer)
            if isinstance(answer, ReelscoreError):
                raise answer
            matches: dict[str, Any] = answer
            return matches
        raise AssertionError("the second attempt returns or raises")

    def reload(self) -> None:
        """Replace each process by a new one once it has answered."""
        for _ in range(self._settings.matchers):
            new, old = self._start(), self._free.get()
            self._free.put(new)
            self._end(old)

    def close(self) -> None:
        """Kill the processes."""
        for process in self._all:
            process.kill()
        for process in self._all:
            process.close()
        self._starter.shutdown(wait=False)

    def _replaced(self, process: WorkerProcess) -> WorkerProcess:
        self._end(process)
        return self._start()

    def _end(self, process: WorkerProcess) -> None:
        self._all.discard(process)
        process.kill()
        process.close()

    def _start(self) -> WorkerProcess:
        process = self._starter.submit(WorkerProcess, prepare_matcher, (self._settings,)).result()
        self._all.add(process)
        return process
