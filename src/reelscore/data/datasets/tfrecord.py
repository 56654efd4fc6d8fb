"""A TFRecord file enters, its records leave one by one: read without TensorFlow, every checksum checked.

A record is, in little-endian bytes,

    uint64 length | uint32 masked CRC-32C of those 8 bytes | payload | uint32 masked CRC-32C of the payload,

with masked(c) = ((c >> 15 | c << 17) + 0xa282ead8) mod 2^32, so that a checksum of data that holds checksums
stays a good one. There is no head or foot: a file that was cut exactly between two records is a shorter file.

References
----------
"TFRecord and tf.train.Example", section "TFRecords format details", TensorFlow documentation.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from reelscore.errors import InputError, NotFoundError

MAX_RECORD_BYTES = 64 * 2**20
"""Longer records are refused: some 190 times the longest of YouTube-8M."""

_HEAD = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")
_MASK_DELTA = 0xA282EAD8


def read_records(path: Path | str, *, max_bytes: int = MAX_RECORD_BYTES) -> Iterator[bytes]:
    """Go through the payloads of a file with one of them in memory at a time.

    Parameters
    ----------
    path : Path or str
        Not compressed.
    max_bytes : int
        A record that says it is longer is an error before memory is taken for it.

    Yields
    ------
    bytes
        One payload, whose checksum holds; it may be empty.

    Raises
    ------
    NotFoundError
        When there is no file.
    InputError
        For a record that is cut short or damaged, by its number from 1 and its place; the records before it
        have been given by then.
    """
    place = 0
    try:
        with Path(path).open("rb") as file:
            number = 0
            while head := file.read(_HEAD.size):
                number += 1
                where = f"{path}: record {number} (from byte {place})"
                if len(head) < _HEAD.size:
                    raise _cut_short(where, len(head), _HEAD.size, "its head")
                length, checksum = _HEAD.unpack(head)
                if masked_crc32c(head[:8]) != checksum:
                    raise _damaged(where, "length")
                if length > max_bytes:
                    raise InputError(
                        f"{where} says that it holds {length} bytes where at most {max_bytes} are due; the file "
                        "is none of this kind, or raise max_bytes"
                    )
                body = file.read(length + _CHECKSUM.size)
                if len(body) < length + _CHECKSUM.size:
                    raise _cut_short(where, len(body), length + _CHECKSUM.size, "its payload and checksum")
                payload = body[:length]
                if masked_crc32c(payload) != _CHECKSUM.unpack_from(body, length)[0]:
                    raise _damaged(where, "payload")
                place += _HEAD.size + len(body)
                yield payload
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no TFRecord file at {path}; check the spelling") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read as a TFRecord file ({error}); copy it again") from error


def masked_crc32c(data: bytes) -> int:
    """Return the masked CRC-32C (Castagnoli) of `data`, as TFRecord stores it.

    Examples
    --------
    >>> hex(masked_crc32c(b"123456789"))
    '0xc78ab0e5'
    """
    import google_crc32c

    crc: int = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def _cut_short(where: str, got: int, due: int, part: str) -> InputError:
    return InputError(
        f"{where} is cut short: {got} of the {due} bytes of {part} are there; fetch or copy the file again"
    )


def _damaged(where: str, part: str) -> InputError:
    return InputError(
        f"{where} is damaged: its {part} does not fit its checksum; fetch or copy the file again, "
        "unpacked where it was compressed"
    )
