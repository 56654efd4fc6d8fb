"""Cuts, dissolves, fades and motion peaks of a video.

References
----------
Boreczky and Rowe 1996, "Comparison of video shot boundary detection techniques".
Hanjalic 2002, "Shot-boundary detection: unraveled and resolved".
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
import av.error
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Interpolation, VideoReformatter

from reelscore.errors import MediaError

from .container import open_media, packets, select_stream

Array = npt.NDArray[np.float64]
Small = npt.NDArray[np.uint8]

VERSION = 3
"""Increase whenever the same file would give other cuts."""

WIDTH_PX, HEIGHT_PX = 64, 36
USUAL_RATE_HZ = 25.0
"""Rate of a stream without time stamps."""

# A cut is a change of the picture that lasts, is large, and is larger than the changes around it.
_LEAST_CHANGE, _LEAST_RATIO = 0.10, 2.2
_WEAK_CHANGE, _WEAK_RATIO = 0.05, 5.0  # a cut between similar shots must stand out more
_NEAR = 6  # frames on each side that a cut is compared with
_BINS = 32
_LUMA_STEP = 2  # thumbnails for dissolves: 32 x 18

# In a dissolve each pixel moves steadily from one shot to the other, and their mean has less contrast than both.
_DISSOLVE_S = 0.2  # on each side
_LEAST_DISTANCE = 12.0
_LEAST_STEADINESS = 0.45
_LEAST_DIP = 0.1
_EVEN = 6.0  # standard deviation of a picture of one colour

_MOTION_S = 0.5
_PEAK_GAP_S = 1.0


@dataclass(frozen=True, slots=True)
class Transition:
    """A gradual change of shot: a dissolve, or a fade from or to one colour."""

    start_s: float
    end_s: float
    kind: Literal["dissolve", "fade"]


@dataclass(frozen=True, slots=True)
class VideoCuts:
    """Shot changes and strongest motion of a video, in seconds after its first frame.

    Attributes
    ----------
    cuts_s : tuple of float
        Time stamps of the first frames after a hard cut.
    transitions : tuple of Transition
        Dissolves and fades.
    motion_peaks_s : tuple of float
        Middles of half-seconds with more motion than their surroundings.
    """

    cuts_s: tuple[float, ...]
    transitions: tuple[Transition, ...]
    motion_peaks_s: tuple[float, ...]


def find_cuts(path: Path | str) -> VideoCuts:
    """Decode a video once and find its cuts; memory is 0.6 kB for each frame.

    Raises
    ------
    NotFoundError
        If the file does not exist or is a folder.
    MediaError
        If the file cannot be opened, has no video stream, or no frame can be decoded.
    """
    times: list[float] = []
    luma: list[Small] = []
    step: list[float] = []
    lasting: list[float] = []
    recent: deque[tuple[Small, Array]] = deque(maxlen=4)
    for time_s, small in _small_frames(path):
        times.append(time_s)
        luma.append(small[0, ::_LUMA_STEP, ::_LUMA_STEP].copy())
        recent.append((small, _histogram(small)))
        lasting.append(_lasting_change(recent, step[-1]) if len(recent) == 4 else 0.0)
        step.append(_distance(recent[-2], recent[-1]) if len(recent) > 1 else 0.0)
    if not times:
        raise MediaError(
            "expected pictures, but no frame can be decoded. The file is damaged: copy or download it again.",
            path=path,
            stream="video",
        )
    stamps = _times_s(np.array(times))
    thumbnails = np.stack(luma)
    cuts = _cuts(np.array(step), np.array(lasting))
    return VideoCuts(
        cuts_s=tuple(float(stamps[row]) for row in cuts),
        transitions=_transitions(stamps, thumbnails, cuts),
        motion_peaks_s=_motion_peaks(stamps, thumbnails, cuts),
    )


def _small_frames(path: Path | str) -> Iterator[tuple[float, Small]]:
    """Yield time stamp in seconds (NaN without one) and picture of each frame, as YUV of shape (3, 36, 64)."""
    scaler = VideoReformatter()
    with open_media(path) as container:
        stream = select_stream(container, "video", path)
        stream.codec_context.thread_type = "AUTO"
        # A third of the decoding; at 64 x 36 the pictures hardly differ.
        stream.codec_context.options = {"skip_loop_filter": "all"}
        assert stream.time_base is not None, "libav sets a time base on every input stream"
        time_base = stream.time_base
        for packet in itertools.chain(packets(container, stream), [None]):
            try:
                frames = stream.decode(packet)
            except av.error.FFmpegError:
                continue
            for frame in frames:
                small = scaler.reformat(
                    frame,
                    width=WIDTH_PX,
                    height=HEIGHT_PX,
                    format="yuv444p",
                    interpolation=Interpolation.AREA,
                    threads=1,
                )
                # Frames that the decoder still holds at the end have a time stamp, but no time base of their own.
                time_s = math.nan if frame.pts is None else float(frame.pts * time_base)
                yield time_s, small.to_ndarray().astype(np.uint8, copy=False)


def _times_s(stamps_s: Array) -> Array:
    """Return ascending times after the first frame; damaged time stamps are interpolated.

    A stamp is damaged if it is missing, or on the side of the fewer stamps that are out of order.
    """
    rows = np.arange(len(stamps_s))
    good = np.isfinite(stamps_s)
    if good.sum() < 2:
        return rows / USUAL_RATE_HZ
    filled = np.interp(rows, rows[good], stamps_s[good])
    behind = filled < np.maximum.accumulate(filled)
    ahead = filled > np.minimum.accumulate(filled[::-1])[::-1]
    good &= ~(ahead if ahead.sum() < behind.sum() else behind)
    times: Array = np.interp(rows, rows[good], stamps_s[good])
    times -= times[0]
    return times


def _histogram(small: Small) -> Array:
    """Return the cumulative histograms of Y, U and V, shape (3, 32), each ending at 1."""
    levels = (small.reshape(3, -1) >> 3).astype(np.int64) + _BINS * np.arange(3)[:, None]
    counts = np.bincount(levels.ravel(), minlength=3 * _BINS).reshape(3, _BINS)
    shares: Array = np.cumsum(counts, axis=1) / (WIDTH_PX * HEIGHT_PX)
    return shares


def _distance(first: tuple[Small, Array], second: tuple[Small, Array]) -> float:
    """Return the mean of pixel difference and histogram distance, 0 to 1.

    The histogram distance is the area between cumulative histograms (earth mover's distance): a small change of light
    is a small distance, which it is not between plain histograms.
    """
    pixels = np.abs(first[0].astype(np.int16) - second[0]).mean(axis=(1, 2))
    areas = np.abs(first[1] - second[1]).mean(axis=1)
    # Differences of colour are smaller than those of luma.
    weights = np.array([1.0, 2.0, 2.0])
    return float((pixels / 255 * weights).sum() + (areas * weights).sum()) / 2


def _lasting_change(recent: deque[tuple[Small, Array]], change: float) -> float:
    """Return the smallest change across the frame before the last, whose own change is given.

    With frames a b c d, it is the least of the distances b-c, a-c, b-d and a-d: a flash or a damaged frame returns to
    the old picture and has a small one.
    """
    if change < _WEAK_CHANGE:
        return change
    a, b, c, d = recent
    return min(change, _distance(a, c), _distance(b, d), _distance(a, d))


def _cuts(step: Array, lasting: Array) -> npt.NDArray[np.int64]:
    """Return the first frame of each new shot; less than four frames are one shot.

    Parameters
    ----------
    step, lasting : ndarray of float64, shape (N,)
        Change to each frame, and the lasting change across the frame before it.
    """
    if len(step) < 4:
        return np.empty(0, np.int64)
    lasting = np.append(lasting[1:], 0.0)  # known one frame later
    # The first and last cut of a video have no frames on one side.
    lasting[1], lasting[-1] = step[1], step[-1]
    padded = np.pad(step, _NEAR)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _NEAR + 1).copy()
    windows[:, _NEAR] = 0
    # The second largest: another cut may be near.
    around = np.partition(windows, -2, axis=1)[:, -2]
    change = np.minimum(step, lasting)
    strong = (change >= _LEAST_CHANGE) & (change >= _LEAST_RATIO * around)
    weak = (change >= _WEAK_CHANGE) & (change >= _WEAK_RATIO * around)
    return np.flatnonzero(strong | weak)


def _transitions(stamps: Array, luma: Small, cuts: npt.NDArray[np.int64]) -> tuple[Transition, ...]:
    """Return the runs of frames that lie between two different pictures.

    Over 0.4 s around such a frame, the difference of the ends is a large part of the sum of all changes (motion changes
    pixels back and forth), and the frame's variance is below the mean variance of the ends (that of a mixture of
    unrelated pictures is).
    """
    pixels = luma.reshape(len(luma), -1)
    variance = np.array([row.var() for row in pixels])
    changes = np.array([0.0, *(np.abs(b.astype(np.int16) - a).mean() for a, b in itertools.pairwise(pixels))])
    total = np.cumsum(changes)
    before = np.searchsorted(stamps, stamps - _DISSOLVE_S)
    after = np.minimum(np.searchsorted(stamps, stamps + _DISSOLVE_S), len(stamps) - 1)
    distance = np.array(
        [np.abs(pixels[b].astype(np.int16) - pixels[a]).mean() for a, b in zip(before, after, strict=True)]
    )
    one_shot = np.searchsorted(cuts, before, side="right") == np.searchsorted(cuts, after, side="right")
    ends = (variance[before] + variance[after]) / 2
    gradual = one_shot & (distance >= _LEAST_DISTANCE)
    gradual &= distance >= _LEAST_STEADINESS * (total[after] - total[before])
    gradual &= variance <= (1 - _LEAST_DIP) * ends
    return tuple(_run(stamps, luma, start, end) for start, end in _runs(gradual))


def _runs(flags: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the first and last row of each run of at least four true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= 4]


def _run(stamps: Array, luma: Small, start: int, end: int) -> Transition:
    near = luma[max(0, start - 3) : end + 4].reshape(-1, luma.shape[1] * luma.shape[2])
    faded = bool((near.std(axis=1) <= _EVEN).any())
    return Transition(float(stamps[start]), float(stamps[end]), "fade" if faded else "dissolve")


def _motion_peaks(stamps: Array, luma: Small, cuts: npt.NDArray[np.int64]) -> tuple[float, ...]:
    """Return the largest values of the motion over half a second that exceed its mean by 1.5 deviations."""
    if len(stamps) < 3:
        return ()
    change = np.array([0.0, *(np.abs(b.astype(np.int16) - a).mean() for a, b in itertools.pairwise(luma))])
    change[cuts] = 0
    total = np.concatenate([[0.0], np.cumsum(change)])
    low = np.searchsorted(stamps, stamps - _MOTION_S / 2)
    high = np.searchsorted(stamps, stamps + _MOTION_S / 2, side="right")
    motion = (total[high] - total[low]) / _MOTION_S
    threshold = motion.mean() + 1.5 * motion.std()
    chosen: list[int] = []
    for row in np.argsort(-motion, kind="stable"):
        if motion[row] <= max(threshold, 1.0):
            break
        if all(abs(stamps[row] - stamps[other]) >= _PEAK_GAP_S for other in chosen):
            chosen.append(int(row))
    return tuple(float(stamps[row]) for row in sorted(chosen))
