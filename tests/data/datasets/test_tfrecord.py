"""TFRecord files: round trip, truncation, damage and the schema of examples."""

from __future__ import annotations

import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelscore.data.datasets.tfrecord import SequenceExample, masked_crc32c, read_records
from reelscore.errors import InputError, NotFoundError
from support import shards

PAYLOADS = (b"first", b"", bytes(range(40)))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "train00.tfrecord"


def test_published_checksums():
    # RFC 3720, B.4
    assert shards.crc32c(b"123456789") == 0xE3069283
    assert shards.crc32c(bytes(32)) == 0x8A9136AA
    assert shards.crc32c(b"\xff" * 32) == 0x62A8AB43
    assert masked_crc32c(b"123456789") == ((0xE3069283 >> 15 | 0xE3069283 << 17) + 0xA282EAD8) % 2**32


@given(data=st.binary(max_size=100))
def test_the_checksum_is_that_of_its_definition(data):
    assert struct.pack("<I", masked_crc32c(data)) == shards.checksum(data)


def test_records_come_back_in_order(path):
    path.write_bytes(shards.framed(*PAYLOADS))
    assert tuple(read_records(path)) == PAYLOADS
    path.write_bytes(b"")
    assert list(read_records(path)) == []


def test_a_file_cut_at_any_byte_raises_or_is_a_shorter_file(path):
    content = shards.framed(*PAYLOADS)
    ends = [len(shards.framed(*PAYLOADS[:i])) for i in range(len(PAYLOADS) + 1)]
    for cut in range(len(content)):
        path.write_bytes(content[:cut])
        before = sum(end <= cut for end in ends) - 1
        records = []
        if cut in ends:
            records.extend(read_records(path))
        else:
            message = rf"{path}: record {before + 1} \(from byte {ends[before]}\) is cut short.* again"
            with pytest.raises(InputError, match=message):
                records.extend(read_records(path))
        assert records == list(PAYLOADS[:before])


def test_every_flipped_bit_raises(path):
    content = shards.framed(*PAYLOADS)
    ends = [len(shards.framed(*PAYLOADS[:i])) for i in range(len(PAYLOADS) + 1)]
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        before = sum(end <= bit // 8 for end in ends) - 1
        records = []
        with pytest.raises(
            InputError, match=rf"{path}: record {before + 1} .*download or copy the file again"
        ):
            records.extend(read_records(path))
        assert records == list(PAYLOADS[:before])


def test_an_absurd_length_is_refused_before_memory_is_taken(path):
    length = struct.pack("<Q", 2**62)
    path.write_bytes(length + shards.checksum(length) + b"payload")
    with pytest.raises(
        InputError, match=f"record 1 .* length of {2**62} bytes, but at most 67108864 are allowed"
    ):
        list(read_records(path))
    path.write_bytes(shards.framed(bytes(11)))
    assert len(list(read_records(path, max_bytes=11))) == 1
    with pytest.raises(InputError, match="11 bytes, but at most 10 are allowed"):
        list(read_records(path, max_bytes=10))


def test_one_record_is_held_at_a_time(path):
    payload = bytes(2**20)
    length = struct.pack("<Q", len(payload))
    record = length + shards.checksum(length) + payload + struct.pack("<I", masked_crc32c(payload))
    with path.open("wb") as file:
        for _ in range(30):
            file.write(record)
    assert next(iter(read_records(path))) == payload
    tracemalloc.start()
    assert sum(1 for _ in read_records(path)) == 30
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * len(payload)


def test_a_path_that_is_no_file_raises(tmp_path):
    with pytest.raises(NotFoundError, match=r"no TFRecord file at .*nothing\.tfrecord"):
        list(read_records(tmp_path / "nothing.tfrecord"))
    with pytest.raises(NotFoundError, match="is a folder"):
        list(read_records(tmp_path))


def test_both_kinds_of_example_are_read_with_one_message():
    alone = shards.example(
        id=shards.text(b"a"), labels=shards.integers(0, 3861, 2**40, -1), mean=shards.numbers([0.5, -2.0])
    )
    read = SequenceExample(alone, where="file: record 1")
    assert read.names == ("id", "labels", "mean")
    assert read.text("id") == "a"
    assert read.integers("labels") == (0, 3861, 2**40, -1)
    assert read.vector("mean", 2).tolist() == [0.5, -2.0]
    assert read.vector("mean", 2).dtype == np.float32
    rows = np.arange(12, dtype=np.uint8).reshape(3, 4)
    both = shards.sequence_example(
        {"id": shards.text(b"b")}, rgb=[shards.text(row.tobytes()) for row in rows]
    )
    read = SequenceExample(both, where="file: record 2")
    assert read.text("id") == "b"
    assert (read.frames("rgb", 4) == rows).all()
    assert "rgb" in read
    assert "audio" not in read


def test_rows_of_any_valid_encoding_are_read():
    def long_field(number, content):
        """Write the length as three bytes, where one would do."""
        return bytes([number << 3 | 2, len(content) | 128, 128, 0]) + content

    row = shards.field(1, long_field(1, shards.field(1, b"abcd")))
    payload = shards.field(2, shards.mapping({"rgb": row + shards.field(1, shards.text(b"efgh"))}))
    assert SequenceExample(payload, where="").frames("rgb", 4).tobytes() == b"abcdefgh"


def test_numbers_need_not_be_packed():
    unpacked = b"".join(shards.varint(1 << 3 | 5) + struct.pack("<f", value) for value in (1.5, 2.5))
    labels = b"".join(shards.varint(1 << 3) + shards.varint(value) for value in (7, 300))
    payload = shards.example(mean=shards.field(2, unpacked), labels=shards.field(3, labels))
    read = SequenceExample(payload, where="file: record 1")
    assert read.vector("mean", 2).tolist() == [1.5, 2.5]
    assert read.integers("labels") == (7, 300)


def test_a_feature_without_values_is_empty():
    read = SequenceExample(shards.example(labels=b"", more=shards.field(3, b"")), where="file: record 1")
    assert read.integers("labels") == read.integers("more") == ()


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda r: r.text("nothing"),
            "'nothing' must be one byte string, got none; the record holds id, mean",
        ),
        (lambda r: r.text("mean"), "'mean' must be one byte string, got numbers"),
        (lambda r: r.text("empty"), "'empty' must be one byte string that is not empty"),
        (lambda r: r.text("two"), "'two' must be one byte string that is not empty, got 2 values"),
        (lambda r: r.text("latin"), "'latin' must be UTF-8 text"),
        (lambda r: r.integers("id"), "'id' must be whole numbers, got byte strings"),
        (lambda r: r.vector("mean", 3), "'mean' must be 3 finite numbers, got 2"),
        (lambda r: r.vector("wild", 2), "'wild' must be 2 finite numbers, got nan at 1"),
        (lambda r: r.vector("rgb", 2), "'rgb' must be 2 finite numbers, got none"),
        (lambda r: r.frames("audio", 4), "'audio' must be a list of byte strings of 4 bytes each, got none"),
        (lambda r: r.frames("none", 4), "'none' must be a list .*, got none"),
        (lambda r: r.frames("rgb", 5), r"'rgb' must be a list .*, got \[4\] bytes in row 0"),
        (lambda r: r.frames("odd", 4), r"'odd' must be a list .*, got \[4, 1\] bytes in row 1"),
        (lambda r: r.frames("float", 4), r"'float' must be a list .*, got \[\] bytes in row 0"),
    ],
)
def test_another_kind_is_named_by_file_record_and_feature(ask, message):
    context = {
        "id": shards.text(b"a"),
        "mean": shards.numbers([1.0, 2.0]),
        "empty": shards.text(b""),
        "two": shards.text(b"a", b"b"),
        "latin": shards.text(b"\xff"),
        "wild": shards.numbers([1.0, float("nan")]),
    }
    payload = shards.sequence_example(
        context,
        rgb=[shards.text(b"abcd")],
        odd=[shards.text(b"abcd"), shards.text(b"abcd", b"e")],
        float=[shards.numbers([1.0])],
        none=[],
    )
    if message.endswith("mean"):
        payload = shards.example(id=context["id"], mean=context["mean"])
    with pytest.raises(InputError, match=f"^shard: record 7: feature {message}"):
        ask(SequenceExample(payload, where="shard: record 7"))


def error_of(payload):
    try:
        read = SequenceExample(payload, where="shard: record 1")
        read.text("id")
        read.integers("labels")
        read.vector("mean", 2)
        read.frames("rgb", 4)
    except InputError as error:
        return str(error)
    return ""


PAYLOAD = shards.sequence_example(
    {"id": shards.text(b"a"), "labels": shards.integers(3, 300), "mean": shards.numbers([1.0, 2.0])},
    rgb=[shards.text(b"abcd"), shards.text(b"efgh")],
)


@given(payload=st.binary(max_size=60))
def test_any_bytes_are_no_example_or_lack_its_features(payload):
    assert error_of(payload).startswith("shard: record 1")


@given(at=st.integers(0, len(PAYLOAD) - 1), byte=st.integers(0, 255))
def test_another_byte_gives_features_or_raises(at, byte):
    assert error_of(PAYLOAD) == ""
    message = error_of(PAYLOAD[:at] + bytes([byte]) + PAYLOAD[at + 1 :])
    assert not message or message.startswith("shard: record 1")
