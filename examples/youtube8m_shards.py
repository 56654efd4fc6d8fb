"""Write synthetic frame-level shards in the schema of YouTube-8M, to try youtube8m.sh without the data set.

    python youtube8m_shards.py SHARDS [--videos 400] [--others 100] [--seconds 200]

Picture and sound of a music video are noisy linear views of two correlated latent vectors, so a model can learn to
match them. Those of the other videos are unrelated. Three quarters of the videos are in ``train*.tfrecord``, the
others in ``validate*.tfrecord``. The labels and their numbers are those of the published ``vocabulary.csv``.

Needs NumPy and google-crc32c, which come with ``reelscore[youtube8m]``.
"""

from __future__ import annotations

import argparse
import struct
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import google_crc32c
import numpy as np

CONCERT, MUSIC_VIDEO = 3, 14
VOCABULARY = "Index,Name\n3,Concert\n14,Music video\n"
RGB_DIM, AUDIO_DIM = 1024, 128
LATENT_DIM = 16
CORRELATION = 0.7  # of the latent vectors of a music video's picture and sound
NOISE = 3.0  # deviation of the noise in each second, where that of the signal is 1
SHARDS = {"train": 3, "validate": 1}


def varint(value: int) -> bytes:
    value %= 2**64
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number: int, content: bytes) -> bytes:
    """Return a length-delimited field of a protocol buffer."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def text(*values: bytes) -> bytes:
    """Return a `tf.train.Feature` of byte strings."""
    return field(1, b"".join(field(1, value) for value in values))


def integers(*values: int) -> bytes:
    """Return a `tf.train.Feature` of integers."""
    return field(3, field(1, b"".join(varint(value) for value in values)))


def mapping(entries: dict[str, bytes]) -> bytes:
    return b"".join(field(1, field(1, key.encode()) + field(2, value)) for key, value in entries.items())


def sequence_example(context: dict[str, bytes], **lists: Iterable[bytes]) -> bytes:
    """Return a serialised `tf.train.SequenceExample`; each list is a list of features."""
    rows = {key: b"".join(field(1, feature) for feature in value) for key, value in lists.items()}
    return field(1, mapping(context)) + field(2, mapping(rows))


def frame_level(key: str, rgb: np.ndarray, audio: np.ndarray, labels: Iterable[int] = (CONCERT,)) -> bytes:
    """Return a record of quantised rows, (T, 1024) and (T, 128) uint8."""
    return sequence_example(
        {"id": text(key.encode()), "labels": integers(*labels)},
        rgb=[text(row.tobytes()) for row in rgb],
        audio=[text(row.tobytes()) for row in audio],
    )


def framed(payload: bytes) -> bytes:
    """Return a payload as a TFRecord, with its length and both masked checksums."""
    length = struct.pack("<Q", len(payload))
    return b"".join(part + checksum(part) for part in (length, payload))


def checksum(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) % 2**32)


def quantised(values: np.ndarray) -> np.ndarray:
    """Return the 8-bit codes of values in [-2, 2], as published."""
    return np.clip(np.round((values + 2 - 4 / 512) * 255 / 4), 0, 255).astype(np.uint8)


def videos(
    num: int, seconds: int, *, correlation: float, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Iterate over codes of picture and sound, (T, 1024) and (T, 128), of videos of `seconds` on average."""
    views = [
        np.random.default_rng(dim).standard_normal((LATENT_DIM, dim), np.float32) / LATENT_DIM**0.5
        for dim in (RGB_DIM, AUDIO_DIM)
    ]
    for _ in range(num):
        length = int(rng.integers(seconds // 2, seconds + seconds // 2 + 1))
        picture, sound = rng.standard_normal((2, LATENT_DIM), np.float32)
        sound = correlation * picture + (1 - correlation**2) ** 0.5 * sound
        rgb, audio = (
            latent @ view + NOISE * rng.standard_normal((length, view.shape[1]), np.float32)
            for latent, view in zip((picture, sound), views, strict=True)
        )
        yield quantised(0.2 * rgb), quantised(0.2 * audio)


def write_shards(folder: Path, *, num_videos: int, num_others: int, seconds: int, seed: int = 0) -> None:
    """Write shards with music videos and other videos, and ``vocabulary.csv``."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocabulary.csv").write_text(VOCABULARY, encoding="utf-8")
    with ExitStack() as stack:
        shards = {
            part: [
                stack.enter_context((folder / f"{part}{i:04d}.tfrecord").open("wb")) for i in range(number)
            ]
            for part, number in SHARDS.items()
        }
        for label, num, correlation in ((MUSIC_VIDEO, num_videos, CORRELATION), (CONCERT, num_others, 0.0)):
            rows = videos(num, seconds, correlation=correlation, rng=rng)
            for i, (rgb, audio) in enumerate(rows):
                files = shards["validate" if i % 4 == 3 else "train"]
                files[i % len(files)].write(framed(frame_level(f"{label}-{i}", rgb, audio, (label,))))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", metavar="SHARDS", type=Path)
    parser.add_argument("--videos", type=int, default=400, help="music videos")
    parser.add_argument("--others", type=int, default=100, help="videos with another label")
    parser.add_argument("--seconds", type=int, default=200, help="mean length of a video, at least 2")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    write_shards(
        options.folder,
        num_videos=options.videos,
        num_others=options.others,
        seconds=options.seconds,
        seed=options.seed,
    )


if __name__ == "__main__":
    main()
