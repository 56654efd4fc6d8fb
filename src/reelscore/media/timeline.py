"""An opened video enters, the times of its frames and key frames leave, without decoding anything."""

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

# Demuxers whose index is complete as soon as the file is open; the others learn it by reading.
INDEXED = {"mov", "mp4"}
ROUNDING_S = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """When the frames of one stream are shown, in units of `time_base`.

    Attributes
    ----------
    time_base : Fraction
        Seconds in one unit.
    start : int
        Stamp of the first frame, which is time 0.
    frames : ndarray of int64, shape (F,)
        Stamps of all frames, ascending; empty where only key frames were asked for.
    keys, seeks : ndarray of int64, shape (K,)
        Stamps of the key frames, ascending, and what to give to libav's seek to reach each.
    counted : bool
        True where the stream has no time stamps and frames are numbered instead.
    """

    time_base: Fraction
    start: int
    frames: Stamps
    keys: Stamps
    seeks: Stamps
    counted: bool = False

    def seconds(self, stamp: int) -> float:
        """Return a stamp as seconds after the first frame."""
        return float((stamp - self.start) * self.time_base)

    def stamp(self, time_s: float) -> int:
        """Return the last stamp that is not after `time_s`, forgiving what floats round."""
        return self.start + int((time_s + ROUNDING_S) / float(self.time_base) // 1)


def read_timeline(container: InputContainer, stream: VideoStream) -> Timeline:
    """Read the stamps of all frames by reading every packet once; 8 bytes of memory for each frame.

    Returns
    -------
    Timeline
        With no frames where the stream has no packet.
    """
    stamps, keys, decoded = array("q"), array("q"), array("q")
    num_packets, bare = 0, False
    for packet in packets(container, stream):
        num_packets += 1
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None:
            bare = True
            continue
        if packet.is_discard:
            continue
        stamps.append(stamp)
        if packet.is_keyframe:
            keys.append(stamp)
            decoded.append(packet.dts if packet.dts is not None else stamp)
    if bare:
        rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
        zero = np.zeros(1, dtype=np.int64)
        return Timeline(1 / rate, 0, np.arange(num_packets, dtype=np.int64), zero, zero, counted=True)
    frames = np.unique(np.frombuffer(stamps, dtype=np.int64)) if stamps else np.zeros(0, dtype=np.int64)
    key_stamps, first = np.unique(np.array(keys, dtype=np.int64), return_index=True)
    start = stream.start_time if stream.start_time is not None else int(frames[0]) if len(frames) else 0
    seeks = np.array(decoded, dtype=np.int64)[first]
    return Timeline(_time_base(stream), start, frames, key_stamps, seeks)


def indexed_timeline(container: InputContainer, stream: VideoStream) -> Timeline | None:
    """Return the key frames that the container's own index names, or None where it has no complete one.

    The index counts in decoding time, which lies a frame or two before the time a frame is shown; the
    difference at the first key frame is added to all. Entries past the end of the file are left out.
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
    assert stream.time_base is not None, "libav gives every stream that it reads a time base"
    return stream.time_base
