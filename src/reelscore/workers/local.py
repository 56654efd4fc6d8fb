"""Parallel map over items in local worker processes.

If an item kills its worker (a crash in a decoder, the out-of-memory killer), it is retried once and then recorded as
failed. Unlike with `multiprocessing`, the caller's script is not run again in the workers, so it needs no
``if __name__ == "__main__"`` guard.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path
from typing import Any, Generic

from .item_worker import ATTEMPTS, Item, ItemWorker, Outcome, SharedWorkers, Value
from .process import Preparation

# Dense files take longest: 16 kbit/s sound at 33 times real time, the slowest music encoder on one core, is 15 ms a kB.
# The limit of 100 ms a kB leaves room for a slow, busy machine, and the first minutes for encoders that load late.
_LIMIT_S = 300.0
_LIMIT_BYTES_PER_S = 10_000
OBJECT_LIMIT_S = 3600.0
"""Longest time of an object, with its download: its size is not known here."""


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def time_limit_s(*paths: Path | str) -> float:
    """Return how long the work on files may take at most, in proportion to their sizes."""
    sizes = (os.stat(path).st_size for path in paths if os.path.exists(path))  # noqa: PTH110, PTH116
    return _LIMIT_S + sum(sizes) / _LIMIT_BYTES_PER_S


def run_all(
    items: Iterable[Item],
    prepare: Callable[..., Callable[[Item], Value]],
    *arguments: Any,
    workers: int | None = None,
    group: Callable[[Item], Hashable] | None = None,
    limit_s: Callable[[Item], float] | None = None,
    attempts: int = ATTEMPTS,
    background: bool = False,
    encoders: int | None = None,
    stage: Preparation | None = None,
) -> Generator[Outcome[Item, Value], None, None]:
    """Run ``prepare(*arguments)`` once in each worker, and the function that it returns on every item.

    Parameters
    ----------
    items : iterable
        Picklable items. Without `group` they are read as workers become free, so there may be many.
    prepare : callable
        Importable by name. Returns the work function inside the worker, after loading encoders and the like.
    *arguments
        Picklable arguments of `prepare`.
    workers : int, optional
        Number of processes; by default all available cores.
    group : callable, optional
        Key of an item's group. A worker prefers items of its current group, so that it can reuse intermediate
        results; then it takes the next group without a worker, or else joins the group with the most items left. All
        items are read at once.
    limit_s : callable, optional
        Longest time of an item in seconds, such as `time_limit_s` of its file. An item that takes longer is killed and
        recorded as failed.
    attempts : int
        How often an item is run that ends its worker process.
    background : bool
        Whether other processes come first.
    encoders : int, optional
        Number of processes that run `stage` for all workers, which then need no weights of their own. By default each
        worker does the whole work.
    stage : Preparation, optional
        The part of the work that `serving.ask_parent` asks for, such as `network_stage` of the encoders.

    Yields
    ------
    Outcome
        In order of completion. An exception of an item becomes its reason, as does the death of its worker at the last
        attempt.

    Raises
    ------
    ConfigError
        When `encoders` are given, but the work has no `stage`.
    ReelscoreError
        When `prepare` fails with any exception.
    """
    count = max(1, workers or available_cores())
    shared = SharedWorkers(stage, encoders, background=background) if encoders else None
    pool = _Workers(prepare, arguments, limit_s, attempts, background=background, shared=shared)
    source = iter(items)
    queue: _GroupQueue[Item] = _GroupQueue(group)
    with ThreadPoolExecutor(count, thread_name_prefix="reelscore") as threads:
        waiting: set[Future[Outcome[Item, Value]]] = set()
        try:
            while True:
                # Two submitted items for each worker keep all cores busy and memory bounded.
                new = list(islice(source, None if group else 2 * count - len(waiting)))
                queue.add(new)
                waiting |= {threads.submit(lambda: pool.run(queue.take())) for _ in new}
                if not waiting:
                    return
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            for future in waiting:
                future.cancel()
            pool.close()


class _GroupQueue(Generic[Item]):
    """Thread-safe queue of items by group; `take` prefers the group of the calling thread's last item."""

    def __init__(self, group: Callable[[Item], Hashable] | None) -> None:
        self._group = group or (lambda _: None)
        self._items: dict[Hashable, deque[Item]] = {}
        self._group_of_thread: dict[int, Hashable] = {}
        self._lock = threading.Lock()

    def add(self, items: Iterable[Item]) -> None:
        with self._lock:
            for item in items:
                self._items.setdefault(self._group(item), deque()).append(item)

    def take(self) -> Item:
        with self._lock:
            thread = threading.get_ident()
            group = self._group_of_thread.get(thread)
            if group not in self._items:
                free = (other for other in self._items if other not in self._group_of_thread.values())
                largest = max(self._items, key=lambda other: len(self._items[other]))
                group = self._group_of_thread[thread] = next(free, largest)
            items = self._items[group]
            item = items.popleft()
            if not items:
                del self._items[group]
            return item


class _Workers:
    """One `ItemWorker` for each calling thread, started at its first item."""

    def __init__(
        self,
        prepare: Callable[..., Any],
        arguments: tuple[Any, ...],
        limit_s: Callable[[Any], float] | None,
        attempts: int,
        *,
        background: bool,
        shared: SharedWorkers | None,
    ) -> None:
        self._preparation = Preparation.of(prepare, arguments)
        self._shared = shared
        self._attempts = attempts
        self._limit_s = limit_s
        self._background = background
        self._local = threading.local()
        self._all: list[ItemWorker] = []
        self._lock = threading.Lock()
        self._closed = False

    def run(self, item: Any) -> Outcome[Any, Any]:
        limit_s = None if self._limit_s is None else self._limit_s(item)
        return self._worker().run(item, limit_s)

    def _worker(self) -> ItemWorker:
        worker: ItemWorker | None = getattr(self._local, "worker", None)
        if worker is None:
            worker = ItemWorker(
                self._preparation, self._attempts, background=self._background, answer=self._shared
            )
            self._local.worker = worker
            with self._lock:
                self._all.append(worker)
                if self._closed:
                    worker.kill()
        return worker

    def close(self) -> None:
        with self._lock:
            self._closed = True
            workers = [*self._all, *(self._shared.workers if self._shared else ())]
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.close()
