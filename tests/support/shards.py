"""Write TFRecord files from the published format, independently of the reader."""

from __future__ import annotations

import struct

POLYNOMIAL = 0x82F63B78  # Castagnoli, bits reversed


def crc32c(data):
    """Compute CRC-32C bit by bit, as it is defined."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (POLYNOMIAL if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def checksum(data):
    crc = crc32c(data)
    rotated = crc >> 15 | crc << 17 & 0xFFFFFFFF
    return struct.pack("<I", (rotated + 0xA282EAD8) % 2**32)


def framed(*payloads):
    out = b""
    for payload in payloads:
        length = struct.pack("<Q", len(payload))
        out += length + checksum(length) + payload + checksum(payload)
    return out


def varint(value):
    value %= 2**64
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number, content):
    """Return a length-delimited field."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def text(*values):
    return field(1, b"".join(field(1, value) for value in values))


def numbers(values):
    return field(2, field(1, struct.pack(f"<{len(values)}f", *values)))


def integers(*values):
    return field(3, field(1, b"".join(varint(value) for value in values)))


def mapping(entries):
    return b"".join(field(1, field(1, key.encode()) + field(2, value)) for key, value in entries.items())


def example(**features):
    """Return a serialised `tf.train.Example`."""
    return field(1, mapping(features))


def sequence_example(context, **lists):
    """Return a serialised `tf.train.SequenceExample`; each list is a list of features."""
    rows = {key: b"".join(field(1, feature) for feature in value) for key, value in lists.items()}
    return field(1, mapping(context)) + field(2, mapping(rows))


def video_level(key, rgb, audio, labels=(3,)):
    return example(
        id=text(key.encode()), labels=integers(*labels), mean_rgb=numbers(rgb), mean_audio=numbers(audio)
    )


def frame_level(key, rgb, audio, labels=(3,)):
    """Return a record of quantised rows, (T, 1024) and (T, 128) uint8."""
    context = {"id": text(key.encode()), "labels": integers(*labels)}
    return sequence_example(
        context, rgb=[text(row.tobytes()) for row in rgb], audio=[text(row.tobytes()) for row in audio]
    )
