"""Length of a file's pictures and sound, from what is in the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import av
import av.error

from .bitstreams import is_truncated, mpeg_audio_length, ogg_links, samples_go_on
from .container import decodable_streams, open_media
from .stream_length import (
    TOLERANCE_S,
    decoded_length_s,
    header_length_s,
    index_length_s,
    link_length_s,
    packets_length_s,
    same_stream,
    tail_length_s,
)
from .timeline import INDEXED, read_packets

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream

# Formats that state their length and can be sought in: their end is checked. Those not named here, such as ADTS and
# MPEG transport streams, state no length, and libav estimates it from the bit rate.
STATED = {"matroska", "avi", "flv", "asf", "wav", "w64", "flac", "aiff", "caf", "au", "tta", "wv", "ape"}
STAMPED = {"matroska", "flv", "asf"}
"""The formats among them whose packets have free timestamps, which can jump."""

LATE_S = 0.1
"""Sound that starts at least this much after the pictures is placed by its timestamps; less is imperceptible."""
SHORTEST_S = 0.04
"""Length of a stream that has a frame but no duration: one picture at 25 Hz."""
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
    stated = [header_length_s(stream) for stream in streams]
    only_sound = all(stream.type == "audio" for stream in streams)
    links = ogg_links(path) if "ogg" in names and only_sound else []
    lengths: list[float | None]
    if len(links) > 1:
        lengths = [sum(link_length_s(path, link) for link in links)]
    elif INDEXED & names:
        lengths = [index_length_s(container, stream, path) for stream in streams]
    elif "mp3" in names and only_sound:
        lengths = [mpeg_audio_length(path) for _ in streams]
    elif "ogg" in names and only_sound:
        lengths = list(stated)  # from the last page
    elif STATED & names:
        lengths = tail_length_s(container, streams, gaps=bool(STAMPED & names))
    else:
        lengths = [None] * len(streams)
    repairs: list[list[str]] = [[] for _ in streams]
    if len(links) < 2 and only_sound and "mp3" not in names:
        for i, stream in enumerate(streams):
            decoded_s = (
                None if lengths[i] is None else decoded_length_s(container, stream, lengths[i] or 0.0, path)
            )
            if decoded_s is not None:
                repairs[i].append(
                    f"sound: only {decoded_s:.1f} of {lengths[i]:.1f} s can be decoded (damaged)"
                )
                lengths[i] = decoded_s
    if len(links) > 1:
        repairs[0].append(f"{len(links)} recordings in sequence (chained Ogg); all are read")
    if None in lengths:
        with open_media(path) as again:
            same = [same_stream(again, stream, path) for stream in streams]
            times = read_packets(again, *same)
            for i, stream in enumerate(same):
                lengths[i], jumps = packets_length_s(stream, times[stream.index])
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
        (pictures,) = stream_lengths(again, [same_stream(again, video, path)], path)
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
