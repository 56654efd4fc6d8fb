"""Read the streams, tags and duration of a media file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.error

from reelscore.errors import MediaError
from reelscore.types import AudioStream, MediaInfo, VideoStream

from .container import decodable_streams, has_decoder, open_media, packets, rewind
from .pixels import rotation_deg
from .tags import tag_text

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream

MAX_PROBE_PACKETS = 500


def probe(path: Path | str) -> MediaInfo:
    """Describe a media file.

    The first frame of each selected stream is decoded, so a stream in the result is known to be decodable.

    Parameters
    ----------
    path : Path or str
        A video or audio file.

    Returns
    -------
    MediaInfo
        Cover art does not count as video. Tags have lower-case keys and come from the container, then from the
        streams (Ogg). ``duration_s`` is that of the longer selected stream.

    Raises
    ------
    NotFoundError
        If the file does not exist or is a folder.
    MediaError
        If the file is empty, unreadable, truncated or not media, or no stream can be decoded.
    """
    notes: list[str] = []
    with open_media(path) as container:
        container_name = container.format.name
        video_stream = next(iter(decodable_streams(container, "video")), None)
        audio_stream = next(iter(decodable_streams(container, "audio")), None)
        notes += _stream_notes(container, video_stream, audio_stream)
        tags = _tags(container, video_stream, audio_stream)
        lengths = [_stated_length(s) for s in (video_stream, audio_stream) if s is not None]
        lengths_s = [s for s in lengths if s] or (
            [container.duration / av.time_base] if container.duration else []
        )
        video, audio = None, None
        if video_stream is not None:
            frame = _first_frame(container, video_stream)
            video = _video(video_stream, frame) if frame is not None else None
            if video is None:
                notes.append(f"stream {video_stream.index} (video): no frame can be decoded")
        if audio_stream is not None:
            frame = _first_frame(container, audio_stream)
            audio = _audio(audio_stream, frame) if frame is not None else None
            if audio is None:
                notes.append(f"stream {audio_stream.index} (audio): nothing can be decoded")
        if video is None and audio is None:
            inside = "; ".join(notes) or "no video or audio stream inside"
            raise MediaError(
                f"expected pictures or sound, but nothing can be decoded ({inside}). "
                "Convert it with the program that made it, or choose another file.",
                path=path,
            )
    duration_s = max(lengths_s, default=0.0)
    if duration_s <= 0:
        duration_s = _measured_length(path, {s.index for s in (video, audio) if s is not None})
        notes.append("the container does not state its length; measured by reading all packets")
    return MediaInfo(
        path=str(path),
        container=container_name,
        duration_s=duration_s,
        video=video,
        audio=audio,
        tags=tags,
        notes=tuple(notes),
    )


def _first_frame(container: InputContainer, stream: Any) -> Any:
    rewind(container, stream, stream.start_time or 0)
    for number, packet in enumerate(packets(container, stream)):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            frames = []
        if frames:
            return frames[0]
        if number > MAX_PROBE_PACKETS:
            return None
    try:
        return next(iter(stream.decode(None)), None)
    except av.error.FFmpegError:
        return None


def _video(stream: Stream, frame: av.VideoFrame) -> VideoStream:
    turn = rotation_deg(frame)
    width, height = frame.width, frame.height
    if turn % 180:
        width, height = height, width
    rate = stream.average_rate or stream.guessed_rate
    return VideoStream(
        index=stream.index,
        codec=stream.codec_context.codec.canonical_name,
        pixel_format=frame.format.name,
        width_px=width,
        height_px=height,
        frame_rate_hz=float(rate) if rate else None,
        rotation_deg=turn,
    )


def _audio(stream: Stream, frame: av.AudioFrame) -> AudioStream:
    return AudioStream(
        index=stream.index,
        codec=stream.codec_context.codec.canonical_name,
        sample_rate_hz=frame.sample_rate,
        num_channels=frame.layout.nb_channels,
    )


def _stream_notes(container: InputContainer, video: Stream | None, audio: Stream | None) -> list[str]:
    notes = []
    for stream in container.streams:
        where = f"stream {stream.index} ({stream.type})"
        if stream is video or stream is audio or stream.type not in {"video", "audio"}:
            continue
        if stream.disposition & av.stream.Disposition.attached_pic:
            notes.append(f"{where}: cover art, not a video")
        elif not has_decoder(stream):
            notes.append(f"{where}: no decoder for it in this libav")
        else:
            notes.append(f"{where}: not used, another {stream.type} stream is the default")
    return notes


def _tags(container: InputContainer, *streams: Stream | None) -> dict[str, str]:
    tags: dict[str, str] = {}
    sources = [container.metadata, *(s.metadata for s in reversed(streams) if s is not None)]
    for source in sources:
        for key, value in source.items():
            if text := tag_text(value).strip():
                tags.setdefault(tag_text(key).lower(), text)
    return tags


def _stated_length(stream: Stream) -> float | None:
    if stream.duration is None or stream.time_base is None:
        return None
    return float(stream.duration * stream.time_base)


def _measured_length(path: Path | str, indices: set[int]) -> float:
    starts: dict[int, float] = {}
    ends: dict[int, float] = {}
    with open_media(path) as container:
        streams = [s for s in container.streams if s.index in indices]
        num_packets = 0
        for packet in packets(container, *streams):
            num_packets += 1
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is None:
                continue
            start_s = float(stamp * packet.time_base)
            end_s = start_s + float((packet.duration or 0) * packet.time_base)
            i = packet.stream_index
            starts[i] = min(starts.get(i, start_s), start_s)
            ends[i] = max(ends.get(i, end_s), end_s)
        lengths = [ends[i] - starts[i] for i in starts]
        if max(lengths, default=0.0) > 0:
            return max(lengths)
        rates = [s.average_rate or s.guessed_rate for s in streams if s.type == "video"]
    # A single frame has no successor that ends it: show it for one period of the stated rate, or of 25 Hz.
    return max(1, num_packets) / float(next((r for r in rates if r), 25))
