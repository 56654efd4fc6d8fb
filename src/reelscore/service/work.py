"""What the jobs do: analyse a video, render, add music."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reelscore.errors import NotFoundError, ReelscoreError

from .catalogue import Catalogue
from .jobs import MOST_DEATHS, Cancelled, Job, JobFailed, Stopped, WorkerDied, death_reason
from .media_work import write_render
from .videos import Video
from .workers import ConfinedWorkers

if TYPE_CHECKING:
    from .service import Service

_PROGRESS_S = 0.5


def run_job(service: Service, job: Job) -> Mapping[str, Any]:
    """Run a job and return its result; raises as described in `jobs`."""
    runs: dict[str, Callable[[Service, Job], Mapping[str, Any]]] = {
        "analyse": _analyse,
        "render": _render,
        "add": _add,
    }
    try:
        return runs[job.kind](service, job)
    except JobFailed as failure:
        reason = str(failure)
    except WorkerDied as death:
        if service.stopping.is_set() or job.deaths + 1 < MOST_DEATHS:
            raise
        reason = death_reason(death)
    except ReelscoreError as error:
        reason = str(error)
    if job.kind == "analyse" and job.video is not None:
        service.videos.set_failed(job.video, reason)
    raise JobFailed(reason)


def analyse(
    service: Service, video: Video, catalogue: Catalogue, analysts: ConfinedWorkers, *, job: str = ""
) -> Mapping[str, Any]:
    """Analyse a video for the model of a catalogue, and return its fields of ``probe --json``."""
    folder = str(video.folder)
    # Texts next to a video that was named by path are read too; an upload has none.
    read = [folder, str(Path(video.path).parent), *catalogue.model_files()]
    try:
        media: Mapping[str, Any] = analysts.run(
            (video.path, folder),
            service.confinement(read, [folder]),
            limit_s=service.settings.job_s,
            names=(job, video.id),
        )
    except JobFailed as failure:
        reason = str(failure).replace(f"{video.path}: ", "").replace(video.path, video.name)
        raise JobFailed(reason) from None
    return media


def _analyse(service: Service, job: Job) -> Mapping[str, Any]:
    video = _video(service, job)
    media = analyse(service, video, service.catalogue, service.analysts, job=job.id)
    service.videos.set_ready(video.id, media)
    return {}


def _render(service: Service, job: Job) -> Mapping[str, Any]:
    video, arguments = _video(service, job), job.arguments
    track = service.catalogue.track(arguments["track"])
    folder = video.folder / "renders"
    folder.mkdir(exist_ok=True)
    target = folder / f"{job.id}.{arguments['format']}"
    call = partial(
        write_render,
        video.path,
        track.path,
        str(target),
        start_s=arguments["start_s"],
        fit=arguments["fit"],
        sound=arguments["sound"],
    )
    confinement = service.confinement([video.path, track.path], [str(folder)])
    try:
        result: Mapping[str, Any] = service.media.run(
            call, confinement, limit_s=service.settings.job_s, names=(job.id, video.id)
        )
    except JobFailed as failure:
        raise JobFailed(str(failure).replace(f"{target}: ", "")) from None
    return result


def _add(service: Service, job: Job) -> Mapping[str, Any]:
    reported_s = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal reported_s
        if service.stopping.is_set():
            raise Stopped
        now_s = time.monotonic()
        if now_s - reported_s > _PROGRESS_S or done == total:
            reported_s = now_s
            service.jobs.progress(job, done, total)

    paths = [str(path) for path in job.arguments["paths"]]
    catalogue = service.catalogue
    summary = catalogue.add(paths, progress=progress, prune=bool(job.arguments.get("prune")))
    service.events.publish("library", catalogue.to_json())
    return dataclasses.asdict(summary)


def _video(service: Service, job: Job) -> Video:
    assert job.video is not None
    try:
        return service.videos.get(job.video)
    except NotFoundError:
        raise Cancelled from None
