"""Write TFRecord files from the published format, independently of the reader."""

from __future__ import annotations

import struct

from examples.youtube8m_shards import field, frame_level, integers, mapping, sequence_example, text, varint

__all__ = ["field", "frame_level", "integers", "mapping", "sequence_example", "text", "varint"]

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


def numbers(values):
    return field(2, field(1, struct.pack(f"<{len(values)}f", *values)))


def example(**features):
    """Return a serialised `tf.train.Example`."""
    return field(1, mapping(features))


def video_level(key, rgb, audio, labels=(3,)):
    return example(
        id=text(key.encode()), labels=integers(*labels), mean_rgb=numbers(rgb), mean_audio=numbers(audio)
    )
