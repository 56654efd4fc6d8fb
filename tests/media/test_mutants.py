"""Tests that damaged media files are read in part or give a `MediaError`, never another exception."""

from __future__ import annotations

import contextlib
import random
import struct
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from reelscore.errors import ReelscoreError
from reelscore.media.audio import audio_blocks
from reelscore.media.frames import frames_at
from reelscore.media.probe import probe
from support.films import encode_sound, film, tone

SEEDS = [
    "film.mp4", "film.mkv", "film.avi", "film.ts", "film.webm",
    "song.mp3", "song.ogg", "song.opus", "song.flac", "song.wav", "song.aac", "song.m4a",
]  # fmt: skip
CODECS = {
    "mp3": "libmp3lame", "ogg": "vorbis", "opus": "libopus", "flac": "flac", "wav": "pcm_s16le", "aac": "aac",
    "m4a": "aac",
}  # fmt: skip
EXTREMES = (0, 1, 0x3FFFFFFF, 0x40000000, 0x7FFFFFFF, 0xFFFFFFFF)
NUM_MUTANTS = 9


def write(path: Path) -> None:
    if path.stem == "film":
        codec = {"codec": "libvpx", "options": {}} if path.suffix == ".webm" else {"sound_s": 1.0}
        film(path, num_frames=25, **codec)
        return
    with av.open(str(path), "w") as container:
        codec = CODECS[path.suffix[1:]]
        stream = container.add_stream(codec, rate=48_000, layout="stereo", options={"strict": "experimental"})
        encode_sound(container, stream, tone(1.0, 48_000, channels=2), 48_000, "stereo")


def flip(content: bytearray, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 20)):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def cut(content: bytearray, rng: random.Random) -> None:
    del content[rng.randrange(1, len(content)) :]


def blank(content: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(content))
    end = min(len(content), start + rng.randint(1, len(content) // 3))
    content[start:end] = bytes(end - start)


def resize(content: bytearray, rng: random.Random) -> None:
    """Replace a field near the beginning, where headers have sizes and counts."""
    at = rng.randrange(min(len(content), 2000) - 4)
    struct.pack_into(rng.choice([">I", "<I"]), content, at, rng.choice(EXTREMES))


def repeat(content: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(content))
    content[start:start] = content[start : start + rng.randint(1, len(content) // 2)]


@pytest.mark.slow
@pytest.mark.parametrize("name", SEEDS)
@pytest.mark.parametrize("change", [flip, cut, blank, resize, repeat])
def test_mutants(change: Callable[[bytearray, random.Random], None], name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    write(path)
    seed = path.read_bytes()
    rng = random.Random(f"{name} {change.__name__}")
    for _ in range(NUM_MUTANTS):
        content = bytearray(seed)
        change(content, rng)
        path.write_bytes(content)
        with contextlib.suppress(ReelscoreError):
            info = probe(path)
            assert info.duration_s < 3600, info
            if info.video is not None:
                list(frames_at(path, [0.0, info.length_s("video") / 2], pair_gap_s=0.1))
            assert info.audio is None or sum(map(len, audio_blocks(path, rate_hz=8000)))
