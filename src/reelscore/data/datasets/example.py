"""A payload of a TFRecord enters, its named features leave as checked arrays: tf.train.Example, SequenceExample.

The messages of TensorFlow's ``example.proto`` and ``feature.proto`` are described here to the protobuf library,
which parses them. One message reads both kinds: an Example has its features in field 1, where a SequenceExample
has its context.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from reelscore.errors import InputError
from reelscore.types import FloatArray

_KINDS = {"bytes_list": "byte strings", "float_list": "numbers", "int64_list": "whole numbers"}
_SCHEMA: dict[str, dict[str, str]] = {
    "BytesList": {"value": "bytes*"},
    "FloatList": {"value": "float*"},
    "Int64List": {"value": "int64*"},
    "Feature": {"bytes_list": "BytesList", "float_list": "FloatList", "int64_list": "Int64List"},
    "FeatureEntry": {"key": "string", "value": "Feature"},
    "Features": {"feature": "FeatureEntry*"},
    "FeatureList": {"feature": "Feature*"},
    "FeatureListEntry": {"key": "string", "value": "FeatureList"},
    "FeatureLists": {"feature_list": "FeatureListEntry*"},
    "SequenceExample": {"context": "Features", "feature_lists": "FeatureLists"},
}
"""Message -> its fields in the order of their numbers from 1; a star repeats, and a map is a list of entries."""


class SequenceExample:
    """The features of one record.

    Parameters
    ----------
    payload : bytes
        A serialised ``tf.train.SequenceExample`` or ``tf.train.Example``.
    where : str
        File and record, to begin each message with.

    Raises
    ------
    InputError
        From here when the payload is neither; from each method when a feature is missing or of another form.
    """

    def __init__(self, payload: bytes, *, where: str) -> None:
        from google.protobuf.message import DecodeError

        self.where = where
        message = _message_class()()
        try:
            message.ParseFromString(payload)
        except DecodeError as error:
            raise InputError(
                f"{where} is no tf.train.Example or SequenceExample ({error}); choose files of that kind"
            ) from error
        self._context = {entry.key: entry.value for entry in message.context.feature}
        self._lists = {entry.key: entry.value.feature for entry in message.feature_lists.feature_list}

    def __contains__(self, name: str) -> bool:
        return name in self._context or name in self._lists

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all features, sorted."""
        return tuple(sorted({*self._context, *self._lists}))

    def text(self, name: str) -> str:
        """Return a feature of one byte string, as text that is not empty."""
        values = self._values(name, "bytes_list", due="one byte string")
        if len(values) != 1 or not values[0]:
            raise self._wrong(name, "one byte string that is not empty", f"{len(values)} values")
        try:
            return str(values[0], "utf-8")
        except UnicodeDecodeError as error:
            raise self._wrong(name, "UTF-8 text", str(error)) from error

    def integers(self, name: str) -> tuple[int, ...]:
        """Return a feature of any number of whole numbers."""
        return tuple(self._values(name, "int64_list", due="whole numbers"))

    def vector(self, name: str, width: int) -> FloatArray:
        """Return a feature of so many finite numbers, shape (width,), float32."""
        due = f"{width} finite numbers"
        values = np.array(self._values(name, "float_list", due=due), dtype=np.float32)
        if len(values) != width:
            raise self._wrong(name, due, f"{len(values)}")
        if not np.isfinite(values).all():
            at = int(np.argmin(np.isfinite(values)))
            raise self._wrong(name, due, f"{values[at]} at {at}")
        return values

    def frames(self, name: str, width: int) -> npt.NDArray[np.uint8]:
        """Return a list of byte strings of equal length as one row each, shape (T, width), T at least 1."""
        due = f"a list of byte strings of {width} bytes each"
        if not self._lists.get(name):
            raise self._wrong(name, due, "none")
        rows: list[bytes] = []
        for i, feature in enumerate(self._lists[name]):
            values = feature.bytes_list.value
            if len(values) != 1 or len(values[0]) != width:
                raise self._wrong(name, due, f"{[len(value) for value in values]} bytes in row {i}")
            rows.append(values[0])
        return np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(len(rows), width)

    def _values(self, name: str, kind: str, *, due: str) -> Any:
        if name not in self._context:
            raise self._wrong(name, due, "none")
        feature = self._context[name]
        came = [other for other in _KINDS if feature.HasField(other) and other != kind]
        if came:
            raise self._wrong(name, due, _KINDS[came[0]])
        return getattr(feature, kind).value

    def _wrong(self, name: str, due: str, came: str) -> InputError:
        return InputError(
            f"{self.where}: feature {name!r} must be {due}, got {came}; the record holds "
            f"{', '.join(self.names) or 'no features'}: choose files of the published form, or leave this one out"
        )


@cache
def _message_class() -> Any:
    """Build the class of the last message of the schema, in a pool of its own beside any TensorFlow's."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="reelscore", syntax="proto3")
    for name, fields in _SCHEMA.items():
        message = file.message_type.add(name=name)
        for number, (field_name, form) in enumerate(fields.items(), start=1):
            kind = form.removesuffix("*")
            made = message.field.add(name=field_name, number=number)
            made.label = field.LABEL_REPEATED if form.endswith("*") else field.LABEL_OPTIONAL
            if kind in _SCHEMA:
                made.type, made.type_name = field.TYPE_MESSAGE, f".reelscore.{kind}"
            else:
                made.type = field.Type.Value(f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("reelscore.SequenceExample"))
