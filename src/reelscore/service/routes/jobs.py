"""Jobs: renders, timelines, and everything else that takes time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import JSONResponse, Response

from reelscore.service import schemas
from reelscore.service.access import Editor, Served, check_owner, owner_of
from reelscore.service.files import file_response
from reelscore.service.jobs import Job
from reelscore.service.keys import Client
from reelscore.service.problems import Problem
from reelscore.service.service import Service

from .tracks import own_key

router = APIRouter(prefix="/v1", tags=["jobs"])


@router.post("/renders", status_code=202, response_model=schemas.Job)
def render(
    body: schemas.NewRender,
    service: Served,
    client: Editor,
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> Response:
    """Render a video with music, or write a timeline or a plan, as a job."""
    video = service.videos.get(body.video)
    check_owner(client, video.owner, "video")
    if video.state != "ready":
        raise Problem(409, f"the video is {video.state}; wait for its state to be ready")
    track = service.catalogue.track(body.track)
    if body.start_s >= track.duration_s:
        raise Problem(
            422, f"start_s must be inside the track (0 to {track.duration_s:.2f} s), got {body.start_s:g}"
        )
    job = service.jobs.enqueue(
        "render",
        body.model_dump(),
        owner=client.name,
        video=video.id,
        key=own_key(client.name, idempotency_key),
    )
    return JSONResponse(job.to_json(), 202, headers={"location": f"/v1/jobs/{job.id}"})


@router.get("/jobs", response_model=schemas.JobList)
def list_jobs(
    service: Served,
    client: Editor,
    video: schemas.Id | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Response:
    """List the jobs of this client, newest first."""
    jobs = service.jobs.find(owner=owner_of(client), video=video, limit=limit)
    return JSONResponse({"jobs": [job.to_json() for job in jobs]})


@router.get("/jobs/{id}", response_model=schemas.Job)
def get_job(id: schemas.Id, service: Served, client: Editor) -> Response:
    """Return a job."""
    return JSONResponse(_job(service, client, id).to_json())


@router.delete("/jobs/{id}", response_model=schemas.Job)
def cancel_job(id: schemas.Id, service: Served, client: Editor) -> Response:
    """Cancel a job that waits or runs."""
    return JSONResponse(service.cancel(_job(service, client, id)).to_json())


@router.get("/jobs/{id}/file", response_class=Response)
@router.head("/jobs/{id}/file", include_in_schema=False)
def job_file(id: schemas.Id, service: Served, client: Editor, request: Request) -> Response:
    """Download the file of a finished render."""
    job = _job(service, client, id)
    if job.kind != "render" or job.video is None:
        raise Problem(404, f"a job of the kind {job.kind} makes no file")
    if job.state != "done" or job.result is None:
        raise Problem(409, f"the job is {job.state}; wait for its state to be done")
    video = service.videos.get(job.video)
    file = video.folder / "renders" / str(job.result["file"])
    return file_response(request, file, download=f"{Path(video.name).stem} with music{file.suffix}")


def _job(service: Service, client: Client, id: str) -> Job:
    job = service.jobs.get(id)
    if job is None:
        raise Problem(404, "no such job; it was deleted with its video")
    check_owner(client, job.owner, "job")
    return job
