"""Queue of jobs in the service's database, which survives the end of the server."""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
from collections.abc import Mapping
from typing import Any

from .database import Database, now
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

_POLL_S = 5.0


class SqliteQueue:
    """Jobs in a table of the service's database, run by threads of the server.

    A job is claimed by one statement, so no two threads run it, and finished only by the attempt that claimed it last.
    Jobs that ran when the server ended are queued again at the next start. Implements `JobQueue`.

    Parameters
    ----------
    database : Database
    events : Events
    lanes : mapping of str to int
        Number of jobs of each kind that run at a time.
    most : int
        Largest number of jobs that wait.
    """

    def __init__(self, database: Database, events: Events, lanes: Mapping[str, int], *, most: int) -> None:
        self._database = database
        self._events = events
        self._lanes = lanes
        self._most = most
        self._new = threading.Condition()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

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
        with self._database.write() as connection:
            if key is not None:
                known = connection.execute("SELECT * FROM jobs WHERE key = ?", (key,)).fetchone()
                if known is not None:
                    return _job(known)
            waiting = connection.execute("SELECT count(*) FROM jobs WHERE state = 'queued'").fetchone()[0]
            if waiting >= self._most:
                raise Busy(f"{waiting} jobs are waiting, the limit is {self._most}; try again later")
            row = connection.execute(
                "INSERT INTO jobs (id, number, kind, arguments, key, owner, video, state, created) "
                "VALUES (?, (SELECT coalesce(max(number), 0) + 1 FROM jobs), ?, ?, ?, ?, ?, 'queued', ?) RETURNING *",
                (secrets.token_hex(16), kind, json.dumps(arguments), key, owner, video, now()),
            ).fetchone()
            job = self._publish(row)
        with self._new:
            self._new.notify_all()
        return job

    def get(self, id: str) -> Job | None:
        """Return a job."""
        row = self._database.row("SELECT * FROM jobs WHERE id = ?", id)
        return None if row is None else _job(row)

    def find(self, *, owner: str | None = None, video: str | None = None, limit: int = 100) -> list[Job]:
        """Return the newest jobs, newest first."""
        rows = self._database.rows(
            "SELECT * FROM jobs WHERE (?1 IS NULL OR owner = ?1) AND (?2 IS NULL OR video = ?2) "
            "ORDER BY number DESC LIMIT ?3",
            owner,
            video,
            limit,
        )
        return [_job(row) for row in rows]

    def progress(self, job: Job, done: int, total: int) -> None:
        """Record progress; raise `Cancelled` when the job was cancelled."""
        if not self._update("done = ?, total = ?", (done, total), job):
            raise Cancelled

    def cancel(self, id: str) -> Job | None:
        """End a job that waits or runs."""
        with self._database.write() as connection:
            row = connection.execute(
                "UPDATE jobs SET state = 'cancelled', ended = ? WHERE id = ? AND state IN ('queued', 'running') "
                "RETURNING *",
                (now(), id),
            ).fetchone()
            return self.get(id) if row is None else self._publish(row)

    def forget(self, video: str) -> None:
        """Delete the jobs of a video."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM jobs WHERE video = ?", (video,))

    def start(self, work: Work) -> None:
        """Begin to run jobs."""
        with self._database.write() as connection:
            connection.execute("UPDATE jobs SET state = 'queued' WHERE state = 'running'")
        for kind, count in self._lanes.items():
            for _ in range(count):
                thread = threading.Thread(
                    target=self._serve, args=(kind, work), name=f"job-{kind}", daemon=True
                )
                self._threads.append(thread)
                thread.start()

    def stop(self, wait_s: float) -> None:
        """Stop running jobs; what is unfinished after `wait_s` runs again at the next start."""
        self._stopping.set()
        with self._new:
            self._new.notify_all()
        end = now() + wait_s
        for thread in self._threads:
            thread.join(max(0.0, end - now()))

    @property
    def stopping(self) -> bool:
        """Whether the server stops."""
        return self._stopping.is_set()

    def counts(self) -> Mapping[tuple[str, str], int]:
        """Return the number of jobs by kind and state."""
        rows = self._database.rows("SELECT kind, state, count(*) AS number FROM jobs GROUP BY kind, state")
        return {(row["kind"], row["state"]): row["number"] for row in rows}

    def claim(self, kind: str) -> Job | None:
        """Take the oldest waiting job of a kind."""
        with self._database.write() as connection:
            row = connection.execute(
                "UPDATE jobs SET state = 'running', attempt = attempt + 1 WHERE id = "
                "(SELECT id FROM jobs WHERE state = 'queued' AND kind = ? ORDER BY number LIMIT 1) RETURNING *",
                (kind,),
            ).fetchone()
            return None if row is None else self._publish(row)

    def _serve(self, kind: str, work: Work) -> None:
        while not self.stopping:
            job = self.claim(kind)
            if job is None:
                with self._new:
                    if not self.stopping:
                        self._new.wait(_POLL_S)
                continue
            self._run(job, work)

    def _run(self, job: Job, work: Work) -> None:
        died = 0
        try:
            outcome = outcome_of(work, job)
        except Stopped:
            self._update("state = 'queued'", (), job)
            return
        except WorkerDied as death:
            died = 0 if self.stopping else 1
            if job.deaths + died < MOST_DEATHS:
                self._update("state = 'queued', deaths = deaths + ?", (died,), job)
                return
            outcome = Outcome("failed", reason=death_reason(death))
        result = None if outcome.result is None else json.dumps(outcome.result, ensure_ascii=False)
        self._update(
            "state = ?, result = ?, reason = ?, deaths = deaths + ?, ended = ?",
            (outcome.state, result, outcome.reason, died, now()),
            job,
        )

    def _update(self, change: str, values: tuple[Any, ...], job: Job) -> bool:
        """Change a job if this attempt still runs it, and return whether it does."""
        with self._database.write() as connection:
            row = connection.execute(
                f"UPDATE jobs SET {change} WHERE id = ? AND attempt = ? AND state = 'running' RETURNING *",
                (*values, job.id, job.attempt),
            ).fetchone()
            if row is not None:
                self._publish(row)
        return row is not None

    def _publish(self, row: sqlite3.Row) -> Job:
        job = _job(row)
        self._events.publish("job", job.to_json(), owner=job.owner, video=job.video)
        return job


def _job(row: sqlite3.Row) -> Job:
    return Job(
        id=row["id"],
        kind=row["kind"],
        arguments=json.loads(row["arguments"]),
        owner=row["owner"],
        video=row["video"],
        state=row["state"],
        attempt=row["attempt"],
        deaths=row["deaths"],
        done=row["done"],
        total=row["total"],
        result=None if row["result"] is None else json.loads(row["result"]),
        reason=row["reason"],
        created=row["created"],
        ended=row["ended"],
    )
