"""A file name enters, an opened libav container and the stream to use leave; libav's errors become ours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import av
import av.error

from reelscore.errors import MediaError
from reelscore.files import existing_file

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

Kind = Literal["video", "audio"]

# These demuxers turn any text into pictures or follow the names written inside it to other files.
NOT_MEDIA = {"tty", "concat", "hls", "dash", "sdp", "imf", "webm_dash_manifest", "image2", "bin", "vobsub"}
MAX_DEMUX_FAULTS = 16


def libav_name(path: Path | str) -> str:
    """Return the name under which libav opens exactly this file, whatever characters it has.

    Without the protocol in front a name such as ``-i`` or ``http:x`` would be read as something else.
    """
    return "file:" + os.path.abspath(path)  # noqa: PTH100  (resolve() would follow links and rename)


@contextmanager
def opened(path: Path | str) -> Iterator[InputContainer]:
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
        When the file is absent or a folder.
    MediaError
        When it is empty, unreadable, not media, or its index is missing.
    """
    found = existing_file(path)
    try:
        with found.open("rb") as file:
            head = file.read(16)
    except PermissionError as error:
        raise MediaError("may not be read; give yourself the permission (chmod u+r)", path=path) from error
    except OSError as error:
        raise MediaError(f"cannot be read: {error.strerror}", path=path) from error
    if not head:
        raise MediaError("is empty (0 bytes); copy or download it again", path=path)
    try:
        container = av.open(
            libav_name(found),
            mode="r",
            metadata_errors="replace",
            container_options={"protocol_whitelist": "file", "pattern_type": "none"},
        )
    except (av.error.FFmpegError, ValueError) as error:
        raise MediaError(_why_not_opened(head, error), path=path) from error
    try:
        name = container.format.name
        if NOT_MEDIA.intersection(name.split(",")):
            raise MediaError(
                f"expected a video or sound file, got text or a list of files ({name}); name the media itself",
                path=path,
            )
        yield container
    finally:
        container.close()


def _why_not_opened(head: bytes, error: Exception) -> str:
    if head[4:8] in {b"ftyp", b"mdat", b"moov", b"wide", b"free", b"skip"}:
        return (
            "is an mp4 or mov file whose index (moov) is missing or broken, as when a recording or "
            "download stopped early; get it whole, or repair it with the program that recorded it"
        )
    reason = getattr(error, "strerror", None) or str(error)
    return f"expected a video or sound file, got something libav cannot read ({reason}); check what it is"


def has_decoder(stream: Any) -> bool:
    """Return whether this libav can decode the stream at all."""
    return stream.codec_context is not None


def usable_streams(container: InputContainer, kind: Kind) -> list[Stream]:
    """Return the streams of one kind that have a decoder and are not cover art, best first.

    The best is libav's own choice (disposition, size, rate), the others follow as the container has them.
    """
    cover = av.stream.Disposition.attached_pic
    usable: list[Stream] = [
        s for s in container.streams if s.type == kind and has_decoder(s) and not s.disposition & cover
    ]
    marked = [s for s in usable if s.disposition & av.stream.Disposition.default]
    best = container.streams.best(kind)
    first = best if best in usable else next(iter(marked or usable), None)
    return sorted(usable, key=lambda s: s is not first)


@overload
def use_stream(container: InputContainer, kind: Literal["video"], path: Path | str) -> VideoStream: ...
@overload
def use_stream(container: InputContainer, kind: Literal["audio"], path: Path | str) -> AudioStream: ...
def use_stream(container: InputContainer, kind: Kind, path: Path | str) -> Any:
    """Return the stream to use and make libav skip the packets of all others.

    Raises
    ------
    MediaError
        When no stream of this kind can be decoded.
    """
    usable = usable_streams(container, kind)
    if not usable:
        what = {"video": "pictures", "audio": "sound"}[kind]
        there = ", ".join(sorted({s.type for s in container.streams})) or "no stream at all"
        raise MediaError(
            f"expected {what}, but no {kind} stream can be decoded (inside: {there}); "
            f"choose a file with {what}",
            path=path,
            stream=kind,
        )
    for stream in container.streams:
        if stream is not usable[0]:
            stream.discard = av.stream.Discard.all
    return usable[0]


def packets(container: InputContainer, *streams: Stream) -> Iterator[Packet[Any]]:
    """Yield the packets of the streams from where the container stands, stepping over damaged places.

    The empty packets that libav adds at the end are left out: draining is the decoder's owner's business.
    """
    for _ in range(MAX_DEMUX_FAULTS):
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
    """Go back to the beginning of a stream, whose first stamp is `start`."""
    try:
        container.seek(start, stream=stream)
    except av.error.FFmpegError:
        # A bare elementary stream has no time to go by; its first byte is its beginning.
        container.seek(0, unsupported_byte_offset=True)
