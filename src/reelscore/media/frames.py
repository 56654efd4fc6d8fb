"""Read RGB frames of a video at given instants.

``exact`` returns the frame on the screen at each instant: the last one whose timestamp is not after it. The result is
the same as decoding every frame. The decoder makes one pass, seeks to key frames where that saves work and skips
non-reference frames.

``fast`` decodes only the key frame nearest to each instant. It reads an instant exactly if its nearest key frame is
further away than the tolerance. It reads the whole video exactly if the video has few pixels in total, or a moderate
number and few key frames.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import av
import numpy as np

from reelscore.errors import InputError, MediaError

from .container import open_media, select_stream
from .decoder import Decoder
from .pixels import Pixels, RgbConverter
from .timeline import Timeline, read_timeline, timeline_from_index

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

Mode = Literal["fast", "exact"]

# Half the default key frame distance of encoders (250 frames, 10.4 s at 24 Hz), rounded up.
DEFAULT_TOLERANCE_S = 6.0
# Total pixels of a short video, such as 9 s of 720p at 24 Hz: exact reading is cheap.
SHORT_PX = 200e6
# Total pixels of a medium video, such as 30 s of 720p at 25 Hz. With fewer than one key frame per three instants the
# motion features, and so the ranking, differ too much from exact reading.
MEDIUM_PX = 700e6
_INSTANTS_PER_KEY = 3


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame of a video.

    Attributes
    ----------
    instant_s : float
        The requested instant.
    time_s : float
        Presentation time, in seconds after the first frame.
    pixels : ndarray of uint8, shape (H, W, 3)
        RGB, upright.
    following : ndarray of uint8, shape (H, W, 3), or None
        The second frame of the pair, if `pair_gap_s` was given and the video is long enough.
    following_time_s : float or None
        Presentation time of `following`.
    """

    instant_s: float
    time_s: float
    pixels: Pixels
    following: Pixels | None = None
    following_time_s: float | None = None


def frames_at(
    path: Path | str,
    instants_s: Sequence[float],
    *,
    mode: Mode = "fast",
    tolerance_s: float = DEFAULT_TOLERANCE_S,
    short_side_px: int | None = None,
    pair_gap_s: float | None = None,
) -> Iterator[Frame]:
    """Yield one frame for each instant.

    Parameters
    ----------
    path : Path or str
        A video file.
    instants_s : sequence of float
        Seconds after the first frame, ascending, not negative. Instants past the end get the last frame.
    mode : {"fast", "exact"}
        Nearest key frames, or the frames on the screen; see the module.
    tolerance_s : float
        Largest distance of a key frame from its instant in ``fast``.
    short_side_px : int, optional
        Scale down, never up, to this length of the shorter side.
    pair_gap_s : float, optional
        Add to each frame the first frame that is at least this much later.

    Yields
    ------
    Frame
        In the order of `instants_s`. Frames can share arrays: do not write to them.

    Raises
    ------
    NotFoundError
        If the file does not exist or is a folder.
    MediaError
        If the file cannot be opened, has no video stream, or no frame can be decoded.
    InputError
        If the instants are not ascending, finite and >= 0, or an option is out of range.
    """
    instants = [float(t) for t in instants_s]
    if any(not math.isfinite(t) or t < 0 for t in instants) or instants != sorted(instants):
        raise InputError("instants_s must be finite, not negative and ascending. Sort them first.")
    if mode not in ("fast", "exact"):
        raise InputError(f"mode must be 'fast' or 'exact', got {mode!r}")
    if not tolerance_s >= 0:
        raise InputError(f"tolerance_s must not be negative, got {tolerance_s!r}")
    if short_side_px is not None and short_side_px < 1:
        raise InputError(f"short_side_px must be at least 1, got {short_side_px!r}")
    if pair_gap_s is not None and not (math.isfinite(pair_gap_s) and pair_gap_s >= 0):
        raise InputError(f"pair_gap_s must be finite and not negative, got {pair_gap_s!r}")
    reader = _Reader(path, short_side_px, pair_gap_s)
    return reader.exact(instants) if mode == "exact" else reader.fast(instants, tolerance_s)


class _Reader:
    """Reads one file in either mode."""

    def __init__(self, path: Path | str, short_side_px: int | None, pair_gap_s: float | None) -> None:
        self._path = path
        self._short_side_px = short_side_px
        self._pair_gap_s = pair_gap_s

    def fast(self, instants: list[float], tolerance_s: float) -> Iterator[Frame]:
        with self._video() as (container, stream):
            timeline = None
            total_px = _total_px(container, stream)
            if total_px is None:
                timeline = read_timeline(container, stream)
                total_px = len(timeline.frames) * stream.width * stream.height
            if total_px <= SHORT_PX:
                yield from self.exact(instants)
                return
            if timeline is None:
                timeline = timeline_from_index(container, stream) or read_timeline(container, stream)
            keys = nearest_key_frames(timeline, instants)
            if total_px <= MEDIUM_PX and _INSTANTS_PER_KEY * len(set(keys)) < len(instants):
                yield from self.exact(instants)
                return
            near: list[tuple[float, int]] = []
            far: list[float] = []
            for instant, key in zip(instants, keys, strict=True):
                if key is None or abs(timeline.seconds(int(timeline.keys[key])) - instant) > tolerance_s:
                    far.append(instant)
                else:
                    near.append((instant, key))
            at_keys = self._at_keys(container, stream, timeline, near)
            exact = self.exact(far) if far else iter(())
            yield from heapq.merge(at_keys, exact, key=attrgetter("instant_s"))

    def exact(self, instants: list[float]) -> Iterator[Frame]:
        with self._video() as (container, stream):
            timeline = read_timeline(container, stream)
        if not len(timeline.frames):
            raise self._no_frame()
        # Open the file again: not every format can seek to its beginning, and seeking can lose a palette.
        with self._video() as (container, stream):
            rows = np.searchsorted(timeline.frames, [timeline.stamp(t) for t in instants], side="right") - 1
            stamps = [int(timeline.frames[max(0, row)]) for row in rows]
            later_stamps = [self._stamp_after_gap(timeline, stamp) for stamp in stamps]
            stops = sorted({*stamps, *(stamp for stamp in later_stamps if stamp is not None)})
            decoded = self._pixels_at(Decoder(container, stream, timeline), stops)
            kept: dict[int, tuple[float, Pixels]] = {}
            for instant, stamp, later_stamp in zip(instants, stamps, later_stamps, strict=True):
                for old in [s for s in kept if s < stamp]:
                    del kept[old]
                while stamp not in kept or (later_stamp is not None and later_stamp not in kept):
                    stop, time_s, pixels = next(decoded)
                    if stop >= stamp:
                        kept[stop] = (time_s, pixels)
                time_s, pixels = kept[stamp]
                frame = Frame(instant, time_s, pixels)
                if later_stamp is not None and kept[later_stamp][0] > time_s:
                    frame = replace(
                        frame, following=kept[later_stamp][1], following_time_s=kept[later_stamp][0]
                    )
                yield frame

    def _pixels_at(self, decoder: Decoder, stops: list[int]) -> Iterator[tuple[int, float, Pixels]]:
        to_rgb = RgbConverter(short_side_px=self._short_side_px)
        last: tuple[float, Pixels] | None = None
        for stop, stamped in decoder.frames_at(stops):
            if stamped is None:
                raise self._no_frame()
            stamp, frame = stamped
            time_s = decoder.timeline.seconds(stamp)
            if last is None or last[0] != time_s:
                last = (time_s, to_rgb(frame))
            yield stop, *last

    def _at_keys(
        self,
        container: InputContainer,
        stream: VideoStream,
        timeline: Timeline,
        near: list[tuple[float, int]],
    ) -> Iterator[Frame]:
        decoder = Decoder(container, stream, timeline, parallel=False)
        to_rgb = RgbConverter(short_side_px=self._short_side_px)
        last_key, last = -1, None
        for instant, key in near:
            if key != last_key:
                last_key, last = key, None
                for stamp, frame in decoder.from_key(key, gap=self._gap(timeline)):
                    time_s, pixels = timeline.seconds(stamp), to_rgb(frame)
                    if last is None:
                        last = Frame(instant, time_s, pixels)
                    else:
                        last = replace(last, following=pixels, following_time_s=time_s)
            if last is None:
                yield from self.exact([instant])
            else:
                yield replace(last, instant_s=instant)

    def _gap(self, timeline: Timeline) -> int | None:
        if self._pair_gap_s is None:
            return None
        return max(1, math.ceil((self._pair_gap_s - 1e-6) / float(timeline.time_base)))

    def _stamp_after_gap(self, timeline: Timeline, stamp: int) -> int | None:
        gap = self._gap(timeline)
        if gap is None:
            return None
        row = int(np.searchsorted(timeline.frames, stamp + gap))
        return int(timeline.frames[row]) if row < len(timeline.frames) else None

    @contextmanager
    def _video(self) -> Iterator[tuple[InputContainer, VideoStream]]:
        with open_media(self._path) as container:
            yield container, select_stream(container, "video", self._path)

    def _no_frame(self) -> MediaError:
        return MediaError(
            "expected pictures, but no frame can be decoded. The file is damaged: copy or download it again.",
            path=self._path,
            stream="video",
        )


def _total_px(container: InputContainer, stream: VideoStream) -> float | None:
    """Return the pixels of all frames, or None if the container does not state its length."""
    num_frames: float = stream.frames
    if not num_frames and container.duration and (rate := stream.average_rate):
        num_frames = container.duration / av.time_base * float(rate)
    return num_frames * stream.width * stream.height if num_frames else None


def nearest_key_frames(timeline: Timeline, instants: Sequence[float]) -> list[int | None]:
    """Return the index of the key frame nearest to each instant (the earlier one of a tie), or None without any."""
    if not len(timeline.keys) or timeline.frame_numbers:
        return [None] * len(instants)
    times = np.array([timeline.seconds(int(k)) for k in timeline.keys])
    after = np.searchsorted(times, instants)
    rows: list[int | None] = []
    for instant, row in zip(instants, after, strict=True):
        choices = [r for r in (int(row) - 1, int(row)) if 0 <= r < len(times)]
        rows.append(min(choices, key=lambda r: (abs(times[r] - instant), r)))
    return rows
