"""Many items enter a pool of worker processes, one outcome for each leaves: a bad item never stops the rest.

Each worker is a fresh interpreter with one item at a time, spoken to over its pipes. So a file that
kills its worker (a decoder's crash, the system's out-of-memory killer) is known by name, retried once
and recorded; and a script that calls reelscore needs no ``if __name__ == "__main__"`` guard, as it
would with `multiprocessing`, whose children run the caller's script again.
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
    """What became of one item: its value, or the reason why there is none."""

    item: Item
    value: Value | None
    reason: str | None

    @property
    def failed(self) -> bool:
        """Whether there is a reason instead of a value."""
        return self.reason is not None


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_all(
    items: Iterable[Item],
    prepare: Callable[..., Callable[[Item], Value]],
    *arguments: Any,
    workers: int | None = None,
    alike: Callable[[Item], Hashable] | None = None,
) -> Generator[Outcome[Item, Value], None, None]:
    """Run ``prepare(*arguments)`` once in each worker and the function that it returns on every item.

    Parameters
    ----------
    items : iterable
        Picklable; read as workers come free, so it may be long.
    prepare : callable
        Importable by name; makes the work function inside the worker (loads encoders, opens the cache).
    *arguments
        Picklable arguments of `prepare`.
    workers : int, optional
        Number of processes; all available cores by default.
    alike : callable, optional
        What an item has in common with others, so that a worker which keeps what it worked out for one need not
        work it out for the next: a worker stays with its kind while there are items of it, then takes up the first
        kind that no other is at, and where there is none helps with the one of which most is left. All items are
        then read at once.

    Yields
    ------
    Outcome
        In the order in which they are done. Errors of the family become reasons, as do a worker's
        death (after a second try) and any other exception, which names its type.

    Raises
    ------
    ReelscoreError
        When `prepare` itself fails, whatever it raised: then no item could succeed.
    """
    count = max(1, workers or available_cores())
    pool = _Workers(pickle.dumps((prepare, arguments)))
    source = iter(items)
    ready: _Ready[Item] = _Ready(alike)
    with ThreadPoolExecutor(count, thread_name_prefix="reelscore") as threads:
        waiting: set[Future[Outcome[Item, Value]]] = set()
        try:
            while True:
                # A window of two items a worker keeps every core busy and memory bounded.
                new = list(islice(source, None if alike else 2 * count - len(waiting)))
                ready.add(new)
                waiting |= {threads.submit(lambda: pool.run(ready.take())) for _ in new}
                if not waiting:
                    return
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            for future in waiting:
                future.cancel()
            pool.close()


class _Ready(Generic[Item]):
    """Items that nobody has begun, in their order, by kind; each thread takes the next that suits its worker."""

    def __init__(self, alike: Callable[[Item], Hashable] | None) -> None:
        self._alike = alike or (lambda _: None)
        self._kinds: dict[Hashable, deque[Item]] = {}
        self._at: dict[int, Hashable] = {}
        self._lock = threading.Lock()

    def add(self, items: Iterable[Item]) -> None:
        with self._lock:
            for item in items:
                self._kinds.setdefault(self._alike(item), deque()).append(item)

    def take(self) -> Item:
        with self._lock:
            thread = threading.get_ident()
            kind = self._at.get(thread)
            if kind not in self._kinds:
                free = (other for other in self._kinds if other not in self._at.values())
                most = max(self._kinds, key=lambda other: len(self._kinds[other]))
                kind = self._at[thread] = next(free, most)
            items = self._kinds[kind]
            item = items.popleft()
            if not items:
                del self._kinds[kind]
            return item


class _Workers:
    """One worker process for each thread that asks, each started at its first item."""

    def __init__(self, preparation: bytes) -> None:
        self._preparation = preparation
        self._own = threading.local()
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
                self._own.process = None
                if self._closed:
                    break
                continue
            if kind == "unprepared":
                raise content
            return Outcome(item, content, None) if kind == "value" else Outcome(item, None, content)
        return Outcome(item, None, f"it ended its worker process {_ATTEMPTS} times ({_death(code)})")

    def _process(self) -> subprocess.Popen[bytes]:
        process: subprocess.Popen[bytes] | None = getattr(self._own, "process", None)
        if process is None:
            # One core for each worker: numeric libraries must not start threads of their own.
            environment = os.environ | dict.fromkeys(
                ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
            )
            process = subprocess.Popen(
                [sys.executable, "-c", _WORKER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
                start_new_session=True,  # Ctrl-C reaches the parent alone, which then ends its workers
            )
            with self._lock:
                self._all.append(process)
                if self._closed:
                    process.kill()
            self._own.process = process
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
    """Be a worker: read the preparation and then items from standard input, answer on standard output."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not speak into the protocol
    questions = sys.stdin.buffer
    failure: Exception | None = None
    try:
        prepare, arguments = _receive(questions)
        work = prepare(*arguments)
    except ReelscoreError as error:
        failure = error
    except Exception as error:
        failure = ReelscoreError(f"a worker could not begin: {type(error).__name__}: {error}")
    while True:
        try:
            item = _receive(questions)
        except EOFError:
            return
        if failure is not None:
            _answer(answers, ("unprepared", failure))
            continue
        try:
            answer: tuple[str, Any] = ("value", work(item))
        except ReelscoreError as error:
            answer = ("reason", str(error))
        except Exception as error:  # one item's surprise is that item's outcome, with its type for a report
            answer = ("reason", f"unexpected {type(error).__name__}: {error}")
        _answer(answers, answer)


def _answer(pipe: IO[bytes], message: Any) -> None:
    try:
        _send(pipe, message)
    except BrokenPipeError:
        os._exit(1)  # whoever asked was killed; what is unsent would be tried again, with a traceback


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
