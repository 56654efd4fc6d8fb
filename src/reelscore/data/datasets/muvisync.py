"""MuVi-Sync: per-second features of music videos and of their music.

652 music videos with one row a second on both sides (AMAAI-Lab Video2Music, arXiv 2311.00968).

Hits: the video's own music. Splits: the published val split, 72 videos, is the test split here; 15% of the published
train split, by hash of the video's id, is val. Seed 0 gives 496, 84 and 72.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reelscore.data.pairs import PairSet, Samples, Split
from reelscore.data.splits import IGNORE_SPLITS, all_train, hash_splits
from reelscore.errors import InputError

from .archive import Archive

VAL_FRACTION = 0.15


def load(archive: Archive, seed: int, *, use_splits: bool = True) -> PairSet:
    """Load all music videos; without `use_splits`, each is in train and the array ``split`` is not read."""
    ids = archive.read("ids", ("N",), holds="text")
    lengths = archive.read("lengths", ("N",), holds="integer").astype(np.int64)
    archive.same_length(ids=ids, lengths=lengths)
    codes = archive.read("video_u8", ("S", 256), holds="integer")
    extra = archive.read("video_extra", ("S", 8))
    music = archive.read("music", ("S", 30))
    seconds = archive.same_length(video_u8=codes, video_extra=extra, music=music)
    if (lengths < 1).any() or lengths.sum() != seconds:
        raise InputError(
            f"{archive.path}: array 'lengths' must be positive and sum to the {seconds} rows of 'video_u8', "
            f"got a minimum of {lengths.min()} and a sum of {lengths.sum()}"
        )
    scale, offset = archive.read("dequant", (2,)).astype(np.float64)
    video = np.empty((seconds, codes.shape[1] + extra.shape[1]), dtype=np.float32)
    video[:, : codes.shape[1]] = codes * np.float32(scale) + np.float32(offset)
    video[:, codes.shape[1] :] = extra
    keys = tuple(str(key) for key in ids)
    return PairSet(
        name="muvisync",
        keys=keys,
        video=_cut(video, lengths),
        music=_cut(music.astype(np.float32), lengths),
        group=np.arange(len(keys)),
        split=_splits(archive, keys, seed) if use_splits else all_train(len(keys)),
        video_encoder="set-muvisync-clip-motion-emotion-1",
        music_encoder="set-muvisync-chords-1",
        num_segments=int(lengths.max()),
    )


def _cut(rows: npt.NDArray[np.float32], lengths: npt.NDArray[np.int64]) -> tuple[Samples, ...]:
    ends = np.cumsum(lengths)
    return tuple((rows[end - length : end],) for length, end in zip(lengths, ends, strict=True))


def _splits(archive: Archive, keys: tuple[str, ...], seed: int) -> tuple[Split, ...]:
    if "split" not in archive:
        raise InputError(f"{archive.path} has no array 'split' of train, val or test; {IGNORE_SPLITS}")
    published = archive.read("split", (len(keys),), holds="text").tolist()
    held_out = {"val", "test"}
    unknown = sorted(set(published) - {"train", *held_out})
    if unknown:
        raise InputError(
            f"{archive.path}: array 'split' must hold train, val or test, got {unknown[0]!r}; fix it, or "
            f"{IGNORE_SPLITS}"
        )
    hashed = hash_splits(keys, seed=seed, fractions={"train": 1 - VAL_FRACTION, "val": VAL_FRACTION})
    return tuple(
        "test" if part in held_out else chosen for part, chosen in zip(published, hashed, strict=True)
    )
