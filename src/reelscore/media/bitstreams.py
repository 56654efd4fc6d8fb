"""Sizes in the headers of mp3, Ogg, wav and avi files, compared with what is in the file."""

from __future__ import annotations

import mmap
import struct
from functools import cache
from pathlib import Path

from reelscore.files import open_file

ID3_HEADER_BYTES = 10
OGG_HEADER_BYTES = 27
UNKNOWN_SIZE = 0x7FFF_FFFF
MP4_BOXES = {b"ftyp", b"mdat", b"moov", b"wide", b"free", b"skip"}
"""Boxes with which an mp4 or mov file begins."""
OGG_FIRST_PAGE = 2  # flag of a logical stream's first page

_KBITS = {  # by (MPEG 1, layer), for the bit rate codes 1 to 14
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES_HZ = (44_100, 48_000, 32_000)


def mpeg_audio_length(path: Path | str) -> float | None:
    """Return the length of an MPEG audio file (mp3, mp2, mp1) in seconds, from all frame headers.

    Bytes that are not frames are skipped. The first frame does not count if it is a Xing, Info or VBRI header.

    Returns
    -------
    float or None
        None without frames of known size (free bit rate).
    """
    with open_file(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        frames = _frame_headers()
        at, num_bytes = _id3_bytes(data), len(data)
        seconds, kind_before = 0.0, -1
        first = True
        while at + 3 < num_bytes:
            frame = frames.get((data[at + 1] << 8) | data[at + 2]) if data[at] == 0xFF else None
            if frame is not None and (frame[2] == kind_before or _frame_follows(data, at, frame)):
                size, frame_s, kind_before = frame
                if not (first and _is_header_frame(data[at : at + 200])):
                    seconds += frame_s
                first = False
                at += size
            else:
                kind_before = -1
                at = data.find(b"\xff", at + 1)
                if at < 0:
                    break
        return seconds or None


def ogg_links(path: Path | str) -> list[tuple[int, int]]:
    """Return the first and the end byte of each link of an Ogg file; a chained file has several.

    A link begins with the first pages of its streams (RFC 3533). Damaged bytes between pages are skipped.
    """
    with open_file(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        starts: list[int] = []
        after_data = True
        at = data.find(b"OggS")
        while 0 <= at <= len(data) - OGG_HEADER_BYTES:
            num_segments = data[at + 26]
            body = at + OGG_HEADER_BYTES + num_segments
            is_first = bool(data[at + 5] & OGG_FIRST_PAGE)
            if is_first and after_data:
                starts.append(at)
            after_data = not is_first
            end = body + sum(data[at + OGG_HEADER_BYTES : body])
            at = end if data[end : end + 4] == b"OggS" else data.find(b"OggS", at + 4)
        return list(zip(starts, [*starts[1:], len(data)], strict=True))


def is_truncated(path: Path | str) -> bool:
    """Return whether a wav, avi, aiff or mp4 file is shorter than its header or its last box states."""
    with open_file(path) as file:
        head = file.read(8)
    size = Path(path).stat().st_size
    order = {b"RIFF": "<I", b"FORM": ">I"}.get(head[:4])
    if order is not None and len(head) == 8:
        (stated,) = struct.unpack(order, head[4:])
        # A program that writes to a pipe cannot know the size, and states none or the largest.
        return bool(stated < UNKNOWN_SIZE and stated + 8 > size)
    return head[4:] in MP4_BOXES and complete_boxes_end(path) < size


def complete_boxes_end(path: Path | str) -> int:
    """Return where the last complete top-level box of an mp4 file ends; the file's size if it is whole."""
    with open_file(path) as file:
        num_bytes = file.seek(0, 2)
        at = 0
        while at + 8 <= num_bytes:
            file.seek(at)
            head = file.read(16)
            (size,) = struct.unpack(">I", head[:4])
            if size == 1 and len(head) == 16:
                (size,) = struct.unpack(">Q", head[8:])
            elif size == 0:  # to the end of the file
                size = num_bytes - at
            if size < 8 or at + size > num_bytes:
                break
            at += size
    return at


def samples_go_on(path: Path | str) -> bool:
    """Return whether the data of a wav file goes on after the end that its header states.

    A recorder that crashed leaves the size of the first moment. What follows the data is a chunk, or more samples.
    """
    with open_file(path) as file:
        size = file.seek(0, 2)
        file.seek(0)
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return False
        at = 12
        while at + 8 <= size:
            file.seek(at)
            name, length = struct.unpack("<4sI", file.read(8))
            end = at + 8 + length + length % 2
            if name == b"data":
                file.seek(end)
                rest = file.read(8)
                return 0 < length < UNKNOWN_SIZE and len(rest) == 8 and not _is_chunk(rest, size - end)
            at = end
    return False


def _is_chunk(head: bytes, num_bytes: int) -> bool:
    name, length = struct.unpack("<4sI", head)
    return name.isascii() and bool(name.decode("latin-1").isprintable()) and length + 8 <= num_bytes + 1


@cache
def _frame_headers() -> dict[int, tuple[int, float, int]]:
    """Return (bytes, seconds, kind) of a frame by bytes 1 and 2 of its header; kind is version, layer and rate."""
    frames = {}
    for version, divisor in ((3, 1), (2, 2), (0, 4)):  # MPEG 1, 2 and 2.5
        for layer in (1, 2, 3):
            samples = {1: 384, 2: 1152, 3: 1152 if version == 3 else 576}[layer]
            for code, kbits in enumerate(_KBITS[version == 3, layer], start=1):
                for rate_code, base_hz in enumerate(_RATES_HZ):
                    for padding in (0, 1):
                        rate_hz = base_hz // divisor
                        slot = 4 if layer == 1 else 1
                        size = (samples // 8 // slot * kbits * 1000 // rate_hz + padding) * slot
                        second = code << 4 | rate_code << 2 | padding << 1
                        for unprotected in (0, 1):
                            head = 0xE0 | version << 3 | (4 - layer) << 1 | unprotected
                            kind = version << 4 | layer << 2 | rate_code
                            for private in (0, 1):
                                frames[head << 8 | second | private] = (size, samples / rate_hz, kind)
    return frames


def _frame_follows(data: mmap.mmap, at: int, frame: tuple[int, float, int]) -> bool:
    """Return whether the frame is followed by one of its kind: 0xFF alone is no evidence of a frame."""
    after = at + frame[0]
    if after + 3 > len(data):
        return False
    following = _frame_headers().get((data[after + 1] << 8) | data[after + 2])
    return data[after] == 0xFF and following is not None and following[2] == frame[2]


def _is_header_frame(frame: bytes) -> bool:
    return b"Xing" in frame[4:40] or b"Info" in frame[4:40] or frame[36:40] == b"VBRI"


def _id3_bytes(data: mmap.mmap) -> int:
    """Return the size of the ID3v2 tag at the beginning, whose pictures could look like frames."""
    if data[:3] != b"ID3" or len(data) < ID3_HEADER_BYTES:
        return 0
    size = 0
    for digit in data[6:10]:
        size = size << 7 | digit & 0x7F
    return ID3_HEADER_BYTES + size
