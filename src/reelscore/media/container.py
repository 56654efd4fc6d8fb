"""Open a media file with libav and select a stream."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, overload

import av
import av.error

from reelscore.errors import MediaError, ReelscoreError
from reelscore.files import existing_file, open_file

from .bitstreams import MP4_BOXES, complete_boxes_end, samples_go_on

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

Kind = Literal["video", "audio"]

# Demuxers that read nothing but the file itself. Playlists (HLS, DASH, ffconcat) open other files and addresses.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,rm,mxf,nut,ivf,dv,gif,apng,yuv4mpegpipe,"
    "h264,hevc,av1,obu,vvc,m4v,mpegvideo,mjpeg,h263,vc1,"
    "mp3,flac,wav,w64,aac,aiff,caf,au,ac3,eac3,dts,truehd,mlp,amr,ape,mpc,mpc8,tta,wv,loas,"
    "srt,webvtt,ass"
)
PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"<MPD", b"[playlist]")
# Twice an 8K picture: 12K panoramas pass, while a small file cannot demand gigabytes of memory for one picture.
MAX_PIXELS = 1 << 26
# A search for a timestamp in these can end after the first key frame.
BY_BYTES = {"mpegts", "mpeg"}
MAX_DEMUX_ERRORS = 16
LIBAV_ERRORS = (av.error.FFmpegError, OSError, MemoryError, ValueError, OverflowError)


def libav_url(path: Path | str) -> str:
    """Return a libav URL for this file that is safe for names such as ``-i`` or ``http:x``."""
    return "file:" + os.path.abspath(path)  # noqa: PTH100  (resolve() would follow links and rename)


class FilePart(io.RawIOBase):
    """Read-only view of the bytes from `start` to `end` of an open file."""

    def __init__(self, file: IO[bytes], start: int, end: int) -> None:
        self._file, self._start, self._size = file, start, end - start
        self._at = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a byte of the part."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        """Return the current byte of the part."""
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes."""
        left = max(0, self._size - self._at)
        self._file.seek(self._start + self._at)
        data = self._file.read(left if size < 0 else min(size, left))
        self._at += len(data)
        return data


@contextmanager
def open_media(path: Path | str, *, part: tuple[int, int] | None = None) -> Iterator[InputContainer]:
    """Open a media file for reading.

    Parameters
    ----------
    path : Path or str
        A file; never a URL or a pattern.
    part : tuple of int, optional
        First and end byte of the part to read as if it were the file.

    Yields
    ------
    av.container.InputContainer

    Raises
    ------
    NotFoundError
        If the file does not exist or is a folder.
    MediaError
        If the file is empty, unreadable, not media, or has no index; also for every error of libav while the file
        is open.
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
    options = {"max_pixels": str(MAX_PIXELS)}
    if head[:4] == b"RIFF" and samples_go_on(file_path):
        options["ignore_length"] = "1"
    opened = False
    try:
        with _source(file_path, part) as source, _open(source, options) as container:
            opened = True
            yield container
    except ReelscoreError:
        raise
    except LIBAV_ERRORS as error:
        reason = getattr(error, "strerror", None) or str(error) or "out of memory"
        if opened:
            raise MediaError(
                f"libav cannot read it ({reason}). The file is damaged: copy or download it again.", path=path
            ) from error
        whole = complete_boxes_end(file_path) if part is None and head[4:8] in MP4_BOXES else 0
        if not 0 < whole < file_path.stat().st_size:
            raise MediaError(_why_not_opened(head, reason), path=path) from error
    if not opened:  # a fragmented file that ends inside a fragment: read the complete ones
        with open_media(path, part=(0, whole)) as container:
            yield container


def _open(source: str | FilePart, options: dict[str, str]) -> InputContainer:
    container = av.open(
        source,
        mode="r",
        metadata_errors="surrogateescape",
        options=options,
        container_options={
            "protocol_whitelist": "file",
            "format_whitelist": FORMATS,
            "pattern_type": "none",
        },
    )
    for stream in container.streams:
        if has_decoder(stream):
            stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    return container


@contextmanager
def _source(path: Path, part: tuple[int, int] | None) -> Iterator[str | FilePart]:
    if part is None:
        yield libav_url(path)
    else:
        with open_file(path) as file:
            yield FilePart(file, *part)


def _why_not_opened(head: bytes, reason: str) -> str:
    if head[4:8] in MP4_BOXES:
        return (
            "is an mp4 or mov file whose index (moov) is missing or damaged, often after an interrupted recording or "
            "download. Download it again, or repair it with the program that recorded it."
        )
    if any(head.startswith(mark) for mark in PLAYLISTS):
        return "expected a video or audio file, got a playlist. Give the media files that it names."
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

    A packet that demands more memory than there is raises an error. The empty packets that libav sends at the end are
    dropped: the caller flushes the decoder.
    """
    num_errors = 0
    while num_errors < MAX_DEMUX_ERRORS:
        try:
            for packet in container.demux(*streams):
                if packet.size:
                    yield packet
        except av.error.EOFError:
            return
        except av.error.MemoryError:
            raise
        except (av.error.InvalidDataError, av.error.OSError, av.error.PatchWelcomeError):
            num_errors += 1
        # PyAV raises it for a packet of a stream that appears while it reads; the packet is skipped.
        except IndexError:
            continue
        else:
            return


def rewind(container: InputContainer, stream: Stream, start: int) -> None:
    """Seek to the beginning of a stream whose first timestamp is `start`."""
    if not BY_BYTES.intersection(container.format.name.split(",")):
        try:
            container.seek(start, stream=stream)
            return
        except av.error.FFmpegError:
            pass  # a raw elementary stream has no timestamps
    container.seek(0, unsupported_byte_offset=True)
