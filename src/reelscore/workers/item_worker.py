"""Workers whose process is replaced after a death: for items, or shared by other workers."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from reelscore.errors import ConfigError, ReelscoreError

from .process import Preparation, WorkerProcess

Item = TypeVar("Item")
Value = TypeVar("Value")

ATTEMPTS = 2
"""How often an item is run that ends its worker process."""

REQUEST_LIMIT_S = 600.0
"""Longest time of a request to `SharedWorkers`; the first one loads the weights."""

_STARTS = 5  # of a process that ends before an item could begin


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Item, Value]):
    """Result of one item: its value, or the reason of its failure, and whether it ended its worker process."""

    item: Item
    value: Value | None
    reason: str | None
    died: bool = False

    @property
    def failed(self) -> bool:
        """Whether the item failed."""
        return self.reason is not None


class ItemWorker:
    """Runs one item after another in a worker process, and starts another process after a death.

    Parameters
    ----------
    preparation : Preparation
    attempts : int
        How often an item is run that ends its process.
    background : bool
        Whether other processes come first.
    answer : callable, optional
        See `WorkerProcess`.
    """

    def __init__(
        self,
        preparation: Preparation,
        attempts: int,
        *,
        background: bool = False,
        answer: Callable[[Any], Any] | None = None,
    ) -> None:
        self._preparation = preparation
        self._answer = answer
        self._attempts = attempts
        self._background = background
        self._process: WorkerProcess | None = None
        self._lock = threading.Lock()
        self._closed = False

    def run(self, item: Item, limit_s: float | None) -> Outcome[Item, Any]:
        """Return the outcome of an item; raise what its preparation raised."""
        deaths = starts = 0
        while True:
            process = self._started()
            try:
                kind, content = process.run(item, limit_s=limit_s)
            except TimeoutError:
                self._replace(process)
                reason = f"took longer than {limit_s:.0f} s, the limit for its size, and was stopped. Check the file"
                return Outcome(item, None, reason)
            except EOFError:
                death = process.death()
                self._replace(process)
                # An item is not to blame for a process that was killed while it loaded the encoders.
                deaths, starts = (deaths + 1, starts) if process.prepared else (deaths, starts + 1)
                if deaths == self._attempts or self._closed:
                    times = "" if deaths == 1 else f" {deaths} times"
                    return Outcome(item, None, f"it ended its worker process{times} ({death})", died=True)
                if starts == _STARTS:
                    reason = f"its worker process ended {starts} times before it could begin ({death})"
                    return Outcome(item, None, reason, died=True)
            else:
                return Outcome(item, content, None) if kind == "value" else Outcome(item, None, content)

    def kill(self) -> None:
        """Kill the process, also amid an item."""
        with self._lock:
            self._closed = True
            if self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """Wait for the end of a killed process."""
        if self._process is not None:
            self._process.close()

    def _started(self) -> WorkerProcess:
        if self._process is None:
            process = WorkerProcess(self._preparation, background=self._background, answer=self._answer)
            with self._lock:
                self._process = process
                if self._closed:
                    process.kill()
        assert self._process is not None
        return self._process

    def _replace(self, process: WorkerProcess) -> None:
        with self._lock:
            self._process = None
        process.close()


class SharedWorkers:
    """Workers that answer the requests of other workers, each with one request at a time.

    A worker waits for the answer to its last request, so no more requests wait than there are workers.

    Parameters
    ----------
    preparation : Preparation or None
    count : int
    background : bool
        Whether other processes come first.

    Raises
    ------
    ConfigError
        Without a preparation.
    """

    def __init__(self, preparation: Preparation | None, count: int, *, background: bool = False) -> None:
        stage = checked_stage(preparation)
        self.workers = [ItemWorker(stage, ATTEMPTS, background=background) for _ in range(count)]
        self._free: queue.SimpleQueue[ItemWorker] = queue.SimpleQueue()
        for worker in self.workers:
            self._free.put(worker)

    def __call__(self, request: Any) -> Any:
        """Return the answer to a request; raise `ReelscoreError` with the reason of a failure."""
        worker = self._free.get()
        try:
            outcome: Outcome[Any, Any] = worker.run(request, REQUEST_LIMIT_S)
        finally:
            self._free.put(worker)
        return stage_answer(outcome.value, outcome.reason)


def stage_answer(value: Any, reason: str | None) -> Any:
    """Return the value of a request; raise `ReelscoreError` if it failed."""
    if reason is not None:
        raise ReelscoreError(f"the encoder stage failed: {reason}")
    return value


def checked_stage(stage: Preparation | None) -> Preparation:
    """Return the stage that encoders were asked for; raise `ConfigError` if the work has none."""
    if stage is None:
        raise ConfigError(
            "only models of the hub run apart from decoding; light and pack encoders run in the worker. Omit "
            "--encoders and --gpus, or give --encoder hub:VIDEO+MUSIC"
        )
    return stage
