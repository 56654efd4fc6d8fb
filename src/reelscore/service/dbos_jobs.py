"""Queue of jobs in Postgres, run by DBOS, for a service with more than one server."""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
from collections.abc import Mapping
from typing import Any

from dbos import DBOS, Queue, SetWorkflowAttributes, SetWorkflowID

from .events import Events
from .jobs import (
    MOST_DEATHS,
    Busy,
    Cancelled,
    Job,
    Outcome,
    Stopped,
    Work,
    WorkerDied,
    death_reason,
    outcome_of,
)

_STATES = {
    "DELAYED": "queued",
    "ENQUEUED": "queued",
    "PENDING": "running",
    "CANCELLED": "cancelled",
    "ERROR": "failed",
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": "failed",
}
_PROGRESS = "progress"
_VERSION = "reelscore-jobs-1"


class _ServerStops(BaseException):
    """Ends a workflow's thread without an outcome, so that DBOS runs the workflow again."""


class DbosQueue:
    """Jobs as DBOS workflows. Implements `JobQueue`.

    The id of a job is that of its workflow, which DBOS starts once; a workflow without an outcome runs again when its
    server starts again. One process can have one queue, since DBOS has one registry.

    Parameters
    ----------
    url : str
        Of the Postgres database, such as ``postgresql://user@host/reelscore``.
    events : Events
    lanes : mapping of str to int
        Number of jobs of each kind that run at a time in this server.
    most : int
        Largest number of jobs that wait.
    server : str
        Name of this server, unique among those of the database.
    """

    def __init__(
        self, url: str, events: Events, lanes: Mapping[str, int], *, most: int, server: str = "local"
    ) -> None:
        self._events = events
        self._most = most
        self._stopping = threading.Event()
        self._work: Work | None = None
        logging.getLogger("dbos").setLevel(logging.ERROR)
        DBOS(
            config={
                "name": "reelscore",
                "system_database_url": url,
                "executor_id": server,
                "application_version": _VERSION,
                "log_level": "ERROR",
            }
        )
        self._lanes = lanes
        self._queues: dict[str, Queue] = {}

        @DBOS.workflow(name="reelscore_job")
        def run(fields: dict[str, Any]) -> dict[str, Any]:
            return self._run(fields)

        self._workflow = run

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
        id = (
            secrets.token_hex(16)
            if key is None
            else hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
        )
        if key is not None and (known := self.get(id)) is not None:
            return known
        waiting = len(DBOS.list_queued_workflows(load_input=False))
        if waiting >= self._most:
            raise Busy(f"{waiting} jobs are waiting, the limit is {self._most}; try again later")
        fields = {"id": id, "kind": kind, "arguments": dict(arguments), "owner": owner, "video": video}
        with SetWorkflowID(id), SetWorkflowAttributes({"owner": owner, "video": video or "", "kind": kind}):
            self._queues[kind].enqueue(self._workflow, fields)
        return self._published(id)

    def get(self, id: str) -> Job | None:
        """Return a job."""
        found = DBOS.list_workflows(workflow_ids=[id])
        return _job(found[0]) if found else None

    def find(self, *, owner: str | None = None, video: str | None = None, limit: int = 100) -> list[Job]:
        """Return the newest jobs, newest first."""
        wanted = {name: value for name, value in (("owner", owner), ("video", video)) if value is not None}
        found = DBOS.list_workflows(
            name="reelscore_job", attributes=wanted or None, limit=limit, sort_desc=True
        )
        return [_job(status) for status in found]

    def progress(self, job: Job, done: int, total: int) -> None:
        """Record progress; raise `Cancelled` when the job was cancelled."""
        found = self.get(job.id)
        if found is None or found.state == "cancelled":
            raise Cancelled
        self._events.publish(
            "job",
            found.to_json() | {"progress": {"done": done, "total": total}},
            owner=job.owner,
            video=job.video,
        )

    def cancel(self, id: str) -> Job | None:
        """End a job that waits or runs."""
        DBOS.cancel_workflow(id)
        return None if self.get(id) is None else self._published(id)

    def forget(self, video: str) -> None:
        """Delete the jobs of a video."""
        found = DBOS.list_workflows(attributes={"video": video}, load_input=False, load_output=False)
        if ids := [status.workflow_id for status in found]:
            DBOS.cancel_workflows(ids)
            DBOS.delete_workflows(ids)

    def start(self, work: Work) -> None:
        """Begin to run jobs."""
        self._work = work
        DBOS.launch()
        for kind, count in self._lanes.items():
            self._queues[kind] = DBOS.register_queue(
                f"reelscore-{kind}", worker_concurrency=count, polling_interval_sec=0.2
            )

    def stop(self, wait_s: float) -> None:
        """Stop running jobs; what is unfinished after `wait_s` runs again at the next start."""
        self._stopping.set()
        if wait_s > 0:
            DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=int(wait_s))

    @property
    def stopping(self) -> bool:
        """Whether the server stops."""
        return self._stopping.is_set()

    def counts(self) -> dict[tuple[str, str], int]:
        """Return the number of jobs by kind and state."""
        counts: dict[tuple[str, str], int] = {}
        for job in self.find(limit=10_000):
            counts[job.kind, job.state] = counts.get((job.kind, job.state), 0) + 1
        return counts

    def _run(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Run one job and return its outcome, which DBOS stores."""
        assert self._work is not None
        outcome = Outcome("failed")
        for attempt in range(1, MOST_DEATHS + 1):
            job = self._published(fields["id"], attempt=attempt)
            try:
                outcome = outcome_of(self._work, job)
                break
            except Stopped:
                raise _ServerStops from None
            except WorkerDied as death:
                if self.stopping:
                    raise _ServerStops from None
                outcome = Outcome("failed", reason=death_reason(death))
        stored = outcome._asdict()
        self._events.publish(
            "job", _job_of(fields, job.created, stored).to_json(), owner=job.owner, video=job.video
        )
        return stored

    def _published(self, id: str, *, attempt: int = 0) -> Job:
        job = self.get(id)
        assert job is not None
        job = Job(
            **{name: getattr(job, name) for name in job.__slots__}
            | {"attempt": attempt, "deaths": max(0, attempt - 1)}
        )
        self._events.publish("job", job.to_json(), owner=job.owner, video=job.video)
        return job


def _job(status: Any) -> Job:
    (fields,) = status.input["args"] if status.input["args"] else (status.input["kwargs"]["fields"],)
    created = (status.created_at or 0) / 1000
    outcome = {"state": _STATES.get(status.status, "failed"), "result": None, "reason": None}
    if status.status == "SUCCESS":
        outcome = status.output | {"ended": (status.updated_at or 0) / 1000}
    elif outcome["state"] == "failed":
        outcome["reason"] = f"unexpected {status.error}"
    return _job_of(fields, created, outcome)


def _job_of(fields: Mapping[str, Any], created: float, outcome: Mapping[str, Any]) -> Job:
    return Job(
        id=fields["id"],
        kind=fields["kind"],
        arguments=fields["arguments"],
        owner=fields["owner"],
        video=fields["video"],
        state=outcome["state"],
        attempt=0,
        deaths=0,
        done=0,
        total=0,
        result=outcome["result"],
        reason=outcome["reason"],
        created=created,
        ended=outcome.get("ended"),
    )
