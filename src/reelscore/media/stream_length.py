"""Length of one stream: by the header, an index, the last packets, all packets, or what decodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import av
import av.error
import numpy as np

from reelscore.errors import MediaError

from .container import open_media, packets
from .timeline import JUMP_S, PacketTimes, timeline_of

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream

TAIL_S = 2.0
TOLERANCE_S = 0.5
"""A stated length within this of the packets' is kept: padding, priming and the last frame account for as much."""
MAX_PAUSE_S, MAX_PACKET_S = 1.0, 10.0
"""Longest step between audio packets that is not a pause, and longest packet; the frames of ape last up to 7 s."""
ZERO_BYTES = 64
"""A compressed sample never begins with this many zeros."""


def header_length_s(stream: Stream) -> float | None:
    """Return the length that the header states for a stream, or None."""
    if stream.duration is None or stream.time_base is None or stream.duration <= 0:
        return None
    return float(stream.duration * stream.time_base)


def index_length_s(container: InputContainer, stream: Stream, path: Path | str) -> float | None:
    """Return the length from a complete index of the file's samples; None without one or if its times jump."""
    entries = stream.index_entries
    if (
        not stream.frames or not len(entries) or stream.time_base is None
    ):  # a fragmented file states no frames
        return None
    unit_s = float(stream.time_base)
    first, last = entries[0], entries[len(entries) - 1]
    step = (last.timestamp - first.timestamp) / max(1, len(entries) - 1)
    rate = getattr(stream, "base_rate", None)
    if rate and (last.timestamp - first.timestamp) * unit_s - len(entries) / float(rate) > JUMP_S:
        return None
    with Path(path).open("rb") as file:
        if not _is_written(stream, last, file, container.size):
            inside = [e.timestamp for e in entries if _is_written(stream, e, file, container.size)]
            return (max(inside) - first.timestamp + step) * unit_s if inside else 0.0
    length_s, step_s, stated_s = (
        (last.timestamp - first.timestamp) * unit_s,
        step * unit_s,
        header_length_s(stream),
    )
    # The index does not tell how long the last frame is shown.
    if stated_s is not None and (len(entries) == 1 or length_s <= stated_s <= length_s + 2 * step_s):
        length_s, step_s = stated_s, 0.0
    return _bounded_s(stream, length_s + step_s, len(entries))


def _is_written(stream: Any, entry: Any, file: IO[bytes], num_bytes: int) -> bool:
    """Return whether a sample of the index is in the file: a download may reserve its space, filled with zeros."""
    if entry.pos + entry.size > num_bytes:
        return False
    file.seek(entry.pos)
    head = file.read(min(entry.size, ZERO_BYTES))
    return not head or any(head) or stream.codec_context.name.startswith("pcm")


def _bounded_s(stream: Any, length_s: float, num_packets: int) -> float:
    """Return a length, or that of the packets' samples if the length is more than they can decode to."""
    if stream.type != "audio":
        return length_s
    samples, rate_hz = stream.codec_context.frame_size, stream.codec_context.sample_rate
    packets_s = num_packets * (samples / rate_hz if samples and rate_hz else MAX_PACKET_S)
    # HE-AAC decodes to twice the samples of its frames.
    return packets_s if length_s > 2 * packets_s + TOLERANCE_S else length_s


def tail_length_s(container: InputContainer, streams: Sequence[Stream], *, gaps: bool) -> list[float | None]:
    """Return the length of each stream from its last packets; None for all if they contradict the stated length."""
    unknown: list[float | None] = [None] * len(streams)
    if not container.duration:
        return unknown
    stated_s = container.duration / av.time_base
    start_s = (container.start_time or 0) / av.time_base
    try:
        container.seek(int((start_s + max(0.0, stated_s - TAIL_S)) * av.time_base))
    except av.error.FFmpegError:
        return unknown
    if gaps and stated_s > JUMP_S and _index_jumps(streams, stated_s):
        return unknown
    ends = {stream.index: 0.0 for stream in streams}
    for packet in packets(container, *streams):
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is not None:
            i = packet.stream_index
            ends[i] = max(ends[i], float((stamp + (packet.duration or 0)) * packet.time_base))
    if abs(max(ends.values()) - start_s - stated_s) > TOLERANCE_S or 0.0 in ends.values():
        return unknown
    return [ends[s.index] - float((s.start_time or 0) * (s.time_base or 0)) for s in streams]


def decoded_length_s(
    container: InputContainer, stream: Any, length_s: float, path: Path | str
) -> float | None:
    """Return the length of what decodes if the end of the sound does not; None if it does."""
    unit_s, start = float(stream.time_base or 1), stream.start_time or 0
    try:
        container.seek(start + int(max(0.0, length_s - TAIL_S) / unit_s), stream=stream)
        ends = [frame.time + frame.samples / frame.sample_rate for frame in _frames(container, stream)]
    except (av.error.FFmpegError, TypeError):
        return None
    if ends and ends[-1] - start * unit_s > length_s - TAIL_S / 2:
        return None
    with open_media(path) as again:
        same = same_stream(again, stream, path)
        return float(sum(frame.samples / frame.sample_rate for frame in _frames(again, same)))


def same_stream(container: InputContainer, stream: Stream, path: Path | str) -> Any:
    """Return the stream in another container of the file; libav can find more streams while it reads."""
    for one in container.streams:
        if one.index == stream.index:
            return one
    raise MediaError("its streams are damaged. Copy or download it again.", path=path)


def _frames(container: InputContainer, stream: Any) -> Iterator[Any]:
    for packet in packets(container, stream):
        try:
            yield from packet.decode()
        except av.error.FFmpegError:
            continue


def _index_jumps(streams: Sequence[Stream], stated_s: float) -> bool:
    times = [float(e.timestamp * s.time_base) for s in streams if s.time_base for e in s.index_entries]
    times = sorted([*times, stated_s])
    return max(b - a for a, b in zip([0.0, *times], times, strict=False)) > JUMP_S


def packets_length_s(stream: Any, times: PacketTimes) -> tuple[float, bool]:
    """Return the length of a stream from all its packets, and whether its timestamps jump."""
    unit_s = float(times.time_base)
    if stream.type == "audio":
        return _sound_s(times), times.jumps()
    timeline = timeline_of(stream, times)
    if timeline.frame_numbers:
        return len(timeline.frames) * float(timeline.time_base), not times.without_stamp
    if not len(timeline.frames):
        return 0.0, False
    held_s = times.durations[-1] * unit_s or times.step_s
    if held_s > JUMP_S:
        held_s = times.step_s
    rate = stream.average_rate or stream.guessed_rate or 25
    # A single frame has no successor that ends it: show it for one period of the stated rate, or of 25 Hz.
    length_s = float((timeline.frames[-1] - timeline.frames[0]) * times.time_base) + held_s
    return length_s or 1 / float(rate), False


def _sound_s(times: PacketTimes) -> float:
    """Return the length of the samples: pauses between packets are not decoded, and overlaps are played in full."""
    unit_s = float(times.time_base)
    if len(times.stamps) < 2:
        return min(times.total_duration * unit_s, times.num_packets * MAX_PACKET_S)
    steps = np.diff(times.stamps)
    durations = np.minimum(times.durations, int(MAX_PACKET_S / unit_s))
    pauses_s = (steps - durations[:-1]) * unit_s
    regular = (pauses_s >= 0) & (pauses_s <= MAX_PAUSE_S)
    return float(np.where(regular, steps, durations[:-1]).sum() + durations[-1]) * unit_s


def link_length_s(path: Path | str, link: tuple[int, int]) -> float:
    """Return the length of a recording of a chained Ogg file, from its part of the file; 0 if it is damaged."""
    try:
        with open_media(path, part=link) as container:
            return container.duration / av.time_base if container.duration else 0.0
    except MediaError:
        return 0.0
