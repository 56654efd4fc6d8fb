"""Windows of 30 s of longer videos, as queries and as further training pairs.

A window [s, s + 30) starts in [0, duration - 30]: at random, or at (i + 1/2) / n of that range for window i of n.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from reelscore.errors import InputError
from reelscore.types import FloatArray

from .pairs import IntArray, PairSet, Split

CLIP_S = 30.0
"""Length of a clip, a typical query."""

MIN_DURATION_S = 45.0
"""Videos up to this duration have no clips: a window would hold most of the video."""


def windows(
    duration_s: float, num_clips: int, rng: np.random.Generator | None = None
) -> list[tuple[float, float]]:
    """Return the start and end of each window of a video, in seconds.

    Parameters
    ----------
    duration_s : float
        Duration of the video.
    num_clips : int
        Number of windows, 0 or more.
    rng : numpy Generator, optional
        Samples the starts uniformly; without it the windows are evenly spaced, and a single one is the middle.

    Returns
    -------
    list of tuple of float
        Sorted by time; empty for a video of at most `MIN_DURATION_S`.

    Examples
    --------
    >>> windows(50.0, 1), windows(90.0, 2), windows(40.0, 2)
    ([(10.0, 40.0)], [(15.0, 45.0), (45.0, 75.0)], [])
    """
    if num_clips < 0:
        raise InputError(f"num_clips must be 0 or more, got {num_clips}")
    if duration_s <= MIN_DURATION_S:
        return []
    position = (np.arange(num_clips) + 0.5) / max(num_clips, 1) if rng is None else rng.random(num_clips)
    starts = np.sort(position) * (duration_s - CLIP_S)
    return [(start, start + CLIP_S) for start in starts.tolist()]


def clip_rng(seed: int | None, item: str) -> np.random.Generator | None:
    """Return the random state of an item's windows; None without a seed, for evenly spaced windows."""
    return None if seed is None else np.random.default_rng([seed, *item.encode("utf-8", "surrogateescape")])


def cut_clips(pairs: PairSet, num_clips: int, *, seed: int | None = None) -> PairSet:
    """Return the pairs with clips, for a set whose videos have one row per second.

    Parameters
    ----------
    pairs : PairSet
    num_clips : int
        Number of clips of each video longer than `MIN_DURATION_S`.
    seed : int, optional
        Seed of random windows, which also depend on the pair's key; without it they are evenly spaced.
    """
    clips = tuple(
        tuple(
            rows[int(start_s) : int(start_s) + int(CLIP_S)]
            for start_s, _ in windows(len(rows), num_clips, clip_rng(seed, key))
        )
        for key, (rows, *_) in zip(pairs.keys, pairs.video, strict=True)
    )
    return replace(pairs, clips=clips)


def clip_queries(pairs: PairSet) -> tuple[list[FloatArray], IntArray]:
    """Return all clips of a set, and the index of the pair of each; both are empty without clips.

    Returns
    -------
    clips : list of M ndarrays of float32, shape (T, D)
    pair : ndarray of int64, shape (M,)
    """
    clips = pairs.clips or ((),) * len(pairs)
    index = np.repeat(np.arange(len(pairs)), [len(samples) for samples in clips])
    return [clip for samples in clips for clip in samples], index


def with_clips(pairs: PairSet, splits: Sequence[Split] = ("train",)) -> PairSet:
    """Return the pairs of all splits, followed by a pair for each clip of some splits.

    A pair of a clip has the whole track, group, label, source and split of its video, no text, and the key
    ``"KEY [clip 1]"``. The result has no clips of its own.

    Parameters
    ----------
    pairs : PairSet
    splits : sequence of {"train", "val", "test"}
        The splits whose clips become pairs.
    """
    clips, index = clip_queries(pairs)
    number = np.arange(len(clips)) - np.searchsorted(index, index) + 1  # counted within each video
    chosen = [c for c, i in enumerate(index) if pairs.split[i] in splits]
    rows = np.concatenate([np.arange(len(pairs)), index[chosen]])
    row_s = np.ones((len(pairs), 2)) if pairs.row_s is None else pairs.row_s
    row_s = row_s[rows]
    row_s[len(pairs) :, 0] = [CLIP_S / len(clips[c]) for c in chosen]
    return replace(
        pairs,
        keys=(*pairs.keys, *(f"{pairs.keys[index[c]]} [clip {number[c]}]" for c in chosen)),
        video=(*pairs.video, *((clips[c],) for c in chosen)),
        music=tuple(pairs.music[i] for i in rows),
        group=pairs.group[rows],
        split=tuple(pairs.split[i] for i in rows),
        label=None if pairs.label is None else pairs.label[rows],
        source=None if pairs.source is None else pairs.source[rows],
        row_s=row_s,
        text=None if pairs.text is None else (*pairs.text, *(None,) * len(chosen)),
        clips=None,
    )
