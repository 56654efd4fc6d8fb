"""Small media for tests: a number enters, a real mp4 or wav file with that character leaves."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reelscore.media.writer import mux, write_audio, write_video

RATE_HZ = 22_050


def song(path: Path, *, tempo_bpm: float = 120, pitch_hz: float = 220, seconds: float = 4.0) -> Path:
    """Write a wav of clicks over a tone."""
    time_s = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    beat = np.exp(-8 * ((time_s * tempo_bpm / 60) % 1))
    tone = 0.2 * np.sin(2 * np.pi * pitch_hz * time_s) * (0.3 + 0.7 * beat)
    write_audio(path, tone.astype(np.float32), rate_hz=RATE_HZ)
    return path


def film(
    path: Path, *, speed: int = 2, colour: tuple[int, int, int] = (200, 80, 40), seconds: float = 3.0
) -> Path:
    """Write a silent mp4 of stripes that move `speed` pixels a frame."""
    stripes = (np.arange(96) % 24 < 12)[None, :, None] * np.array(colour)
    still = np.broadcast_to(stripes, (64, 96, 3)).astype(np.uint8)
    frames = (np.roll(still, speed * i, axis=1) for i in range(int(seconds * 12)))
    write_video(path, frames, frame_rate_hz=12)
    return path


def finished(path: Path, *, i: int, seconds: float = 3.0) -> Path:
    """Write a film whose colour and speed go with its music's pitch and tempo, i being the degree of both."""
    silent = film(
        path.with_name(f"silent-{path.name}"),
        speed=i % 7,
        colour=(25 * i % 256, 90, 255 - 25 * i % 256),
        seconds=seconds,
    )
    music = song(path.with_suffix(".wav"), tempo_bpm=60 + 12 * i, pitch_hz=150 + 30 * i, seconds=seconds)
    mux(silent, music, path)
    silent.unlink()
    music.unlink()
    return path


def songs(folder: Path, count: int) -> Path:
    """Write `count` different songs into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        song(folder / f"song {i}.wav", tempo_bpm=60 + 20 * i, pitch_hz=110 * 2 ** (i / 5))
    return folder
