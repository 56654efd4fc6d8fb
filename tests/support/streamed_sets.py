"""Small data sets of features, as of `reelscore extract`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reelscore.data.extraction import PairFeatures
from reelscore.data.feature_set import FeatureSet, PairSettings
from reelscore.data.manifest import ManifestRow
from reelscore.text.spec import TextSpec

SETTINGS = PairSettings(
    "films.csv", "light", "fast", "video-1", "music-1", 5, 3, 4, 2, 0, 0, TextSpec("p"), "text-1", 6
)
SPLITS = ("train", "train", "train", "val", "test")


def write_set(folder: Path, num_rows: int = 90, *, constant: bool = False) -> FeatureSet:
    """Write pairs whose sides are noisy views of one latent, two thirds with text, some with the music of others."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(3, 5)), rng.normal(size=(3, 3)), rng.normal(size=(3, 6))

    def views(latent: np.ndarray, side: int, *shape: int) -> np.ndarray:
        values = latent @ mixing[side]
        noisy = values + 0.3 * rng.normal(size=(*shape, values.shape[-1]))
        return (np.ones_like(noisy) if constant and side == 1 else noisy).astype(np.float32)

    items = []
    for i in range(num_rows):
        latent = rng.normal(size=3)
        features = PairFeatures(
            video=tuple(views(latent, 0, 3, 4)),
            music=tuple(views(latent, 1, 3, 4)),
            video_key=f"video {i}",
            music_key=f"music {i - i % 5 if i % 5 < 2 else i}",
            text=None if i % 3 == 0 else views(latent, 2, 1 + i % 2),
            clips=(),
            row_s=(2.0 + 0.1 * i, 5.0),
        )
        row = ManifestRow(Path(f"{i}.mp4"), split=SPLITS[i % 5], line=i, key=f"{i}.mp4")
        items.append((row, features))
    there = FeatureSet.create(folder, SETTINGS)
    for start in range(0, num_rows, 40):
        there.append(items[start : start + 40])
    return FeatureSet.open(folder)
