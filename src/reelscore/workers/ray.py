"""Parallel map over items in the processes of a Ray cluster.

Ray places the workers and moves items and values. Everything else is as in `local`: each Ray actor runs its items in a
worker process of its own, so a file that kills that process never kills the actor. Ray retries no item: an item whose
actor or node is lost is given to another actor by this process.

With encoders, decoding and networks are two stages. The process of an item asks its actor, which asks the encoders in
turn. An item has one batch under way at most, so no more batches wait for the encoders than there are workers. A batch
has no state, so Ray restarts a lost encoder and repeats its batches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from reelscore.errors import ReelscoreError

from .cluster import connected, gpu_shares
from .item_worker import (
    ATTEMPTS,
    REQUEST_LIMIT_S,
    Item,
    ItemWorker,
    Outcome,
    Value,
    checked_stage,
    stage_answer,
)
from .process import Preparation

_ANSWER_S = 1800.0  # of an encoder, with the start of another node for a lost one
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
    encoders: int | None = None,
    stage: Preparation | None = None,
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
        GPUs of each encoder; a fraction lets encoders share one.
    encoders : int, optional
        Number of actors that run `stage` for all workers; they reserve no core. By default as many as have GPUs, and
        without `gpus` none: then each worker does the whole work.
    stage : Preparation, optional
        See `local.run_all`.

    Yields
    ------
    Outcome
        In order of completion.

    Raises
    ------
    NotFoundError
        When Ray is not installed.
    InputError
        When the cluster cannot be reached.
    ConfigError
        When the cluster has too few GPUs, or encoders are asked for and the work has no `stage`.
    ReelscoreError
        When `prepare` fails, or the cluster loses every worker.
    """
    with connected(address, workers=workers, gpus=gpus, encoders=encoders) as ray:
        num_encoders = encoders or (gpu_shares(ray.nodes(), gpus) if gpus else 0)
        cores = int(ray.cluster_resources().get("CPU", 1))
        preparation = Preparation.of(prepare, arguments)
        stages = [checked_stage(stage) for _ in range(num_encoders)]
        actors = _Actors(
            ray, preparation, count=workers or max(1, cores), attempts=attempts, stages=stages, gpus=gpus
        )
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


class _Worker:
    """Ray actor that runs items in a worker process.

    Parameters
    ----------
    preparation : Preparation
    attempts : int
        How often an item is run that ends its process.
    encoders : sequence of actors
        They answer the requests of the worker process, in turn.
    number : int
        Number of this worker; workers begin with different encoders.
    """

    def __init__(
        self, preparation: Preparation, attempts: int, encoders: Sequence[Any] = (), number: int = 0
    ) -> None:
        self._encoders = deque(encoders)
        self._encoders.rotate(-number)
        self._worker = ItemWorker(preparation, attempts, answer=self._ask if encoders else None)

    def _ask(self, request: Any) -> Any:
        import ray

        self._encoders.rotate(-1)
        reference = self._encoders[0].run.remote(request, REQUEST_LIMIT_S)
        try:
            answer = ray.get(reference, timeout=_ANSWER_S)
        except ray.exceptions.GetTimeoutError:
            reason = f"no answer within {_ANSWER_S:.0f} s. Check the nodes of the encoders (ray status)"
            return stage_answer(None, reason)
        if isinstance(answer, ReelscoreError):
            raise answer
        value, _, reason = answer
        return stage_answer(value, reason)

    def run(self, item: Any, limit_s: float | None) -> tuple[Any, bool, str | None] | ReelscoreError:
        """Return the value, whether the process died and the reason; or what the preparation raised."""
        try:
            outcome = self._worker.run(item, limit_s)
        except ReelscoreError as error:
            return error
        return outcome.value, outcome.died, outcome.reason


class _Encoder(_Worker):
    """Ray actor that runs batches of networks in a worker process, under a name of its own in Ray's lists."""


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
        stages: Sequence[Preparation],
        gpus: float,
    ) -> None:
        self._ray = ray
        self._kind = ray.remote(_Worker).options(num_cpus=1, max_restarts=0, max_task_retries=0)
        # Workers have all cores, and an encoder that waits for one of them would never start.
        encoder = ray.remote(_Encoder).options(
            num_cpus=0, num_gpus=gpus, max_restarts=-1, max_task_retries=-1, scheduling_strategy="SPREAD"
        )
        # In bytes, since the actor itself could not import what is only in this process's path.
        self._encoders = [encoder.remote(stage, ATTEMPTS) for stage in stages]
        self._arguments = (preparation, attempts, self._encoders)
        self._num_started = 0
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
        actor = self._free.pop() if self._free else self._started()
        self._running[actor.run.remote(item, limit_s)] = (actor, item)

    def _started(self) -> Any:
        self._num_started += 1
        return self._kind.remote(*self._arguments, self._num_started)

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
        for actor in (*self._free, *(actor for actor, _ in self._running.values()), *self._encoders):
            with suppress(Exception):
                self._ray.kill(actor)
