"""Files made of tracks and videos on request: excerpts, fits, waveforms, thumbnails."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from reelscore.types import Track
from reelscore.workers.confinement import Confinement

from .jobs import Busy, JobFailed
from .media_work import write_fit, write_fit_preview, write_peaks, write_preview, write_thumbnail
from .videos import Video
from .workers import ConfinedWorkers

_MOST_WAITING = 64
_MOST_BYTES = 1 << 30


class Derived:
    """Makes each file once and keeps it: those of a track in a folder of the track, those of a video in the video's.

    Parameters
    ----------
    folder : Path
        Folder for the files of tracks.
    workers : ConfinedWorkers
    confine : callable
        Returns the confinement for the files to read and to write.
    limit_s : float
        Longest time for one file.
    """

    def __init__(
        self,
        folder: Path,
        workers: ConfinedWorkers,
        confine: Callable[[Sequence[str], Sequence[str]], Confinement],
        *,
        limit_s: float,
    ) -> None:
        self._folder = folder
        self._workers = workers
        self._confine = confine
        self._limit_s = limit_s
        self._locks: dict[Path, threading.Lock] = {}
        self._lock = threading.Lock()

    def preview(self, track: Track, *, start_s: float, length_s: float) -> Path:
        """Return the Opus file of an excerpt."""
        name = f"preview-{round(start_s * 1000)}-{round(length_s * 1000)}.opus"
        return self._made(
            self._folder / track.key / name,
            track.path,
            partial(write_preview, start_s=start_s, length_s=length_s),
        )

    def peaks(self, track: Track, *, num_peaks: int) -> bytes:
        """Return the peaks of a track's waveform, one byte each."""
        file = self._folder / track.key / f"peaks-{num_peaks}"
        return self._made(file, track.path, partial(write_peaks, num_peaks=num_peaks)).read_bytes()

    def video_peaks(self, video: Video, *, num_peaks: int) -> bytes:
        """Return the peaks of the waveform of a video's sound, one byte each."""
        call = partial(write_peaks, num_peaks=num_peaks)
        return self._made(
            video.folder / "derived" / f"peaks-{num_peaks}", video.path, call, video.id
        ).read_bytes()

    def thumbnail(self, video: Video, *, at_s: float, short_side_px: int) -> Path:
        """Return the JPEG file of a frame."""
        file = video.folder / "derived" / f"thumbnail-{round(at_s * 1000)}-{short_side_px}.jpg"
        call = partial(write_thumbnail, at_s=at_s, short_side_px=short_side_px)
        return self._made(file, video.path, call, video.id)

    def fit(self, video: Video, track: Track, *, start_s: float) -> Path:
        """Return the plan of a version of a track that ends with a video."""
        file = video.folder / "derived" / f"fit-{track.key}-{round(start_s * 1000)}.json"
        call = partial(write_fit, video=video.path, start_s=start_s)
        return self._made(file, track.path, call, video.id, also=(video.path,))

    def fit_preview(
        self, video: Video, track: Track, *, start_s: float, at_s: float, length_s: float
    ) -> Path:
        """Return the Opus file of an excerpt of that version, from a time of the video on."""
        plan = self.fit(video, track, start_s=start_s)
        file = plan.with_name(f"{plan.stem}-{round(at_s * 1000)}-{round(length_s * 1000)}.opus")
        call = partial(write_fit_preview, plan=str(plan), at_s=at_s, length_s=length_s)
        return self._made(file, track.path, call, video.id)

    def forget(self, key: str) -> None:
        """Delete the files of a track."""
        shutil.rmtree(self._folder / key, ignore_errors=True)

    def sweep(self) -> None:
        """Delete the oldest files of tracks beyond 1 GB."""
        if not self._folder.exists():
            return
        files = [(file.stat(), file) for file in self._folder.glob("*/*")]
        excess = sum(stat.st_size for stat, _ in files) - _MOST_BYTES
        for stat, file in sorted(files, key=lambda item: item[0].st_mtime):
            if excess <= 0:
                break
            file.unlink(missing_ok=True)
            excess -= stat.st_size

    def _made(
        self,
        file: Path,
        source: str,
        call: Callable[..., None],
        video: str = "",
        also: Sequence[str] = (),
    ) -> Path:
        if file.exists():
            os.utime(file)
            return file
        with self._lock:
            if len(self._locks) >= _MOST_WAITING and file not in self._locks:
                raise Busy("too many excerpts are being made; try again later")
            lock = self._locks.setdefault(file, threading.Lock())
        try:
            with lock:
                if not file.exists():
                    file.parent.mkdir(exist_ok=True, parents=not video)
                    self._workers.run(
                        partial(call, source, str(file)),
                        self._confine([source, *also], [str(file.parent)]),
                        limit_s=self._limit_s,
                        names=(video,) if video else (),
                    )
        except JobFailed as failure:
            raise JobFailed(str(failure).replace(f"{source}: ", "")) from None
        finally:
            with self._lock:
                self._locks.pop(file, None)
        return file
