"""Content of the page: what is shown and played of a video and its tracks."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from reelscore.encoders.cache import FeatureCache
from reelscore.encoders.light.spectrum import RATE_HZ as SPECTRUM_RATE_HZ
from reelscore.errors import InputError, ReelscoreError
from reelscore.matching.match import Match
from reelscore.matching.report import MatchReport
from reelscore.media.audio import audio_blocks
from reelscore.media.preview import sound_preview, thumbnails, video_preview
from reelscore.media.remux import read_pictures
from reelscore.media.stereo import read_stereo
from reelscore.pipeline.cuts import cached_cuts
from reelscore.types import FloatArray

PREVIEW_S = 30.0
"""Longest part of the video and of each track on the page."""
MAX_TRACKS = 20
NUM_BARS = 180
_NUM_THUMBNAILS = 12
_THUMBNAIL_PX = 96
_RATE_HZ = 48_000
_POWER_STEP = 441  # 20 ms

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class PageVideo:
    """The video: its file name, length, size, cuts in seconds, thumbnails (JPEG), and the preview (mp4)."""

    name: str
    length_s: float
    size_px: tuple[int, int]
    cuts_s: tuple[float, ...]
    thumbnails: tuple[bytes, ...]
    preview: bytes
    preview_s: float


@dataclass(frozen=True, slots=True, eq=False)
class PageTrack:
    """A match with the level of the track in `NUM_BARS` parts, 0 to 1, and the excerpt (m4a).

    `error` says why a track cannot be played; it then has no other content.
    """

    match: Match
    levels: tuple[float, ...] = ()
    excerpt: bytes = b""
    error: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class PageContent:
    """All that a page shows."""

    video: PageVideo
    tracks: tuple[PageTrack, ...]
    query: str
    notes: tuple[str, ...]


def page_content(
    video: Path | str,
    report: MatchReport,
    *,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
) -> PageContent:
    """Read what the page of a video and its matches shows.

    Parameters
    ----------
    video : Path or str
    report : MatchReport
        Its first `MAX_TRACKS` tracks are shown.
    cache : FeatureCache, optional
        Where the cuts of the video are kept.
    progress : callable, optional
        Called with the number of finished tracks and of all.

    Raises
    ------
    InputError
        If the report has no matches.
    NotFoundError, MediaError
        If the video cannot be read. A track that cannot be read is shown without sound.
    """
    if not report.matches:
        raise InputError("no tracks to show; a page needs at least one match")
    shown = report.matches[:MAX_TRACKS]
    notes = list(report.notes)
    if len(shown) < len(report.matches):
        notes.append(f"The page shows the first {len(shown)} of {len(report.matches)} tracks.")
    page_video = _video(video, cache)
    tracks = []
    for number, match in enumerate(shown):
        if progress is not None:
            progress(number, len(shown))
        tracks.append(_track(match, page_video.preview_s))
    if progress is not None:
        progress(len(shown), len(shown))
    return PageContent(page_video, tuple(tracks), report.understood or report.text or "", tuple(notes))


def _video(path: Path | str, cache: FeatureCache | None) -> PageVideo:
    length_s = float(read_pictures(path).length_s)
    preview_s = min(length_s, PREVIEW_S)
    step_s = length_s / _NUM_THUMBNAILS
    instants = [(number + 0.5) * step_s for number in range(_NUM_THUMBNAILS)]
    found = thumbnails(path, instants, short_side_px=_THUMBNAIL_PX)
    return PageVideo(
        name=Path(path).name,
        length_s=length_s,
        size_px=_size(found[0]),
        cuts_s=cached_cuts(path, cache).cuts_s,
        thumbnails=tuple(found),
        preview=video_preview(path, length_s=preview_s),
        preview_s=preview_s,
    )


def _size(jpeg: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(jpeg)) as image:
        return image.size


def _track(match: Match, length_s: float) -> PageTrack:
    path = match.track.path
    try:
        levels = _levels(np.concatenate([_power(b) for b in audio_blocks(path, rate_hz=SPECTRUM_RATE_HZ)]))
        excerpt = read_stereo(path, rate_hz=_RATE_HZ, start_s=match.start_s, length_s=length_s)
    except ReelscoreError as error:
        return PageTrack(match, error=str(error))
    if not excerpt.shape[1]:
        return PageTrack(match, levels, error=f"the track ends before {match.start_s:.1f} s")
    fade = min(excerpt.shape[1] // 4, round(0.05 * _RATE_HZ))
    excerpt[:, -fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    return PageTrack(
        match=match,
        levels=levels,
        excerpt=sound_preview(excerpt, _RATE_HZ),
    )


def _power(block: FloatArray) -> FloatArray:
    """Return the mean power of every `_POWER_STEP` samples."""
    squares = np.square(np.pad(block, (0, -len(block) % _POWER_STEP)))
    power: FloatArray = squares.reshape(-1, _POWER_STEP).mean(axis=1)
    return power


def _levels(power: FloatArray) -> tuple[float, ...]:
    """Return the root mean square of `NUM_BARS` equal parts, relative to the loudest one."""
    edges = np.linspace(0, len(power), NUM_BARS + 1).astype(int)
    ends = np.maximum(edges[1:], edges[:-1] + 1)  # a short sound has less steps than bars
    means = np.array(
        [power[low:high].mean() if low < len(power) else 0.0 for low, high in zip(edges, ends, strict=False)]
    )
    levels = np.sqrt(means / max(float(means.max()), 1e-12))
    return tuple(np.round(levels, 3).tolist())
