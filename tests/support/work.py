"""Work functions for the tests of the worker pool, importable by name."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from reelscore.errors import DeviceError, InputError, NotFoundError
from reelscore.workers.serving import ask_parent


def doubler(offset: int) -> Callable[[object], object]:
    def work(item: object) -> object:
        if item == "bad":
            raise InputError("expected a number, got 'bad'; give a number")
        if item == "surprise":
            raise KeyError("oops")
        if item == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if item == "print":
            print("noise on standard output", flush=True)
            return "printed"
        return int(str(item)) * 2 + offset

    return work


def dies_once(folder: str) -> Callable[[str], str]:
    def work(item: str) -> str:
        mark = Path(folder) / item
        if not mark.exists():
            mark.touch()
            os._exit(7)
        return item

    return work


def device_fails_once(folder: str) -> Callable[[str], tuple[str, int]]:
    """Return a function whose process fails at its first item, and at each item "broken"."""

    def work(item: str) -> tuple[str, int]:
        mark = Path(folder) / item
        if item == "broken" or not mark.exists():
            mark.touch()
            raise DeviceError("the GPU failed: CUDA error: an illegal memory access was encountered")
        return item, os.getpid()

    return work


def unready() -> Callable[[object], object]:
    raise NotFoundError("no encoder here; install one")


def sleeper() -> Callable[[float], int]:
    def work(seconds: float) -> int:
        time.sleep(seconds)
        return os.getpid()

    return work


def named_sleeper() -> Callable[[tuple[str, float]], tuple[str, int]]:
    def work(item: tuple[str, float]) -> tuple[str, int]:
        time.sleep(item[1])
        return item[0], os.getpid()

    return work


def slow_start(seconds: float) -> Callable[[object], object]:
    time.sleep(seconds)
    return lambda item: item


def kills_on(poison: str, folder: str) -> Callable[[tuple[str, int]], int]:
    """Squares numbers, and notes each start; the item `poison` ends its process."""

    def work(item: tuple[str, int]) -> int:
        with (Path(folder) / item[0]).open("a") as file:
            file.write("x")
        if item[0] == poison:
            os.kill(os.getpid(), signal.SIGKILL)
        if item[1] < 0:
            raise InputError(f"expected 0 or more, got {item[1]}")
        time.sleep(0.01)
        return item[1] ** 2

    return work


def parents() -> Callable[[str], int]:
    """Returns the process that started the worker."""

    def work(item: str) -> int:
        if item == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        return os.getppid()

    return work


def priority():
    """Prepare to return the priority of the worker."""
    return lambda _: os.getpriority(os.PRIO_PROCESS, 0)


def killed_at_start(folder: str, times: int) -> Callable[[str], str]:
    """Is killed while it prepares, some times."""
    mark = Path(folder) / "starts"
    starts = len(mark.read_text()) if mark.exists() else 0
    mark.write_text("x" * (starts + 1))
    if starts < times:
        os.kill(os.getpid(), signal.SIGKILL)
    return lambda item: item


def asker() -> Callable[[object], object]:
    """Returns what the parent answers; "fail" fails with a request under way, "ask twice" reads two answers."""

    def work(item: object) -> object:
        first = ask_parent(item)
        if item == "fail":
            raise InputError("this item reads no answer")
        if item == "ask twice":
            return first(), ask_parent("again")()
        return first()

    return work


def visible_gpus() -> Callable[[object], tuple[str, int]]:
    """Returns the GPUs that the process may use, and its id."""
    return lambda _: (os.environ["CUDA_VISIBLE_DEVICES"], os.getpid())
