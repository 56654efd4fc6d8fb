"""Random arrays and archives with the schema of the public sets."""

from __future__ import annotations

import numpy as np

from reelscore.data.datasets import LOADERS


def arrays_of(name, num_rows=40, seed=0, *, min_length=3):
    """Return arrays with the keys, shapes and types of the published file; `min_length` to 59 s in muvisync."""
    rng = np.random.default_rng(seed)

    def floats(*shape, dtype=np.float32):
        return rng.normal(size=shape).astype(dtype)

    ids = np.array([f"id{i}" for i in range(num_rows)])
    if name == "muvisync":
        lengths = rng.integers(min_length, 60, size=num_rows)
        total = int(lengths.sum())
        return {
            "ids": ids,
            "lengths": lengths,
            "split": np.where(np.arange(num_rows) % 4 == 0, "val", "train"),
            "video_u8": rng.integers(0, 256, size=(total, 256)).astype(np.uint8),
            "video_extra": floats(total, 8, dtype=np.float16),
            "music": floats(total, 30, dtype=np.float16),
            "dequant": np.array([8 / 255, -4.0]),
        }
    if name == "emomv":
        return {
            "ids": ids,
            "video_slowfast": np.abs(floats(num_rows, 2304, dtype=np.float16)),
            "audio_vggish": floats(num_rows, 128),
            "emotion": rng.choice(["sad", "tense"], size=num_rows),
            "source_video": np.array([f"s{i // 3}" for i in range(num_rows)]),
            "extra_audio_vggish": floats(5, 128),
        }
    if name == "tiktok":
        return {
            "item_id": np.arange(num_rows) * 3,
            "video": floats(num_rows, 128, dtype=np.float16),
            "audio": floats(num_rows, 128, dtype=np.float16),
            "same_audio_group": np.arange(num_rows) // 2,
        }
    if name == "lastfm":
        return {
            "item_id": np.arange(num_rows),
            "audio_vggish": floats(num_rows, 128),
            "audio_whisper": floats(num_rows, 512),
            "text_minilm": floats(num_rows, 384),
        }
    return {
        "image": floats(num_rows, 128),
        "text": floats(num_rows, 100),
        "label": rng.integers(0, 10, size=num_rows),
    }


def save(folder, name, arrays):
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / LOADERS[name][0], **arrays)
    return folder
