"""Timestamps of packets, frames and key frames, read without decoding."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .container import packets

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

Stamps = npt.NDArray[np.int64]

# These demuxers have a complete index once the file is open; the others build it while reading.
INDEXED = {"mov", "mp4"}
ROUNDING_S = 1e-6
# A held picture or a pause is rarely longer; time stamps that jump further, and 100 typical steps, are wrong.
JUMP_S = 300.0
JUMP_STEPS = 100
# Decoding times never go back in a valid stream, except by rounding.
MAX_STEP_BACK_S = 0.5
MAX_STEPS_BACK = 4


class PacketTimes:
    """Times of one stream's packets in file order, in units of `time_base`.

    Attributes
    ----------
    time_base : Fraction
        Seconds per unit.
    num_packets : int
        Packets in the file; those without a timestamp, and those that an edit list discards, have no row below.
    stamps, decoding, durations : array of int64
        Presentation time, decoding time and duration (0 if unknown) of each packet.
    keys : array of int64
        Rows of the key frames.
    """

    def __init__(self, time_base: Fraction) -> None:
        self.time_base = time_base
        self.num_packets = 0
        self.without_stamp = False
        self.total_duration = 0
        self.stamps, self.decoding, self.durations = array("q"), array("q"), array("q")
        self.keys = array("q")

    def append(self, packet: Packet[Any]) -> None:
        """Add a packet."""
        self.num_packets += 1
        duration = packet.duration or 0
        self.total_duration += duration
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None:
            self.without_stamp = True
        elif not packet.is_discard:
            if packet.is_keyframe:
                self.keys.append(len(self.stamps))
            self.stamps.append(stamp)
            self.decoding.append(packet.dts if packet.dts is not None else stamp)
            self.durations.append(duration)

    @property
    def step_s(self) -> float:
        """Typical time between frames, in seconds; 0 if unknown."""
        steps = np.diff(np.unique(self.stamps)) if len(self.stamps) > 1 else np.array(self.durations[:1])
        return float(np.median(steps) * self.time_base) if len(steps) else 0.0

    def jumps(self) -> bool:
        """Return whether the timestamps jump by more than any hold of a picture, or go back."""
        if len(self.stamps) < 2:
            return False
        unit_s, step_s = float(self.time_base), self.step_s
        forward_s = float(np.abs(np.diff(self.stamps)).max()) * unit_s
        back_s = -float(np.diff(self.decoding).min()) * unit_s
        return forward_s > max(JUMP_S, JUMP_STEPS * step_s) or back_s > max(
            MAX_STEP_BACK_S, MAX_STEPS_BACK * step_s
        )


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
        True if the stream has no timestamps, or they jump, and frame numbers replace them.
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


def read_packets(container: InputContainer, *streams: Stream) -> dict[int, PacketTimes]:
    """Read the times of all packets of the streams, by stream index; needs about 24 bytes of memory per packet."""
    times = {s.index: PacketTimes(_time_base(s)) for s in streams}
    for packet in packets(container, *streams):
        times[packet.stream_index].append(packet)
    return times


def read_timeline(container: InputContainer, stream: VideoStream) -> Timeline:
    """Read the timestamps of all packets.

    Returns
    -------
    Timeline
        Without frames if the stream has no packets.
    """
    return timeline_of(stream, read_packets(container, stream)[stream.index])


def timeline_of(stream: VideoStream, times: PacketTimes) -> Timeline:
    """Return the timeline of a stream whose packets have these times."""
    if times.without_stamp or times.jumps():
        rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
        if not times.without_stamp:  # the average rate of a stream that jumps is wrong
            rate = Fraction(1 / times.step_s).limit_denominator(60_000)
        zero = np.zeros(1, dtype=np.int64)
        numbers = np.arange(times.num_packets, dtype=np.int64)
        return Timeline(1 / rate, 0, numbers, zero, zero, frame_numbers=True)
    stamps = np.array(times.stamps, dtype=np.int64)
    frames = np.unique(stamps)
    keys = np.array(times.keys, dtype=np.int64)
    key_stamps, first = np.unique(stamps[keys], return_index=True)
    start = stream.start_time if stream.start_time is not None else int(frames[0]) if len(frames) else 0
    seeks = np.array(times.decoding, dtype=np.int64)[keys][first]
    return Timeline(times.time_base, start, frames, key_stamps, seeks)


def timeline_from_index(container: InputContainer, stream: VideoStream) -> Timeline | None:
    """Return the key frames of the container's index, or None without a complete index or if its times jump.

    The index holds decoding times, which precede presentation times by a frame or two; the difference at the first
    key frame is added to all. Entries past the end of a truncated file are dropped.
    """
    if not INDEXED.intersection(container.format.name.split(",")):
        return None
    entries = stream.index_entries
    if not stream.frames or len(entries) < stream.frames:  # a fragmented file states no frames
        return None
    size = container.size
    keys = sorted(
        e.timestamp for e in entries if e.is_keyframe and not e.is_discard and e.pos + e.size <= size
    )
    if not keys or stream.start_time is None:
        return None
    seeks = np.array(keys, dtype=np.int64)
    if len(keys) > 1 and float(np.diff(seeks).max() * stream.time_base) > JUMP_S:
        return None
    delay = max(0, stream.start_time - keys[0])
    return Timeline(_time_base(stream), stream.start_time, np.zeros(0, dtype=np.int64), seeks + delay, seeks)


def _time_base(stream: Stream) -> Fraction:
    assert stream.time_base is not None, "libav sets a time base on every input stream"
    return stream.time_base
