"""Open a media file with libav and select a stream."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import av
import av.error

from reelscore.errors import MediaError
from reelscore.files import existing_file, open_file

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

Kind = Literal["video", "audio"]

# These demuxers render any text as video, or open other files whose names they read in it.
REJECTED_FORMATS = {
    "tty",
    "concat",
    "hls",
    "dash",
    "sdp",
    "imf",
    "webm_dash_manifest",
    "image2",
    "bin",
    "vobsub",
}
MAX_DEMUX_ERRORS = 16


def libav_url(path: Path | str) -> str:
    """Return a libav URL for this file that is safe for names such as ``-i`` or ``http:x``."""
    return "file:" + os.path.abspath(path)  # noqa: PTH100  (resolve() would follow links and rename)


@contextmanager
def open_media(path: Path | str) -> Iterator[InputContainer]:
    """Open a media file for reading.

    Parameters
    ----------
    path : Path or str
        A file; never a URL or a pattern.

    Yields
    ------
    av.container.InputContainer

    Raises
    ------
    NotFoundError
        If the file does not exist or is a folder.
    MediaError
        If the file is empty, unreadable, not media, or has no index.
    """
    file_path = existing_file(path)
    try:
        with open_file(file_path) as file:
            head = file.read(16)
    except PermissionError as error:
        raise MediaError("may not be read. Change its permissions: chmod u+r.", path=path) from error
    except OSError as error:
        raise MediaError(f"cannot be read: {error.strerror}", path=path) from error
    if not head:
        raise MediaError("is empty (0 bytes). Copy or download it again.", path=path)
    try:
        container = av.open(
            libav_url(file_path),
            mode="r",
            metadata_errors="surrogateescape",
            container_options={"protocol_whitelist": "file", "pattern_type": "none"},
        )
    except (av.error.FFmpegError, ValueError) as error:
        raise MediaError(_why_not_opened(head, error), path=path) from error
    try:
        name = container.format.name
        if REJECTED_FORMATS.intersection(name.split(",")):
            raise MediaError(
                f"expected a video or audio file, got text or a playlist ({name}). Give the media file itself.",
                path=path,
            )
        yield container
    finally:
        container.close()


def _why_not_opened(head: bytes, error: Exception) -> str:
    if head[4:8] in {b"ftyp", b"mdat", b"moov", b"wide", b"free", b"skip"}:
        return (
            "is an mp4 or mov file whose index (moov) is missing or damaged, often after an interrupted recording or "
            "download. Download it again, or repair it with the program that recorded it."
        )
    reason = getattr(error, "strerror", None) or str(error)
    return f"expected a video or audio file, but libav cannot read it ({reason}). Check the file's format."


def has_decoder(stream: Any) -> bool:
    """Return whether this libav build has a decoder for the stream."""
    return stream.codec_context is not None


def decodable_streams(container: InputContainer, kind: Kind) -> list[Stream]:
    """Return the streams of one kind that have a decoder and are not cover art.

    The stream that libav prefers (by disposition, size and rate) comes first, the others in container order.
    """
    cover = av.stream.Disposition.attached_pic
    usable: list[Stream] = [
        s for s in container.streams if s.type == kind and has_decoder(s) and not s.disposition & cover
    ]
    defaults = [s for s in usable if s.disposition & av.stream.Disposition.default]
    best = container.streams.best(kind)
    first = best if best in usable else next(iter(defaults or usable), None)
    return sorted(usable, key=lambda s: s is not first)


@overload
def select_stream(container: InputContainer, kind: Literal["video"], path: Path | str) -> VideoStream: ...
@overload
def select_stream(container: InputContainer, kind: Literal["audio"], path: Path | str) -> AudioStream: ...
def select_stream(container: InputContainer, kind: Kind, path: Path | str) -> Any:
    """Return the preferred stream of a kind and make libav discard the packets of all others.

    Raises
    ------
    MediaError
        If no stream of this kind can be decoded.
    """
    usable = decodable_streams(container, kind)
    if not usable:
        what = {"video": "pictures", "audio": "sound"}[kind]
        streams = ", ".join(sorted({s.type for s in container.streams})) or "none"
        raise MediaError(
            f"expected {what}, but no {kind} stream can be decoded (streams: {streams}). Choose a file with {what}.",
            path=path,
            stream=kind,
        )
    for stream in container.streams:
        if stream is not usable[0]:
            stream.discard = av.stream.Discard.all
    return usable[0]


def packets(container: InputContainer, *streams: Stream) -> Iterator[Packet[Any]]:
    """Yield the packets of the streams from the container's current position; skip damaged parts.

    The empty packets that libav sends at the end are dropped: the caller flushes the decoder.
    """
    for _ in range(MAX_DEMUX_ERRORS):
        try:
            for packet in container.demux(*streams):
                if packet.size:
                    yield packet
        except av.error.EOFError:
            return
        except (av.error.InvalidDataError, av.error.OSError):
            continue
        return


def rewind(container: InputContainer, stream: Stream, start: int) -> None:
    """Seek to the beginning of a stream whose first timestamp is `start`."""
    try:
        container.seek(start, stream=stream)
    except av.error.FFmpegError:
        # A raw elementary stream has no timestamps: seek to its first byte.
        container.seek(0, unsupported_byte_offset=True)
