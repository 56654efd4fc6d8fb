"""Small synthetic media files, and a small model trained on random features."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reelscore.data.pairs import PairSet
from reelscore.encoders.factory import load_encoders
from reelscore.encoders.spec import EncoderSpec
from reelscore.media.writer import write_audio, write_video
from support.films import with_music

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
    """Write a film whose colour and speed, like its music's pitch and tempo, are given by i."""
    silent = film(
        path.with_name(f"silent-{path.name}"),
        speed=i % 7,
        colour=(25 * i % 256, 90, 255 - 25 * i % 256),
        seconds=seconds,
    )
    music = song(path.with_suffix(".wav"), tempo_bpm=60 + 12 * i, pitch_hz=150 + 30 * i, seconds=seconds)
    with_music(silent, music, path)
    silent.unlink()
    music.unlink()
    return path


def songs(folder: Path, count: int) -> Path:
    """Write `count` different songs into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        song(folder / f"song {i}.wav", tempo_bpm=60 + 20 * i, pitch_hz=110 * 2 ** (i / 5))
    return folder


def light_model(folder: Path) -> Path:
    """Train a kernel model over the light encoders on random features, without text."""
    from reelscore.training import TrainConfig, train

    encoders = load_encoders(EncoderSpec("light"))
    rng = np.random.default_rng(0)

    def features(dim: int) -> tuple[tuple[np.ndarray, ...], ...]:
        return tuple((rng.standard_normal((32, dim)).astype(np.float32),) for _ in range(12))

    pairs = PairSet(
        name="random",
        keys=tuple("abcdefghijkl"),
        video=features(encoders.video.dim),
        music=features(encoders.music.dim),
        group=np.arange(12),
        split=("train",) * 8 + ("val",) * 4,
        video_encoder=encoders.video.fingerprint,
        music_encoder=encoders.music.fingerprint,
        num_segments=32,
    )
    train(pairs, config=TrainConfig(method="kernel"), folder=folder)
    return folder
