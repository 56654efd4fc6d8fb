"""Parallel map over items in local worker processes.

A worker is a new interpreter that gets one item at a time over its pipes. If an item kills its worker (a crash in a
decoder, the out-of-memory killer), it is retried once and then recorded as failed. Unlike with `multiprocessing`, the
caller's script is not run again in the workers, so it needs no ``if __name__ == "__main__"`` guard.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any, Generic, TypeVar

from reelscore.errors import ReelscoreError

Item = TypeVar("Item")
Value = TypeVar("Value")

_ATTEMPTS = 2
_WORKER = "from reelscore.workers.local import serve; serve()"


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Item, Value]):
    """Result of one item: its value, or the reason of its failure."""

    item: Item
    value: Value | None
    reason: str | None

    @property
    def failed(self) -> bool:
        """Whether the item failed."""
        return self.reason is not None


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_all(
    items: Iterable[Item],
    prepare: Callable[..., Callable[[Item], Value]],
    *arguments: Any,
    workers: int | None = None,
    group: Callable[[Item], Hashable] | None = None,
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

    Yields
    ------
    Outcome
        In order of completion. An exception of an item becomes its reason, as does the death of its worker after a
        second attempt.

    Raises
    ------
    ReelscoreError
        When `prepare` fails with any exception.
    """
    count = max(1, workers or available_cores())
    pool = _Workers(pickle.dumps((prepare, arguments)))
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
    """One worker process for each calling thread, started at its first item."""

    def __init__(self, preparation: bytes) -> None:
        self._preparation = preparation
        self._local = threading.local()
        self._all: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()
        self._closed = False

    def run(self, item: Any) -> Outcome[Any, Any]:
        code = 0
        for _ in range(_ATTEMPTS):
            process = self._process()
            try:
                _send(process.stdin, item)
                kind, content = _receive(process.stdout)
            except (EOFError, BrokenPipeError, pickle.UnpicklingError):
                code = process.wait()
                self._local.process = None
                if self._closed:
                    break
                continue
            if kind == "unprepared":
                raise content
            return Outcome(item, content, None) if kind == "value" else Outcome(item, None, content)
        return Outcome(item, None, f"it ended its worker process {_ATTEMPTS} times ({_death(code)})")

    def _process(self) -> subprocess.Popen[bytes]:
        process: subprocess.Popen[bytes] | None = getattr(self._local, "process", None)
        if process is None:
            # Each worker uses one core, so numeric libraries must not start threads.
            environment = os.environ | dict.fromkeys(
                ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
            )
            process = subprocess.Popen(
                [sys.executable, "-c", _WORKER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
                start_new_session=True,  # Ctrl-C reaches only the parent, which ends its workers
            )
            with self._lock:
                self._all.append(process)
                if self._closed:
                    process.kill()
            self._local.process = process
            with contextlib.suppress(BrokenPipeError):
                assert process.stdin is not None
                process.stdin.write(len(self._preparation).to_bytes(8, "little") + self._preparation)
                process.stdin.flush()
        return process

    def close(self) -> None:
        with self._lock:
            self._closed = True
            processes = list(self._all)
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(BrokenPipeError):
                    if pipe is not None:
                        pipe.close()


def serve() -> None:
    """Run a worker: read the preparation and the items from standard input, write answers to standard output."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # keep what libraries print out of the protocol
    requests = sys.stdin.buffer
    failure: Exception | None = None
    try:
        prepare, arguments = _receive(requests)
        work = prepare(*arguments)
    except ReelscoreError as error:
        failure = error
    except Exception as error:
        failure = ReelscoreError(f"a worker could not begin: {type(error).__name__}: {error}")
    while True:
        try:
            item = _receive(requests)
        except EOFError:
            return
        if failure is not None:
            _answer(output, ("unprepared", failure))
            continue
        try:
            answer: tuple[str, Any] = ("value", work(item))
        except ReelscoreError as error:
            answer = ("reason", str(error))
        except Exception as error:  # an unexpected exception fails only its item
            answer = ("reason", f"unexpected {type(error).__name__}: {error}")
        _answer(output, answer)


def _answer(pipe: IO[bytes], message: Any) -> None:
    try:
        _send(pipe, message)
    except BrokenPipeError:
        os._exit(1)  # the parent was killed; a normal exit would flush again and print a traceback


def _send(pipe: IO[bytes] | None, message: Any) -> None:
    assert pipe is not None
    content = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.write(len(content).to_bytes(8, "little") + content)
    pipe.flush()


def _receive(pipe: IO[bytes] | None) -> Any:
    assert pipe is not None
    size = pipe.read(8)
    if len(size) < 8:
        raise EOFError
    content = pipe.read(int.from_bytes(size, "little"))
    return pickle.loads(content)


def _death(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit code {code}"
