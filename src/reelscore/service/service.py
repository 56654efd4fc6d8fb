"""The service without HTTP: its parts, and what its jobs do."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread
from filelock import FileLock, Timeout

from reelscore.encoders.default_pack import default_pack
from reelscore.encoders.inventory import list_encoders
from reelscore.errors import ArtifactError, ReelscoreError, missing_extra
from reelscore.workers.confinement import Confinement
from reelscore.workers.local import available_cores

from .analysis import prepare_analysis
from .answers import Answers
from .catalogue import Catalogue, MatchQuery
from .database import Database
from .derived import Derived
from .events import Events
from .jobs import (
    Busy,
    Cancelled,
    Job,
    JobFailed,
    JobQueue,
    WorkerDied,
)
from .keys import Keys
from .matchers import Matchers
from .metrics import Metrics
from .settings import Settings
from .sqlite_jobs import SqliteQueue
from .videos import Video, Videos
from .work import analyse, run_job
from .workers import ConfinedWorkers, prepare_calls

T = TypeVar("T")

_LOG = logging.getLogger(__name__)

_SWEEP_S = 20.0
_PROGRESS_S = 0.5


class Service:
    """Videos, library, jobs and workers of one server.

    Parameters
    ----------
    settings : Settings

    Attributes
    ----------
    stopping : threading.Event
        Set when the server begins to stop.

    Raises
    ------
    ArtifactError
        When another server uses the data folder, or the library or model is damaged.
    ConfigError
        When the settings are not safe.
    """

    def __init__(self, settings: Settings) -> None:
        settings.check()
        self.settings = settings
        self.keys = None if settings.keys is None else Keys(settings.keys)
        settings.data.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(settings.data / "lock")
        try:
            self._lock.acquire(timeout=5)
        except Timeout:
            raise ArtifactError(
                f"another server uses {settings.data}. Stop it, or choose another folder with --data"
            ) from None
        self.database = Database(settings.data / "service.sqlite")
        self.events = Events(self.database)
        lanes = {"analyse": settings.workers, "render": 1, "add": 1}
        self.jobs = self._new_queue(lanes)
        self.videos = Videos(
            settings.data,
            self.database,
            self.events,
            self.jobs,
            keep_s=settings.keep_s,
            most=settings.most_videos,
        )
        self.metrics = Metrics()
        self.catalogue = Catalogue(settings)
        self.media = ConfinedWorkers(prepare_calls, most=settings.workers)
        self.analysts = self._new_analysts(self.catalogue)
        self._matchers = Matchers(settings) if settings.matchers else None
        self.derived = Derived(settings.data / "tracks", self.media, self.confinement, limit_s=60.0)
        self._answers = Answers()
        self._reloading = threading.Lock()
        self._media_limiter = CapacityLimiter(settings.workers)
        self._match_limiter = CapacityLimiter(settings.matchers or available_cores())
        self.stopping = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep, name="sweep", daemon=True)

    def start(self) -> None:
        """Continue what an earlier server left, and begin to work."""
        self.media.warm()
        self.analysts.warm()
        self.jobs.start(partial(run_job, self))
        self.videos.recover()
        if self.settings.music is not None:
            waiting = [
                job for job in self.jobs.find() if job.kind == "add" and job.state in ("queued", "running")
            ]
            if not any(job.arguments.get("prune") for job in waiting):
                self.jobs.enqueue(
                    "add", {"paths": [str(self.settings.music.expanduser().resolve())], "prune": True}
                )
        self._sweeper.start()

    def stop(self, wait_s: float = 5.0) -> None:
        """Stop work; unfinished jobs run again at the next start."""
        self.stopping.set()
        self.jobs.stop(0)
        self.media.close()
        self.analysts.close()
        if self._matchers is not None:
            self._matchers.close()
        self.jobs.stop(wait_s)
        self._lock.release()

    def reload(self) -> None:
        """Open the library and its model again; requests go on with the old ones until the videos are analysed."""
        with self._reloading:
            catalogue, analysts = Catalogue(self.settings), self.analysts
            if (
                catalogue.pipeline != self.catalogue.pipeline
                or catalogue.fingerprint != self.catalogue.fingerprint
            ):
                analysts = self._new_analysts(catalogue)
                for video in self.videos.find():
                    if video.state == "ready" and catalogue.analysis(video.path, video.folder) is None:
                        with contextlib.suppress(JobFailed, WorkerDied, Cancelled):
                            analyse(self, video, catalogue, analysts)
            old, self.analysts = self.analysts, analysts
            self.catalogue = catalogue
            if old is not analysts:
                old.close()
            if self._matchers is not None:
                self._matchers.reload()
        self.events.publish("library", catalogue.to_json())

    def delete_video(self, id: str) -> None:
        """Delete a video at once, with everything that was made of it."""
        self._delete(id, self.videos.get(id).path)

    def _delete(self, id: str, path: str) -> None:
        self.media.cancel(id)
        self.analysts.cancel(id)
        self.videos.delete(id)
        self.catalogue.forget(path)
        if self._matchers is not None:
            self._matchers.forget()
        self._answers.forget(path)

    def cancel(self, job: Job) -> Job:
        """End a job."""
        cancelled = self.jobs.cancel(job.id)
        self.media.cancel(job.id)
        self.analysts.cancel(job.id)
        if cancelled is not None and job.kind == "analyse" and job.video is not None:
            self.videos.set_failed(job.video, "its analysis was cancelled; upload it again")
        return cancelled or job

    def remove_track(self, key: str) -> None:
        """Remove a track from the library. Its file stays."""
        self.catalogue.remove(key)
        self.derived.forget(key)
        self.events.publish("library", self.catalogue.to_json())

    def tag_track(self, key: str, facts: Mapping[str, Any]) -> None:
        """Store facts about a track; see `Catalogue.tag`."""
        self.catalogue.tag(key, facts)
        self.events.publish("library", self.catalogue.to_json())

    def analyse_again(self, video: Video) -> None:
        """Queue the analysis of a video for the current model."""
        key = f"analyse {video.id} {self.catalogue.fingerprint}"
        self.jobs.enqueue("analyse", {}, owner=video.owner, video=video.id, key=key)

    async def run_media(self, call: Callable[[], T]) -> T:
        """Run a call that waits for a worker process; raise `Busy` when too many wait."""
        return await _limited(call, self._media_limiter, 100)

    def match(self, catalogue: Catalogue, query: MatchQuery) -> dict[str, Any]:
        """Return the matches; see `Catalogue.match`. An answer is kept until the library or the model changes."""
        video = query.request.video
        return self._answers.get(
            (query.request, catalogue.version),
            lambda: (self._matchers or catalogue).match(query),
            # The video may have been deleted meanwhile.
            is_kept=lambda: video is None or catalogue.knows(str(video)),
        )

    async def run_match(self, call: Callable[[], T]) -> T:
        """Run a match in a thread; raise `Busy` when too many wait."""
        return await _limited(call, self._match_limiter, 500)

    def settings_json(self) -> dict[str, Any]:
        """Return encoders with their licences, and limits."""
        notes: list[str] = []
        pack = self.settings.pack or default_pack()
        encoders = list_encoders(pack, skipped=lambda name, reason: notes.append(f"{name}: {reason}"))
        settings = self.settings
        return {
            "encoders": [
                {"kind": e.kind, "name": e.name, "part": e.part, "dim": e.dim, "licence": e.licence}
                for e in encoders
            ],
            "notes": notes,
            "limits": {
                "upload_bytes": settings.upload_bytes,
                "keep_s": settings.keep_s,
                "most_jobs": settings.most_jobs,
            },
        }

    def measured(self) -> bytes:
        """Return the metrics in the text format."""
        for (kind, state), number in self.jobs.counts().items():
            self.metrics.jobs.labels(kind, state).set(number)
        states = Counter(video.state for video in self.videos.find())
        for state in ("uploading", "analysing", "ready", "failed"):
            self.metrics.videos.labels(state).set(states[state])
        self.metrics.tracks.set(len(self.catalogue.tracks()))
        return self.metrics.text()

    def _new_queue(self, lanes: Mapping[str, int]) -> JobQueue:
        url, most = self.settings.jobs_url, self.settings.most_jobs
        if url is None:
            return SqliteQueue(self.database, self.events, lanes, most=most)
        try:
            from .dbos_jobs import DbosQueue
        except ModuleNotFoundError:
            raise missing_extra("jobs in Postgres need dbos", "postgres") from None
        return DbosQueue(url, self.events, lanes, most=most)

    def _new_analysts(self, catalogue: Catalogue) -> ConfinedWorkers:
        pipeline, cache = catalogue.pipeline, str(catalogue.library.cache_folder)
        return ConfinedWorkers(prepare_analysis, pipeline, cache, most=self.settings.workers)

    def confinement(self, read: Sequence[str], write: Sequence[str]) -> Confinement:
        """Return what a worker may use that reads and writes these files and folders."""
        settings = self.settings
        return Confinement(
            tuple(read), tuple(write), memory_bytes=settings.memory_bytes, cpu_s=int(settings.job_s)
        )

    def _sweep(self) -> None:
        """Delete expired videos and old excerpts, and open a library that was rebuilt."""
        while not self.stopping.wait(_SWEEP_S):
            self.sweep()
            try:
                if self.catalogue.library.is_rebuilt:
                    self.reload()
            except ReelscoreError as error:
                _LOG.error("the library cannot be opened again: %s", error)

    def sweep(self) -> None:
        """Delete expired videos and old excerpts now."""
        for video in self.videos.expired():
            self._delete(video.id, video.path)
        self.derived.sweep()


async def _limited(call: Callable[[], T], limiter: CapacityLimiter, most: int) -> T:
    waiting = limiter.statistics().tasks_waiting
    if waiting >= most:
        raise Busy(f"{waiting} requests are waiting; try again later")
    return await to_thread.run_sync(call, limiter=limiter)
