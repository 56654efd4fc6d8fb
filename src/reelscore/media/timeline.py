"""Timestamps of a video stream's frames and key frames, read without decoding."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .container import packets

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

Stamps = npt.NDArray[np.int64]

# These demuxers have a complete index once the file is open; the others build it while reading.
INDEXED = {"mov", "mp4"}
ROUNDING_S = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Presentation timestamps of one video stream, in units of `time_base`.

    Attributes
    ----------
    time_base : Fraction
        Seconds per unit.
    start : int
        Timestamp of the first frame, which is time 0.
    frames : ndarray of int64, shape (F,)
        Timestamps of all frames, ascending; empty if only key frames were read.
    keys, seeks : ndarray of int64, shape (K,)
        Timestamps of the key frames, ascending, and the seek target of each.
    frame_numbers : bool
        True if the stream has no timestamps and frame numbers replace them.
    """

    time_base: Fraction
    start: int
    frames: Stamps
    keys: Stamps
    seeks: Stamps
    frame_numbers: bool = False

    def seconds(self, stamp: int) -> float:
        """Convert a timestamp to seconds after the first frame."""
        return float((stamp - self.start) * self.time_base)

    def stamp(self, time_s: float) -> int:
        """Return the last timestamp at or before `time_s`, up to float rounding."""
        return self.start + int((time_s + ROUNDING_S) / float(self.time_base) // 1)


def read_timeline(container: InputContainer, stream: VideoStream) -> Timeline:
    """Read the timestamps of all packets; needs 8 bytes of memory per frame.

    Returns
    -------
    Timeline
        Without frames if the stream has no packets.
    """
    stamps, keys, decoding = array("q"), array("q"), array("q")
    num_packets, no_stamps = 0, False
    for packet in packets(container, stream):
        num_packets += 1
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None:
            no_stamps = True
            continue
        if packet.is_discard:
            continue
        stamps.append(stamp)
        if packet.is_keyframe:
            keys.append(stamp)
            decoding.append(packet.dts if packet.dts is not None else stamp)
    if no_stamps:
        rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
        zero = np.zeros(1, dtype=np.int64)
        return Timeline(1 / rate, 0, np.arange(num_packets, dtype=np.int64), zero, zero, frame_numbers=True)
    frames = np.unique(np.frombuffer(stamps, dtype=np.int64)) if stamps else np.zeros(0, dtype=np.int64)
    key_stamps, first = np.unique(np.array(keys, dtype=np.int64), return_index=True)
    start = stream.start_time if stream.start_time is not None else int(frames[0]) if len(frames) else 0
    seeks = np.array(decoding, dtype=np.int64)[first]
    return Timeline(_time_base(stream), start, frames, key_stamps, seeks)


def timeline_from_index(container: InputContainer, stream: VideoStream) -> Timeline | None:
    """Return the key frames of the container's index, or None without a complete index.

    The index holds decoding times, which precede presentation times by a frame or two; the difference at the first
    key frame is added to all. Entries past the end of a truncated file are dropped.
    """
    if not INDEXED.intersection(container.format.name.split(",")):
        return None
    entries = stream.index_entries
    if not len(entries) or (stream.frames and len(entries) < stream.frames):
        return None
    size = container.size
    keys = sorted(
        e.timestamp for e in entries if e.is_keyframe and not e.is_discard and e.pos + e.size <= size
    )
    if not keys or stream.start_time is None:
        return None
    seeks = np.array(keys, dtype=np.int64)
    delay = max(0, stream.start_time - keys[0])
    return Timeline(_time_base(stream), stream.start_time, np.zeros(0, dtype=np.int64), seeks + delay, seeks)


def _time_base(stream: VideoStream) -> Fraction:
    assert stream.time_base is not None, "libav sets a time base on every input stream"
    return stream.time_base
