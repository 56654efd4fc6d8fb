"""MuVi-Sync enters, pairs of per-second sequences leave: CLIP, motion, emotion against chords, loudness.

652 music videos with one row a second on both sides (AMAAI-Lab Video2Music, arXiv 2311.00968). The only set
with time in it, and so the one for Global Sparse sampling.

Hits: each video has its own music alone. Splits: the file names train and val. Its val is never trained on or
tuned on, so it is the test split here, and 15% of its train, by hash of the video's id, become val: 580 + 72
rows give 496, 84 and 72 with seed 0.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reelscore.data.pairs import PairSet, Samples, Split
from reelscore.data.splits import hash_splits
from reelscore.errors import InputError

from .archive import Archive

VAL_FRACTION = 0.15


def load(archive: Archive, seed: int) -> PairSet:
    """Return all music videos of the file, their music as the music side."""
    ids = archive.read("ids", ("N",), holds="text")
    lengths = archive.read("lengths", ("N",), holds="integer").astype(np.int64)
    stated = archive.read("split", ("N",), holds="text")
    archive.same_length(ids=ids, lengths=lengths, split=stated)
    codes = archive.read("video_u8", ("S", 256), holds="integer")
    extra = archive.read("video_extra", ("S", 8))
    music = archive.read("music", ("S", 30))
    seconds = archive.same_length(video_u8=codes, video_extra=extra, music=music)
    if (lengths < 1).any() or lengths.sum() != seconds:
        raise InputError(
            f"{archive.path}: array 'lengths' must be positive and sum to the {seconds} rows of 'video_u8', "
            f"got a least of {lengths.min()} and a sum of {lengths.sum()}"
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
        split=_splits(archive, keys, tuple(str(part) for part in stated), seed),
        video_encoder="set-muvisync-clip-motion-emotion-1",
        music_encoder="set-muvisync-chords-1",
        num_segments=int(lengths.max()),
    )


def _cut(rows: npt.NDArray[np.float32], lengths: npt.NDArray[np.int64]) -> tuple[Samples, ...]:
    ends = np.cumsum(lengths)
    return tuple((rows[end - length : end],) for length, end in zip(lengths, ends, strict=True))


def _splits(archive: Archive, keys: tuple[str, ...], stated: tuple[str, ...], seed: int) -> tuple[Split, ...]:
    held_out = {"val", "test"}
    unknown = sorted(set(stated) - {"train", *held_out})
    if unknown:
        raise InputError(f"{archive.path}: array 'split' must hold train, val or test, got {unknown[0]!r}")
    carved = hash_splits(keys, seed=seed, fractions={"train": 1 - VAL_FRACTION, "val": VAL_FRACTION})
    return tuple("test" if part in held_out else chosen for part, chosen in zip(stated, carved, strict=True))
