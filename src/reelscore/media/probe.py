"""Read the streams, tags and duration of a media file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.error

from reelscore.errors import MediaError
from reelscore.types import AudioStream, MediaInfo, VideoStream

from .container import decodable_streams, has_decoder, open_media, packets, rewind
from .length import sound_start_s, stream_lengths
from .pixels import orientation
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
        streams (Ogg). Durations are measured from the packets where the container states none or a wrong one.

    Raises
    ------
    NotFoundError
        If the file does not exist or is a folder.
    MediaError
        If the file is empty, unreadable, truncated or not media, or no stream can be decoded.
    """
    repairs: list[str] = []
    with open_media(path) as container:
        video_stream = next(iter(decodable_streams(container, "video")), None)
        audio_stream = next(iter(decodable_streams(container, "audio")), None)
        notes = _stream_notes(container, video_stream, audio_stream)
        picture = None if video_stream is None else _first_frame(container, video_stream)
        sound = None if audio_stream is None else _first_frame(container, audio_stream)
        for stream, frame in ((video_stream, picture), (audio_stream, sound)):
            if stream is not None and frame is None:
                repairs.append(f"stream {stream.index} ({stream.type}): nothing can be decoded; not used")
        usable: list[Stream] = [
            s
            for s, frame in ((video_stream, picture), (audio_stream, sound))
            if s is not None and frame is not None
        ]
        if not usable:
            inside = "; ".join([*notes, *repairs]) or "no video or audio stream inside"
            raise MediaError(
                f"expected pictures or sound, but nothing can be decoded ({inside}). "
                "Convert it with the program that made it, or choose another file.",
                path=path,
            )
        lengths = stream_lengths(container, usable, path)
        for length in lengths:
            repairs += (note for note in length.repairs if note not in repairs)
        seconds = {stream.index: length.seconds for stream, length in zip(usable, lengths, strict=True)}
        start_s = sound_start_s(container, path) if len(usable) == 2 else 0.0
        if start_s:
            repairs.append(f"sound: starts {start_s:.1f} s after the pictures; silence before it")
        video = audio = None
        if video_stream is not None and picture is not None:
            video = _video(video_stream, picture, seconds[video_stream.index])
        if audio_stream is not None and sound is not None:
            audio = _audio(audio_stream, sound, start_s, start_s + seconds[audio_stream.index])
        return MediaInfo(
            path=str(path),
            container=container.format.name,
            duration_s=max(one.duration_s for one in (video, audio) if one is not None),
            video=video,
            audio=audio,
            tags=_tags(container, video_stream, audio_stream),
            notes=(*notes, *repairs),
            repairs=tuple(repairs),
        )


def _first_frame(container: InputContainer, stream: Any) -> Any:
    try:
        rewind(container, stream, stream.start_time or 0)
        return _decoded_frame(container, stream)
    except (av.error.FFmpegError, MemoryError):
        return None  # such as a sample table without samples


def _decoded_frame(container: InputContainer, stream: Any) -> Any:
    for number, packet in enumerate(packets(container, stream)):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            frames = []
        if frames:
            return frames[0]
        if number > MAX_PROBE_PACKETS:
            return None
    return next(iter(stream.decode(None)), None)


def _video(stream: Any, frame: av.VideoFrame, duration_s: float) -> VideoStream:
    turn, mirrored = orientation(frame)
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
        duration_s=duration_s,
        rotation_deg=turn,
        mirrored=mirrored,
    )


def _audio(stream: Any, frame: av.AudioFrame, start_s: float, end_s: float) -> AudioStream:
    return AudioStream(
        index=stream.index,
        codec=stream.codec_context.codec.canonical_name,
        sample_rate_hz=frame.sample_rate,
        num_channels=frame.layout.nb_channels,
        duration_s=end_s,
        start_s=start_s,
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
