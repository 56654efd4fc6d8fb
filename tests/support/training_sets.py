"""Small synthetic pairs and a small configuration for training tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reelscore.data.pairs import PairSet, Split
from reelscore.models.config import ModelConfig
from reelscore.training import TrainConfig

CONFIG = TrainConfig(
    method="ii",
    model=ModelConfig(dim=16, width=16, dropout=0.0, input_dropout=0.0, num_segments=4),
    learning_rate=1e-2,
    steps=0,
    keep="best",
    batch_size=32,
    epochs=4,
    patience=4,
)
"""A small network, which learns `synthetic_pairs` in four epochs."""


def synthetic_pairs(num_train: int = 120, num_val: int = 40, *, seed: int = 0, latent: int = 4) -> PairSet:
    """Return pairs whose sides are noisy linear views of one latent, with a constant and a large column."""
    rng = np.random.default_rng(seed)
    size = num_train + num_val
    hidden = rng.normal(size=(size, 1, latent))

    def side(num_columns: int, time: int) -> np.ndarray:
        mixing = rng.normal(size=(latent, num_columns))
        values = hidden @ mixing + 0.5 * rng.normal(size=(size, time, num_columns))
        values[..., 0] = 3.0
        values[..., 1] = 1e4 + 1e2 * values[..., 1]
        return values.astype(np.float32)

    video, music = side(9, 6), side(7, 3)
    split: tuple[Split, ...] = ("train",) * num_train + ("val",) * num_val
    return PairSet(
        name="synthetic",
        keys=tuple(f"pair {i}" for i in range(size)),
        video=tuple((v,) for v in video),
        music=tuple((m,) for m in music),
        group=np.arange(size),
        split=split,
        video_encoder="eyes-1",
        music_encoder="ears-1",
        num_segments=4,
    )


def text_pairs(num_train: int = 120, num_val: int = 40, *, missing: float = 0.0, time: int = 3) -> PairSet:
    """Return pairs with a latent of six columns: the video depends on three of them, the text on the others."""
    rng = np.random.default_rng(0)
    size = num_train + num_val
    hidden = rng.normal(size=(size, 6))

    def view(part: np.ndarray, num_columns: int, rows: int) -> np.ndarray:
        mixing = rng.normal(size=(part.shape[1], num_columns))
        return (part @ mixing)[:, None] + 0.5 * rng.normal(size=(size, rows, num_columns))

    video, music, text = view(hidden[:, :3], 9, time), view(hidden, 12, 2), view(hidden[:, 3:], 7, 3)
    has_text = rng.random(size) >= missing
    split: tuple[Split, ...] = ("train",) * num_train + ("val",) * num_val
    return PairSet(
        name="synthetic text",
        keys=tuple(f"pair {i}" for i in range(size)),
        video=tuple((v.astype(np.float32),) for v in video),
        music=tuple((m.astype(np.float32),) for m in music),
        group=np.arange(size),
        split=split,
        video_encoder="eyes-1",
        music_encoder="ears-1",
        num_segments=4,
        text=tuple(text[i, : 1 + i % 3].astype(np.float32) if has_text[i] else None for i in range(size)),
        text_encoder="words-1",
    )


def file_contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of each file of a folder by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}
