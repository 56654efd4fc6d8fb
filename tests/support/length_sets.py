"""Pairs that share nothing but their length, and tracks that are cropped, padded or shifted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from reelscore.data.pairs import PairSet, Split
from reelscore.types import FloatArray

MIN_ROWS, MAX_ROWS = 40, 400
MEMORY = 0.98
"""Correlation of successive rows: so long that deviations over time grow with the length."""


def length_pairs(num_train: int = 160, num_val: int = 40, num_test: int = 160, *, seed: int = 0) -> PairSet:
    """Return pairs whose video and music are independent AR(1) noise of the same length.

    Each length from 40 to 400 rows occurs at most once, so that ranking by equal length finds every pair. A model that
    is no better on the test pairs than chance sees no length.
    """
    size = num_train + num_val + num_test
    rng = np.random.default_rng(seed)
    lengths = rng.permutation(np.arange(MIN_ROWS, MAX_ROWS + 1))[:size]
    assert len(lengths) == size, f"there are {MAX_ROWS - MIN_ROWS + 1} lengths, for {size} pairs"

    def side(num_columns: int) -> tuple[tuple[FloatArray, ...], ...]:
        return tuple((_noise(int(length), num_columns, rng),) for length in lengths)

    split: tuple[Split, ...] = ("train",) * num_train + ("val",) * num_val + ("test",) * num_test
    return PairSet(
        name="lengths",
        keys=tuple(f"pair {i}" for i in range(size)),
        video=side(12),
        music=side(8),
        group=np.arange(size),
        split=split,
        video_encoder="eyes-1",
        music_encoder="ears-1",
        num_segments=32,
    )


def _noise(length: int, num_columns: int, rng: np.random.Generator) -> FloatArray:
    """Return x_t = m x_(t-1) + sqrt(1 - m^2) e_t with unit variance, shape (T, D)."""
    rows = rng.normal(size=(length, num_columns))
    for t in range(1, length):
        rows[t] = MEMORY * rows[t - 1] + np.sqrt(1 - MEMORY**2) * rows[t]
    return rows.astype(np.float32)


def crop(pairs: PairSet, seed: int) -> PairSet:
    """Keep a random part of each track, a half to nine tenths of its rows."""

    def part(rows: FloatArray, rng: np.random.Generator) -> FloatArray:
        length = int(len(rows) * rng.uniform(0.5, 0.9))
        start = int(rng.integers(len(rows) - length + 1))
        return rows[start : start + length]

    return _change_tracks(pairs, seed, part)


def pad(pairs: PairSet, seed: int) -> PairSet:
    """Repeat the first rows of each track at its end, a tenth to all of them."""

    def longer(rows: FloatArray, rng: np.random.Generator) -> FloatArray:
        return np.concatenate([rows, rows[: int(np.ceil(len(rows) * rng.uniform(0.1, 1.0)))]])

    return _change_tracks(pairs, seed, longer)


def shift(pairs: PairSet, seed: int) -> PairSet:
    """Rotate the rows of each track by a random number of rows, which keeps its length and content."""
    return _change_tracks(pairs, seed, lambda rows, rng: np.roll(rows, rng.integers(1, len(rows)), axis=0))


def _change_tracks(
    pairs: PairSet, seed: int, change: Callable[[FloatArray, np.random.Generator], FloatArray]
) -> PairSet:
    rng = np.random.default_rng(seed)
    return replace(pairs, music=tuple((change(samples[0], rng),) for samples in pairs.music))
