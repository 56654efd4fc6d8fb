"""Read TFRecord files of examples and sequence examples without TensorFlow.

A record is, in little-endian bytes,

    uint64 length | uint32 masked CRC-32C of those 8 bytes | payload | uint32 masked CRC-32C of the payload,

with masked(c) = ((c >> 15 | c << 17) + 0xa282ead8) mod 2^32. The file has no header or footer, so a file cut between
two records is a valid shorter file. One message reads both kinds of example: field 1 holds the features of an Example
and the context of a SequenceExample.

References
----------
"TFRecord and tf.train.Example", section "TFRecords format details", TensorFlow documentation; ``example.proto`` and
``feature.proto`` of TensorFlow.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from reelscore.errors import InputError, NotFoundError, missing_extra
from reelscore.files import open_file
from reelscore.types import FloatArray

MAX_RECORD_BYTES = 64 * 2**20
"""Limit of a record's size, some 190 times the longest of YouTube-8M."""

_HEAD = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")
_MASK_DELTA = 0xA282EAD8

_KINDS = {"bytes_list": "byte strings", "float_list": "numbers", "int64_list": "whole numbers"}
_SCHEMA: dict[str, dict[str, str]] = {
    "BytesList": {"value": "bytes*"},
    "FloatList": {"value": "float*"},
    "Int64List": {"value": "int64*"},
    "Feature": {"bytes_list": "BytesList", "float_list": "FloatList", "int64_list": "Int64List"},
    "FeatureEntry": {"key": "string", "value": "Feature"},
    "Features": {"feature": "FeatureEntry*"},
    "FeatureList": {"feature": "Feature*"},
    "FeatureListEntry": {
        "key": "string",
        "value": "bytes",
    },  # a FeatureList; `SequenceExample.frames` parses it
    "FeatureLists": {"feature_list": "FeatureListEntry*"},
    "SequenceExample": {"context": "Features", "feature_lists": "FeatureLists"},
}
"""Message -> its fields, numbered from 1; a star means repeated, and a map is a repeated entry."""


def read_records(path: Path | str, *, max_bytes: int = MAX_RECORD_BYTES) -> Iterator[bytes]:
    """Iterate over the payloads of a file, with one of them in memory at a time.

    Parameters
    ----------
    path : Path or str
        An uncompressed file.
    max_bytes : int
        A longer record raises before it is read.

    Yields
    ------
    bytes
        A payload with a valid checksum; it may be empty.

    Raises
    ------
    NotFoundError
        When there is no such file, or the extra ``youtube8m`` is not installed.
    InputError
        For a truncated or damaged record; the message gives its number from 1 and its first byte.
    """
    start = 0
    try:
        with open_file(path) as file:
            number = 0
            while head := file.read(_HEAD.size):
                number += 1
                where = f"{path}: record {number} (from byte {start})"
                if len(head) < _HEAD.size:
                    raise _truncated(where, len(head), _HEAD.size, "its header")
                length, checksum = _HEAD.unpack(head)
                if masked_crc32c(head[:8]) != checksum:
                    raise _damaged(where, "length")
                if length > max_bytes:
                    raise InputError(
                        f"{where} has a length of {length} bytes, but at most {max_bytes} are allowed; check that the "
                        "file is of this kind, or raise max_bytes"
                    )
                payload, tail = file.read(length), file.read(_CHECKSUM.size)
                if len(tail) < _CHECKSUM.size:
                    raise _truncated(
                        where, len(payload + tail), length + _CHECKSUM.size, "its payload and checksum"
                    )
                if masked_crc32c(payload) != _CHECKSUM.unpack(tail)[0]:
                    raise _damaged(where, "payload")
                start += _HEAD.size + length + _CHECKSUM.size
                yield payload
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no TFRecord file at {path}; check the path") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read as a TFRecord file ({error}); copy it again") from error


def masked_crc32c(data: bytes) -> int:
    """Return the masked CRC-32C (Castagnoli) of `data`, as TFRecord stores it.

    Examples
    --------
    >>> hex(masked_crc32c(b"123456789"))
    '0xc78ab0e5'
    """
    try:
        import google_crc32c
    except ImportError as error:
        raise missing_extra("reading TFRecord files needs google-crc32c", "youtube8m") from error

    crc: int = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def _truncated(where: str, got: int, expected: int, part: str) -> InputError:
    return InputError(
        f"{where} is cut short: it has {got} of the {expected} bytes of {part}; download or copy the file again"
    )


def _damaged(where: str, part: str) -> InputError:
    return InputError(
        f"{where} is damaged: its {part} does not match its checksum; download or copy the file again, "
        "and unpack it if it is compressed"
    )


class SequenceExample:
    """The features of one record.

    Parameters
    ----------
    payload : bytes
        A serialised ``tf.train.SequenceExample`` or ``tf.train.Example``.
    where : str
        File and record, as the beginning of each message.

    Raises
    ------
    InputError
        When the payload is neither. The methods raise it for a feature that is missing or of another kind.
    NotFoundError
        When the extra ``youtube8m`` is not installed.
    """

    def __init__(self, payload: bytes, *, where: str) -> None:
        self.where = where
        message = self._parse("SequenceExample", payload)
        self._context = {entry.key: entry.value for entry in message.context.feature}
        self._lists = {entry.key: entry for entry in message.feature_lists.feature_list}

    def __contains__(self, name: str) -> bool:
        return name in self._context or name in self._lists

    @property
    def names(self) -> tuple[str, ...]:
        """Sorted names of all features."""
        return tuple(sorted({*self._context, *self._lists}))

    def text(self, name: str) -> str:
        """Return a feature of one byte string as text, which must not be empty."""
        values = self._values(name, "bytes_list", expected="one byte string")
        if len(values) != 1 or not values[0]:
            raise self._wrong(name, "one byte string that is not empty", f"{len(values)} values")
        try:
            return str(values[0], "utf-8")
        except UnicodeDecodeError as error:
            raise self._wrong(name, "UTF-8 text", str(error)) from error

    def integers(self, name: str) -> tuple[int, ...]:
        """Return a feature of integers."""
        return tuple(self._values(name, "int64_list", expected="whole numbers"))

    def vector(self, name: str, width: int) -> FloatArray:
        """Return a feature of finite numbers, shape (width,), float32."""
        expected = f"{width} finite numbers"
        values = np.array(self._values(name, "float_list", expected=expected), dtype=np.float32)
        if len(values) != width:
            raise self._wrong(name, expected, f"{len(values)}")
        if not np.isfinite(values).all():
            at = int(np.argmin(np.isfinite(values)))
            raise self._wrong(name, expected, f"{values[at]} at {at}")
        return values

    def frames(self, name: str, width: int) -> npt.NDArray[np.uint8]:
        """Return a list of byte strings as rows, shape (T, width) with T >= 1."""
        expected = f"a list of byte strings of {width} bytes each"
        if name not in self._lists:
            raise self._wrong(name, expected, "none")
        packed = self._lists[name].value
        # Rows of equal width have equal tags and lengths, so that all rows can be read as one array.
        tags = _row_tags(width)
        if packed and len(packed) % (len(tags) + width) == 0:
            table = np.frombuffer(packed, dtype=np.uint8).reshape(-1, len(tags) + width)
            if (table[:, : len(tags)] == np.frombuffer(tags, dtype=np.uint8)).all():
                return table[:, len(tags) :]
        rows: list[bytes] = []
        for i, feature in enumerate(self._parse("FeatureList", packed).feature):
            values = feature.bytes_list.value
            if len(values) != 1 or len(values[0]) != width:
                raise self._wrong(name, expected, f"{[len(value) for value in values]} bytes in row {i}")
            rows.append(values[0])
        if not rows:
            raise self._wrong(name, expected, "none")
        return np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(len(rows), width)

    def _parse(self, kind: str, payload: bytes) -> Any:
        message = _message_class(kind)()
        from google.protobuf.message import DecodeError

        try:
            message.ParseFromString(payload)
        except DecodeError as error:
            raise InputError(
                f"{self.where} is no tf.train.Example or SequenceExample ({error}); give files of that kind"
            ) from error
        return message

    def _values(self, name: str, kind: str, *, expected: str) -> Any:
        if name not in self._context:
            raise self._wrong(name, expected, "none")
        feature = self._context[name]
        others = [other for other in _KINDS if feature.HasField(other) and other != kind]
        if others:
            raise self._wrong(name, expected, _KINDS[others[0]])
        return getattr(feature, kind).value

    def _wrong(self, name: str, expected: str, got: str) -> InputError:
        return InputError(
            f"{self.where}: feature {name!r} must be {expected}, got {got}; the record holds "
            f"{', '.join(self.names) or 'no features'}: give files of the published schema, or remove this one"
        )


@cache
def _row_tags(width: int) -> bytes:
    """Return the bytes before each row of `width` bytes in a serialised FeatureList."""
    row = {"bytes_list": {"value": [bytes(width)]}}
    serialised: bytes = _message_class("FeatureList")(feature=[row]).SerializeToString()
    return serialised[: len(serialised) - width]


def _message_class(name: str) -> Any:
    """Return the class of a message of the schema."""
    try:
        from google.protobuf import message_factory
    except ImportError as error:
        raise missing_extra("reading TFRecord files needs protobuf", "youtube8m") from error

    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"reelscore.{name}"))


@cache
def _pool() -> Any:
    """Build the schema's messages, in a pool of its own because TensorFlow defines others of the same names."""
    from google.protobuf import descriptor_pb2, descriptor_pool

    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="reelscore", syntax="proto3")
    for name, fields in _SCHEMA.items():
        message = file.message_type.add(name=name)
        for number, (field_name, form) in enumerate(fields.items(), start=1):
            kind = form.removesuffix("*")
            added = message.field.add(name=field_name, number=number)
            added.label = field.LABEL_REPEATED if form.endswith("*") else field.LABEL_OPTIONAL
            if kind in _SCHEMA:
                added.type, added.type_name = field.TYPE_MESSAGE, f".reelscore.{kind}"
            else:
                added.type = field.Type.Value(f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool
