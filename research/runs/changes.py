"""Changes of the scored pairs: clips of the videos; tracks that are cropped, padded or rotated in time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from reelscore.data.clips import cut_clips
from reelscore.data.pairs import PairSet
from reelscore.types import FloatArray

CLIP, CROP, PAD, ROTATE = "clip", "crop", "pad", "rotate"


def clip(pairs: PairSet) -> PairSet:
    """Keep 30 s from the middle of each video; videos of at most 45 s stay whole."""
    clips = cut_clips(pairs, 1).clips or ()
    return replace(pairs, video=tuple(own or whole for own, whole in zip(clips, pairs.video, strict=True)))


def crop(pairs: PairSet) -> PairSet:
    """Keep a random half of each track."""

    def half(rows: FloatArray, rng: np.random.Generator) -> FloatArray:
        length = -(-len(rows) // 2)
        start = int(rng.integers(len(rows) - length + 1))
        return rows[start : start + length]

    return _change_tracks(pairs, half)


def pad(pairs: PairSet) -> PairSet:
    """Repeat the first rows of each track at its end, a tenth to all of them."""

    def longer(rows: FloatArray, rng: np.random.Generator) -> FloatArray:
        return np.concatenate([rows, rows[: int(np.ceil(len(rows) * rng.uniform(0.1, 1.0)))]])

    return _change_tracks(pairs, longer)


def rotate(pairs: PairSet) -> PairSet:
    """Rotate the rows of each track by a random number, which keeps its length and content."""
    return _change_tracks(pairs, lambda rows, rng: np.roll(rows, rng.integers(len(rows)), axis=0))


def _change_tracks(
    pairs: PairSet, change: Callable[[FloatArray, np.random.Generator], FloatArray]
) -> PairSet:
    rng = np.random.default_rng(0)
    return replace(pairs, music=tuple((change(samples[0], rng),) for samples in pairs.music))


CHANGES: Mapping[str, Callable[[PairSet], PairSet]] = {
    "": lambda pairs: pairs,
    CLIP: clip,
    CROP: crop,
    PAD: pad,
    ROTATE: rotate,
}
