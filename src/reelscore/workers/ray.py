"""Parallel map over items in the processes of a Ray cluster.

Ray places the workers and moves items and values. Everything else is as in `local`: each Ray actor runs its items in a
worker process of its own, so a file that kills that process never kills the actor. Ray retries nothing: an item whose
actor or node is lost is given to another actor by this process.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from reelscore.errors import ConfigError, InputError, ReelscoreError, missing_extra

from .local import ATTEMPTS, Item, ItemWorker, Outcome, Value, available_cores
from .process import Preparation

_CONNECT_S = 10.0
_OBJECT_STORE_BYTES = 512 << 20  # of a local instance; values are taken out as they arrive
_MAX_LOSSES = 20
"""How often an item's actor or node is lost before the item fails: far more often than chance would have it."""


def run_all(
    items: Iterable[Item],
    prepare: Callable[..., Callable[[Item], Value]],
    *arguments: Any,
    workers: int | None = None,
    limit_s: Callable[[Item], float] | None = None,
    attempts: int = ATTEMPTS,
    address: str | None = None,
    gpus: float = 0.0,
) -> Generator[Outcome[Item, Value], None, None]:
    """Run ``prepare(*arguments)`` once in each worker of a cluster, and the function that it returns on every item.

    Parameters
    ----------
    items, prepare, arguments, limit_s, attempts
        See `local.run_all`. Items are read as workers become free: each has one at a time.
    workers : int, optional
        Number of Ray actors, with one core each; by default the cores of the cluster.
    address : str, optional
        Of the cluster, as ``host:6379`` or ``ray://host:10001``; by default ``RAY_ADDRESS``. Without either, Ray is
        started on this machine.
    gpus : float
        GPUs of each worker; a fraction lets workers share one.

    Yields
    ------
    Outcome
        In order of completion.

    Raises
    ------
    NotFoundError
        When Ray is not installed.
    InputError
        When the cluster cannot be reached, or has too few GPUs.
    ReelscoreError
        When `prepare` fails, or the cluster loses every worker.
    """
    with connected(address, workers=workers, gpus=gpus) as ray:
        cores = int(ray.cluster_resources().get("CPU", 1))
        preparation = Preparation.of(prepare, arguments)
        actors = _Actors(ray, preparation, count=workers or max(1, cores), attempts=attempts, gpus=gpus)
        source = iter(items)
        lost: deque[Item] = deque()
        losses: dict[int, int] = {}
        try:
            while True:
                for item in _next(lost, source, actors.num_free):
                    actors.submit(item, None if limit_s is None else limit_s(item))
                if not actors.num_running:
                    return
                for item, outcome, error in actors.wait():
                    if outcome is not None:
                        losses.pop(id(item), None)
                        yield outcome
                        continue
                    losses[id(item)] = count = losses.get(id(item), 0) + 1
                    if count < _MAX_LOSSES:
                        lost.append(item)
                    else:
                        yield Outcome(
                            item, None, f"its Ray worker was lost {count} times; the last time: {error}"
                        )
        finally:
            actors.kill()


def _next(lost: deque[Item], source: Iterator[Item], count: int) -> Iterator[Item]:
    """Yield up to `count` items, lost ones first."""
    again = [lost.popleft() for _ in range(min(count, len(lost)))]
    yield from again
    yield from islice(source, count - len(again))


@contextmanager
def connected(address: str | None, *, workers: int | None = None, gpus: float = 0.0) -> Iterator[Any]:
    """Connect to a cluster, or start Ray on this machine, and yield the module; raises as `run_all`.

    A connection that exists is used and kept.
    """
    try:
        import ray
    except ImportError as error:
        raise missing_extra("the engine ray needs Ray", "scale") from error
    address = address or os.environ.get("RAY_ADDRESS") or None
    if address is not None:
        _check_reachable(address)
    if ray.is_initialized():
        _check_gpus(ray, gpus)
        yield ray
        return
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        # Its processes are those of the user, and its dashboard is not needed.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        options |= {
            "address": "local",
            "num_cpus": workers or available_cores(),
            "object_store_memory": _OBJECT_STORE_BYTES,
            "include_dashboard": False,
        }
    else:
        options["address"] = address
    # Ray would replace the environment of each worker by one that `uv` makes, where that is how this process started.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    try:
        ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise _unreachable(address or "this machine", " ".join(str(error).split())[:200]) from error
    try:
        _check_gpus(ray, gpus)
        yield ray
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    if address in ("auto", "local"):
        return
    parts = urlsplit(address if "://" in address else f"//{address}")
    if parts.scheme not in ("", "ray"):
        raise InputError(
            f"the address of the Ray cluster is {address!r}, expected host:6379 or ray://host:10001; correct --address"
        )
    try:
        port = parts.port or (10001 if parts.scheme else 6379)
        with socket.create_connection((parts.hostname or "", port), timeout=_CONNECT_S):
            pass
    except (OSError, ValueError) as error:
        raise _unreachable(address, str(error)) from error


def _check_gpus(ray: Any, gpus: float) -> None:
    """Raise `ConfigError` if a cluster has fewer GPUs than one worker asks for; Ray would wait for them."""
    found = ray.cluster_resources().get("GPU", 0.0)
    if found < gpus:
        raise ConfigError(
            f"each worker asks for {gpus:g} GPUs, but the cluster has {found:g}; add nodes with GPUs, or omit --gpus"
        )


def _unreachable(address: str, reason: str) -> InputError:
    return InputError(
        f"the Ray cluster at {address} cannot be reached: {reason}. Start it (ray start --head), correct --address or "
        "RAY_ADDRESS, or give --engine local"
    )


class _Worker:
    """Ray actor that runs items in a worker process."""

    def __init__(self, preparation: Preparation, attempts: int) -> None:
        self._worker = ItemWorker(preparation, attempts)

    def run(self, item: Any, limit_s: float | None) -> tuple[Any, bool, str | None] | ReelscoreError:
        """Return the value, whether the process died and the reason; or what the preparation raised."""
        try:
            outcome = self._worker.run(item, limit_s)
        except ReelscoreError as error:
            return error
        return outcome.value, outcome.died, outcome.reason


class _Actors:
    """Actors of a cluster with one item each; a lost actor is replaced.

    The item stays with this process, which needs to compare it after a loss.
    """

    def __init__(
        self,
        ray: Any,
        preparation: Preparation,
        *,
        count: int,
        attempts: int,
        gpus: float,
    ) -> None:
        self._ray = ray
        self._kind = ray.remote(_Worker).options(
            num_cpus=1, num_gpus=gpus, max_restarts=0, max_task_retries=0
        )
        # In bytes, since the actor itself could not import what is only in this process's path.
        self._arguments = (preparation, attempts)
        self._count = count
        self._free: list[Any] = []
        self._running: dict[Any, tuple[Any, Any]] = {}  # reference -> actor, item
        self._losses_in_a_row = 0

    @property
    def num_free(self) -> int:
        return self._count - len(self._running)

    @property
    def num_running(self) -> int:
        return len(self._running)

    def submit(self, item: Any, limit_s: float | None) -> None:
        actor = self._free.pop() if self._free else self._kind.remote(*self._arguments)
        self._running[actor.run.remote(item, limit_s)] = (actor, item)

    def wait(self) -> Iterator[tuple[Any, Outcome[Any, Any] | None, str]]:
        """Wait for one item or more; yield each with its outcome, or with the error by which its actor was lost."""
        done, _ = self._ray.wait(list(self._running), num_returns=1)
        for reference in done:
            actor, item = self._running.pop(reference)
            try:
                answer = self._ray.get(reference)
            except self._ray.exceptions.RayError as error:
                self._losses_in_a_row += 1
                message = " ".join(str(error).split())[:300]
                if self._losses_in_a_row > _MAX_LOSSES + 2 * self._count:
                    raise ReelscoreError(
                        f"the Ray cluster has lost {self._losses_in_a_row} workers without a result; the last error: "
                        f"{message}. Check that reelscore is installed on every node"
                    ) from error
                with suppress(Exception):
                    self._ray.kill(actor)
                yield item, None, message
                continue
            if isinstance(answer, ReelscoreError):
                raise answer
            self._losses_in_a_row = 0
            self._free.append(actor)
            value, died, reason = answer
            yield item, Outcome(item, value, reason, died), ""

    def kill(self) -> None:
        for actor in (*self._free, *(actor for actor, _ in self._running.values())):
            with suppress(Exception):
                self._ray.kill(actor)
