"""Jobs, what ends them, and what the service needs of a queue of jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from .database import timestamp

MOST_DEATHS = 2
"""A job whose worker process ended this often has failed."""


class Busy(Exception):  # noqa: N818  (a state, not a mistake)
    """The queue is full; try again later."""


class Cancelled(Exception):  # noqa: N818
    """The job was cancelled while it ran."""


class WorkerDied(Exception):  # noqa: N818
    """The worker process of a job ended; the message is the cause, such as ``SIGKILL``."""


class Stopped(Exception):  # noqa: N818
    """The server stops, and the job goes back to the queue."""


class JobFailed(Exception):  # noqa: N818
    """The job has failed for a reason that another attempt would not change."""


@dataclass(frozen=True, slots=True)
class Job:
    """One job.

    Attributes
    ----------
    id : str
    kind : {"analyse", "add", "render"}
    arguments : mapping
    owner : str
        Name of the API key that asked for it; empty without keys.
    video : str, optional
        The video that it belongs to, and is deleted with.
    state : {"queued", "running", "done", "failed", "cancelled"}
    attempt : int
        Number of the current attempt, from 1; 0 before the first.
    deaths : int
        How often its worker process ended by itself.
    done, total : int
        Progress.
    result : mapping, optional
    reason : str, optional
        Why it failed.
    created, ended : float
        Seconds since 1970.
    """

    id: str
    kind: str
    arguments: Mapping[str, Any]
    owner: str
    video: str | None
    state: str
    attempt: int
    deaths: int
    done: int
    total: int
    result: Mapping[str, Any] | None
    reason: str | None
    created: float
    ended: float | None

    def to_json(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return {
            "id": self.id,
            "kind": self.kind,
            "state": self.state,
            "video": self.video,
            "arguments": dict(self.arguments),
            "progress": {"done": self.done, "total": self.total},
            "result": None if self.result is None else dict(self.result),
            "reason": self.reason,
            "created": timestamp(self.created),
            "ended": timestamp(self.ended),
        }


Work = Callable[[Job], Mapping[str, Any]]
"""Runs a job and returns its result; raises one of the exceptions above."""


class JobQueue(Protocol):
    """What the service needs of a job engine."""

    def enqueue(
        self,
        kind: str,
        arguments: Mapping[str, Any],
        *,
        owner: str = "",
        video: str | None = None,
        key: str | None = None,
    ) -> Job:
        """Store a job, or return the one with the same idempotency `key`; raise `Busy` when the queue is full."""
        ...

    def get(self, id: str) -> Job | None:
        """Return a job."""
        ...

    def find(self, *, owner: str | None = None, video: str | None = None, limit: int = 100) -> Sequence[Job]:
        """Return the newest jobs, newest first."""
        ...

    def progress(self, job: Job, done: int, total: int) -> None:
        """Record progress; raise `Cancelled` when the job was cancelled."""
        ...

    def cancel(self, id: str) -> Job | None:
        """End a job that waits or runs."""
        ...

    def forget(self, video: str) -> None:
        """Delete the jobs of a video."""
        ...

    def start(self, work: Work) -> None:
        """Begin to run jobs."""
        ...

    def stop(self, wait_s: float) -> None:
        """Stop running jobs; what is unfinished after `wait_s` runs again at the next start."""
        ...

    @property
    def stopping(self) -> bool:
        """Whether the server stops."""
        ...

    def counts(self) -> Mapping[tuple[str, str], int]:
        """Return the number of jobs by kind and state."""
        ...


class Outcome(NamedTuple):
    """How an attempt ended: "done", "failed" or "cancelled", with its result or the reason."""

    state: str
    result: dict[str, Any] | None = None
    reason: str | None = None


def outcome_of(work: Work, job: Job) -> Outcome:
    """Run a job; `Stopped` and `WorkerDied` are raised, since another attempt may follow."""
    try:
        return Outcome("done", dict(work(job)))
    except Cancelled:
        return Outcome("cancelled")
    except JobFailed as failure:
        return Outcome("failed", reason=str(failure))
    except (Stopped, WorkerDied):
        raise
    except Exception as error:  # one job never stops the others
        return Outcome("failed", reason=f"unexpected {type(error).__name__}: {error}")


def death_reason(death: WorkerDied) -> str:
    """Return why a job fails whose worker processes ended."""
    return f"its worker process ended {MOST_DEATHS} times ({death}); the file may be damaged or too large"
