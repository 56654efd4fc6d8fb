"""Length of a file's pictures and sound, from what is in the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import av
import av.error
import numpy as np

from reelscore.errors import MediaError

from .bitstreams import is_truncated, mpeg_audio_length, ogg_links, samples_go_on
from .container import decodable_streams, open_media, packets
from .timeline import INDEXED, JUMP_S, PacketTimes, read_packets, timeline_of

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream

# Formats that state their length and can be sought in: their end is checked. Those not named here, such as ADTS and
# MPEG transport streams, state no length, and libav estimates it from the bit rate.
STATED = {"matroska", "avi", "flv", "asf", "wav", "w64", "flac", "aiff", "caf", "au", "tta", "wv", "ape"}
STAMPED = {"matroska", "flv", "asf"}
"""The formats among them whose packets have free timestamps, which can jump."""

TAIL_S = 2.0
TOLERANCE_S = 0.5
"""A stated length within this of the packets' is kept: padding, priming and the last frame account for as much."""
MAX_PAUSE_S, MAX_PACKET_S = 1.0, 10.0
"""Longest step between audio packets that is not a pause, and longest packet; the frames of ape last up to 7 s."""
LATE_S = 0.1
"""Sound that starts at least this much after the pictures is placed by its timestamps; less is imperceptible."""
SHORTEST_S = 0.04
"""Length of a stream that has a frame but no duration: one picture at 25 Hz."""
ZERO_BYTES = 64
"""A compressed sample never begins with this many zeros."""
_NOUNS = {"video": "pictures", "audio": "sound"}


@dataclass(frozen=True, slots=True)
class Length:
    """Length of a stream.

    Attributes
    ----------
    seconds : float
    repairs : tuple of str
        For the user: how the file's own statements were corrected.
    """

    seconds: float
    repairs: tuple[str, ...] = ()


def stream_lengths(container: InputContainer, streams: Sequence[Stream], path: Path | str) -> list[Length]:
    """Return the length of each stream, from the packets that are in the file.

    Packets are read, but not decoded, only where the container states no length or a wrong one.

    Parameters
    ----------
    container : InputContainer
        Its position changes.
    streams : sequence of Stream
        Streams of `container`.
    path : path
        The file, which may be opened a second time.
    """
    names = set(container.format.name.split(","))
    stated = [_stated_s(stream) for stream in streams]
    only_sound = all(stream.type == "audio" for stream in streams)
    links = ogg_links(path) if "ogg" in names and only_sound else []
    lengths: list[float | None]
    if len(links) > 1:
        lengths = [sum(_link_s(path, link) for link in links)]
    elif INDEXED & names:
        lengths = [_indexed_s(container, stream, path) for stream in streams]
    elif "mp3" in names and only_sound:
        lengths = [mpeg_audio_length(path) for _ in streams]
    elif "ogg" in names and only_sound:
        lengths = list(stated)  # from the last page
    elif STATED & names:
        lengths = _tail_s(container, streams, gaps=bool(STAMPED & names))
    else:
        lengths = [None] * len(streams)
    repairs: list[list[str]] = [[] for _ in streams]
    if len(links) < 2 and only_sound and "mp3" not in names:
        for i, stream in enumerate(streams):
            decoded_s = None if lengths[i] is None else _decoded_s(container, stream, lengths[i] or 0.0, path)
            if decoded_s is not None:
                repairs[i].append(
                    f"sound: only {decoded_s:.1f} of {lengths[i]:.1f} s can be decoded (damaged)"
                )
                lengths[i] = decoded_s
    if len(links) > 1:
        repairs[0].append(f"{len(links)} recordings in sequence (chained Ogg); all are read")
    if None in lengths:
        with open_media(path) as again:
            same = [_same_stream(again, stream, path) for stream in streams]
            times = read_packets(again, *same)
            for i, stream in enumerate(same):
                lengths[i], jumps = _packets_s(stream, times[stream.index])
                if jumps:
                    repairs[i].append(
                        f"{_NOUNS[stream.type]}: the timestamps jump; read in the order of the file"
                    )
    if "wav" in names and samples_go_on(path):
        repairs[0].append("sound: longer than the header states; read to the end of the file")
    longest = max(length or 0.0 for length in lengths)
    whole_s = container.duration / av.time_base if container.duration else None
    # A container that states one length for all streams means the longest.
    fits = whole_s is not None and abs(longest - whole_s) <= TOLERANCE_S
    results = []
    for stream, measured, own, notes in zip(streams, lengths, stated, repairs, strict=True):
        if own is None:
            own = measured if fits and abs((measured or 0.0) - (whole_s or 0.0)) > TOLERANCE_S else whole_s
        estimated = not (STATED | INDEXED) & names
        results.append(_checked(stream, measured or 0.0, own, tuple(notes), estimated=estimated))
    if not any(length.repairs for length in results) and is_truncated(path):
        results[0] = replace(results[0], repairs=("the file is truncated, or its header is wrong",))
    return results


def sound_start_s(container: InputContainer, path: Path | str) -> float:
    """Return how much later than the pictures the sound starts, in seconds; 0 if it starts earlier or with them.

    Sound that would start after the last picture is not moved: its timestamps are wrong.
    """
    video = next(iter(decodable_streams(container, "video")), None)
    audio = next(iter(decodable_streams(container, "audio")), None)
    if video is None or audio is None:
        return 0.0
    starts = [float(s.start_time * (s.time_base or 0)) for s in (audio, video) if s.start_time is not None]
    late_s = starts[0] - starts[1] if len(starts) == 2 else 0.0
    if late_s < LATE_S:
        return 0.0
    with open_media(path) as again:
        (pictures,) = stream_lengths(again, [_same_stream(again, video, path)], path)
    return late_s if late_s < pictures.seconds else 0.0


def _checked(
    stream: Stream, measured: float, stated: float | None, repairs: tuple[str, ...], *, estimated: bool
) -> Length:
    what = _NOUNS[stream.type]
    measured = measured if measured > 0 else SHORTEST_S
    if stated is None:
        note = f"{what}: the container does not state its length; measured by reading all packets"
        return Length(measured, repairs or (note,))
    if abs(measured - stated) <= TOLERANCE_S:
        return Length(stated, repairs)
    if repairs:
        return Length(measured, repairs)
    if estimated:
        reason = "its header is wrong or missing"
    elif measured < stated:
        reason = "truncated, or its header is wrong"
    else:
        reason = "its header is wrong"
    return Length(measured, (f"{what}: {measured:.1f} s are in the file, not {stated:.1f} s ({reason})",))


def _stated_s(stream: Stream) -> float | None:
    if stream.duration is None or stream.time_base is None or stream.duration <= 0:
        return None
    return float(stream.duration * stream.time_base)


def _indexed_s(container: InputContainer, stream: Stream, path: Path | str) -> float | None:
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
    length_s, step_s, stated_s = (last.timestamp - first.timestamp) * unit_s, step * unit_s, _stated_s(stream)
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


def _tail_s(container: InputContainer, streams: Sequence[Stream], *, gaps: bool) -> list[float | None]:
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


def _decoded_s(container: InputContainer, stream: Any, length_s: float, path: Path | str) -> float | None:
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
        same = _same_stream(again, stream, path)
        return float(sum(frame.samples / frame.sample_rate for frame in _frames(again, same)))


def _same_stream(container: InputContainer, stream: Stream, path: Path | str) -> Any:
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


def _packets_s(stream: Any, times: PacketTimes) -> tuple[float, bool]:
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


def _link_s(path: Path | str, link: tuple[int, int]) -> float:
    try:
        with open_media(path, part=link) as container:
            return container.duration / av.time_base if container.duration else 0.0
    except MediaError:
        return 0.0
