"""Settings of the HTTP service."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from reelscore.errors import ConfigError
from reelscore.objects import Folder
from reelscore.workers.local import available_cores


@dataclass(frozen=True, slots=True)
class Settings:
    """What the service serves, and its limits.

    Attributes
    ----------
    data : Path
        Folder of uploads, jobs and everything derived from them.
    music : Path, optional
        Folder of music that is indexed at the start.
    library : Path or S3Folder, optional
        Library, in place of `music`.
    model, encoder, pack, vocabulary
        See `Library.open`.
    roots : tuple of Path
        Folders below which clients may name videos and music by path.
    host, port : str, int
    keys : Path, optional
        File of API keys; required unless `host` is a loopback address.
    keep_s : float
        Lifetime of an upload.
    upload_bytes : int
        Largest upload.
    free_bytes : int
        Space on the disk that uploads leave free.
    most_jobs : int
        Largest number of jobs that wait; more are rejected with 429.
    most_videos : int
        Largest number of videos at a time.
    job_s : float
        Longest time of a job that opens media.
    memory_bytes : int
        Memory of a worker that opens media.
    stall_s : float
        Longest time in which a client sends nothing while it uploads.
    workers : int
        Number of worker processes that open media at a time.
    jobs_url : str, optional
        Postgres database of the jobs, run by DBOS; by default they are in `data`.
    matchers : int
        Number of processes that match; 0 matches in the server process.
    """

    data: Path
    music: Path | None = None
    library: Folder | None = None
    model: Path | None = None
    encoder: str | None = None
    pack: Path | None = None
    vocabulary: Path | None = None
    roots: tuple[Path, ...] = ()
    host: str = "127.0.0.1"
    port: int = 8000
    keys: Path | None = None
    keep_s: float = 24 * 3600.0
    upload_bytes: int = 4 << 30
    free_bytes: int = 512 << 20
    most_jobs: int = 200
    most_videos: int = 1000
    job_s: float = 900.0
    memory_bytes: int = 2 << 30
    stall_s: float = 30.0
    workers: int = field(default_factory=available_cores)
    jobs_url: str | None = None
    matchers: int = 0

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def check(self) -> None:
        """Raise `ConfigError` for an address that needs keys."""
        if not self.is_loopback and self.keys is None:
            raise ConfigError(
                f"--host {self.host} can be reached from other machines, and there are no API keys. Create one "
                "(reelscore serve --new-key NAME:admin --keys FILE) and give --keys FILE, or omit --host"
            )
