"""Videos of the service: their records, files, expiry and deletion."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import sqlite3
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reelscore.errors import NotFoundError

from .database import Database, now, timestamp
from .events import Events
from .jobs import Busy, Job, JobQueue

_MOST_NAME_BYTES = 120


@dataclass(frozen=True, slots=True)
class Video:
    """A video that was uploaded, or named by path.

    Attributes
    ----------
    id : str
    owner : str
        Name of the API key that added it; empty without keys.
    name : str
        File name.
    folder : Path
        Holds the upload and everything derived from the video, and nothing else.
    path : str
        The file.
    size_bytes : int
    state : {"uploading", "analysing", "ready", "failed"}
    reason : str, optional
        Why it failed.
    media : mapping, optional
        Fields of ``probe --json``.
    created, expires : float
        Seconds since 1970.
    """

    id: str
    owner: str
    name: str
    folder: Path
    path: str
    size_bytes: int
    state: str
    reason: str | None
    media: Mapping[str, Any] | None
    created: float
    expires: float

    @property
    def is_upload(self) -> bool:
        """Whether the file belongs to the service."""
        return Path(self.path).parent == self.folder

    @property
    def received_bytes(self) -> int:
        """Number of bytes on disk."""
        try:
            return Path(self.path).stat().st_size
        except OSError:
            return 0

    def to_json(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "size_bytes": self.size_bytes,
            "received_bytes": self.received_bytes,
            "reason": self.reason,
            "media": None if self.media is None else {**self.media, "path": self.name},
            "created": timestamp(self.created),
            "expires": timestamp(self.expires),
        }


class Videos:
    """The videos in the service's data folder; everything of one lies in ``videos/ID`` and in rows with its id."""

    def __init__(
        self, data: Path, database: Database, events: Events, jobs: JobQueue, *, keep_s: float, most: int
    ) -> None:
        self.folder = data / "videos"
        self._database = database
        self._events = events
        self._jobs = jobs
        self._keep_s = keep_s
        self._most = most
        self.folder.mkdir(parents=True, exist_ok=True)

    def create(self, name: str, size_bytes: int, *, owner: str, path: Path | None = None) -> Video:
        """Record a new video: an upload to come, or a file at `path`, whose analysis is queued.

        Raises
        ------
        Busy
            When there are too many videos or jobs.
        """
        id = secrets.token_hex(16)
        file_name = safe_name(name)
        folder = self.folder / id
        folder.mkdir()
        created = now()
        try:
            with self._database.write() as connection:
                count = connection.execute("SELECT count(*) FROM videos").fetchone()[0]
                if count >= self._most:
                    raise Busy(
                        f"there are {count} videos, the limit is {self._most}; delete some, or try again later"
                    )
                connection.execute(
                    "INSERT INTO videos (id, owner, name, path, size_bytes, state, created, expires) "
                    "VALUES (?, ?, ?, ?, ?, 'uploading', ?, ?)",
                    (
                        id,
                        owner,
                        file_name,
                        None if path is None else str(path),
                        size_bytes,
                        created,
                        created + self._keep_s,
                    ),
                )
            if path is not None:  # another thread may begin at once, so the row is on disk
                self.analyse(id)
        except BaseException:
            with self._database.write() as connection:
                connection.execute("DELETE FROM videos WHERE id = ?", (id,))
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return self._published(id)

    def get(self, id: str) -> Video:
        """Return a video; raise `NotFoundError` if there is none, or it has expired."""
        row = self._database.row("SELECT * FROM videos WHERE id = ? AND expires > ?", id, now())
        if row is None:
            raise NotFoundError(f"no video {id!r}; it was deleted or has expired. Upload it again")
        return self._video(row)

    def find(self, *, owner: str | None = None) -> list[Video]:
        """Return the videos of an owner, newest first; None for all."""
        rows = self._database.rows(
            "SELECT * FROM videos WHERE (?1 IS NULL OR owner = ?1) AND expires > ?2 ORDER BY created DESC, id",
            owner,
            now(),
        )
        return [self._video(row) for row in rows]

    def analyse(self, id: str) -> Job:
        """Queue the analysis of a complete video."""
        with self._database.write() as connection:
            connection.execute("UPDATE videos SET state = 'analysing' WHERE id = ?", (id,))
            owner = connection.execute("SELECT owner FROM videos WHERE id = ?", (id,)).fetchone()["owner"]
            return self._jobs.enqueue("analyse", {}, owner=owner, video=id, key=f"analyse {id}")

    def received(self, id: str) -> Video:
        """Queue the analysis of an upload whose last byte is on disk."""
        with self._database.write():
            self.analyse(id)
            return self._published(id)

    def touch(self, id: str) -> None:
        """Let a video expire later."""
        with self._database.write() as connection:
            connection.execute("UPDATE videos SET expires = ? WHERE id = ?", (now() + self._keep_s, id))

    def set_ready(self, id: str, media: Mapping[str, Any]) -> None:
        """Record the result of the analysis."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE videos SET state = 'ready', media = ? WHERE id = ?",
                (json.dumps(media, ensure_ascii=False), id),
            )
            self._publish(id)

    def set_failed(self, id: str, reason: str) -> None:
        """Record why a video cannot be used."""
        with self._database.write() as connection:
            connection.execute("UPDATE videos SET state = 'failed', reason = ? WHERE id = ?", (reason, id))
            self._publish(id)

    def delete(self, id: str) -> None:
        """Delete a video, its jobs and all files that were made of it. A file named by path stays."""
        with self._database.write() as connection:
            row = connection.execute("DELETE FROM videos WHERE id = ? RETURNING owner", (id,)).fetchone()
            self._jobs.forget(id)
            connection.execute("DELETE FROM events WHERE video = ?", (id,))
            if row is not None:
                self._events.publish("video", {"id": id, "state": "deleted"}, owner=row["owner"])
        shutil.rmtree(self.folder / id, ignore_errors=True)
        self._database.erase()

    def recover(self) -> None:
        """Finish what a killed server left: queue complete uploads, delete folders without a record."""
        known = {video.id: video for video in self.find()}
        for folder in self.folder.iterdir():
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)
        for video in known.values():
            if video.state == "uploading" and video.received_bytes == video.size_bytes:
                self.received(video.id)

    def expired(self) -> list[Video]:
        """Return the videos to delete."""
        return [
            self._video(row) for row in self._database.rows("SELECT * FROM videos WHERE expires <= ?", now())
        ]

    def _published(self, id: str) -> Video:
        self._publish(id)
        return self.get(id)

    def _publish(self, id: str) -> None:
        row = self._database.row("SELECT * FROM videos WHERE id = ?", id)
        if row is not None:
            video = self._video(row)
            self._events.publish("video", video.to_json(), owner=video.owner, video=id)

    def _video(self, row: sqlite3.Row) -> Video:
        folder = self.folder / row["id"]
        return Video(
            id=row["id"],
            owner=row["owner"],
            name=row["name"],
            folder=folder,
            path=row["path"] or str(folder / row["name"]),
            size_bytes=row["size_bytes"],
            state=row["state"],
            reason=row["reason"],
            media=None if row["media"] is None else json.loads(row["media"]),
            created=row["created"],
            expires=row["expires"],
        )


def safe_name(name: str) -> str:
    """Return a file name without folders, control characters and leading dots, of at most 120 bytes.

    Examples
    --------
    >>> safe_name("../../etc/passwd"), safe_name("a\\r\\nb.mp4"), safe_name("...")
    ('passwd', 'ab.mp4', 'video')
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    kept = "".join(c for c in last if unicodedata.category(c)[0] not in "C" and c not in '<>:"|?*')
    stem, dot, suffix = kept.strip(" .").rpartition(".")
    stem, suffix = (stem, f".{suffix}") if dot and len(suffix) <= 10 else (f"{stem}{dot}{suffix}", "")
    while len(f"{stem}{suffix}".encode()) > _MOST_NAME_BYTES:
        stem = stem[:-1]
    return f"{stem}{suffix}" or "video"
