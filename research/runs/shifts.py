"""Find the shift of a track against its video from features per second.

Each side has time series: novelty at several scales, motion, cuts and loudness. A shift's evidence is the correlation
of every video series with every music series over the seconds that overlap, times the root of their number. Its score
is a weighted sum, with equal weights of a few pairs of series (hand-made), or with weights of a softmax over shifts.
Series are taken from the whole file and cut afterwards, since an edge would show in both sides at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Span = tuple[int, int]

SCALES_S = (2, 4, 8, 16)
VIDEO = (
    "change",
    "change over 5 s",
    "motion",
    "motion over 5 s",
    "cuts over 5 s",
    "cuts over 9 s",
    "excitement",
    "novelty of emotion",
    *(f"novelty over {scale} s" for scale in SCALES_S),
)
MUSIC = (
    "loudness",
    "density",
    "activity over 5 s",
    "change of loudness",
    "change of density",
    "novelty of chords",
    *(f"novelty over {scale} s" for scale in SCALES_S),
)
HAND_MADE = (
    ("novelty over 8 s", "novelty over 8 s"),
    ("novelty over 8 s", "novelty over 2 s"),
    ("novelty over 4 s", "novelty over 4 s"),
    ("novelty over 4 s", "novelty over 2 s"),
    ("motion", "loudness"),
    ("cuts over 9 s", "loudness"),
    ("change over 5 s", "loudness"),
)
"""Pairs of series that a person expects to move together."""

_EPSILON = 1e-6


def video_series(clip: Array, motion: Array, since_cut_s: Array, emotions: Array) -> Array:
    """Return `VIDEO` of a video, shape (T, 12), from its rows per second; `since_cut_s` is 0 at a cut."""
    change = np.linalg.norm(np.diff(clip, axis=0, prepend=clip[:1]), axis=1)
    moving = np.log1p(np.maximum(motion, 0))
    cuts = (since_cut_s == 0).astype(np.float64)
    return np.stack(
        [
            change,
            smooth(change, 5),
            moving,
            smooth(moving, 5),
            smooth(cuts, 5),
            smooth(cuts, 9),
            emotions[:, 0],
            novelty(emotions, 4),
            *(novelty(clip, scale) for scale in SCALES_S),
        ],
        axis=1,
    )


def music_series(chords: Array, loudness: Array, density: Array) -> Array:
    """Return `MUSIC` of a track, shape (T, 10), from its rows per second."""
    level, rate = np.log(np.maximum(loudness, 0) + 0.02), np.sqrt(np.maximum(density, 0))
    activity = np.stack([standardise(level), standardise(rate)], axis=1)
    return np.stack(
        [
            level,
            rate,
            smooth(activity.sum(axis=1), 5),
            np.abs(np.diff(level, prepend=level[:1])),
            np.abs(np.diff(rate, prepend=rate[:1])),
            novelty(chords, 8),
            *(novelty(activity, scale) for scale in SCALES_S),
        ],
        axis=1,
    )


def novelty(rows: Array, scale_s: int) -> Array:
    """Return the distance of the means of the seconds before and after each instant, shape (T,)."""
    sums = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0, dtype=np.float64)])
    now = np.arange(len(rows))
    first, last = np.maximum(0, now - scale_s), np.minimum(len(rows), now + scale_s)
    before = (sums[now] - sums[first]) / np.maximum(1, now - first)[:, None]
    after = (sums[last] - sums[now]) / (last - now)[:, None]
    distance: Array = np.linalg.norm(before - after, axis=1)
    distance[0] = 0
    return distance


def smooth(series: Array, width_s: int) -> Array:
    """Return the mean over an odd number of seconds, with repeated edges."""
    padded = np.pad(series, width_s // 2, mode="edge")
    return np.convolve(padded, np.ones(width_s) / width_s, "valid")


def standardise(series: Array) -> Array:
    """Return the columns with mean 0 and deviation 1."""
    scaled: Array = (series - series.mean(axis=0)) / (series.std(axis=0) + _EPSILON)
    return scaled


def evidence(video: Array, music: Array, span: Span, *, reach_s: int) -> Array:
    """Return the correlations of both sides' series at each shift of a part of the track against that of the video.

    Both sides are cut to `span`, so neither has the file's beginning or end.

    Returns
    -------
    ndarray of float64, shape (2 * reach_s + 1, P * Q)
        Shifts from ``-reach_s``; the true one is 0.
    """
    start, end = span
    one, other = standardise(video[start:end]), standardise(music[start:end])
    length = end - start
    size = 1 << (2 * length).bit_length()
    # Correlation theorem: all shifts of all pairs in one transform.
    product = np.fft.rfft(one, size, axis=0).conj()[:, :, None] * np.fft.rfft(other, size, axis=0)[:, None, :]
    sums = np.fft.irfft(product, size, axis=0)
    shifts = np.arange(-reach_s, reach_s + 1)
    found: Array = sums[shifts].reshape(len(shifts), -1) / np.sqrt(length - np.abs(shifts))[:, None]
    return found


def evidence_in_track(video: Array, music: Array, span: Span) -> Array:
    """Return the correlations of a part of the video with every equally long part of the whole track.

    Returns
    -------
    ndarray of float64, shape (T - length + 1, P * Q)
        By the start in the track; the true one is the start of `span`.
    """
    start, end = span
    length = end - start
    clip = standardise(video[start:end])
    parts = np.lib.stride_tricks.sliding_window_view(music, length, axis=0)  # (S, Q, length)
    parts = (parts - parts.mean(axis=2, keepdims=True)) / (parts.std(axis=2, keepdims=True) + _EPSILON)
    found: Array = np.einsum("tp,sqt->spq", clip, parts, optimize=True) / np.sqrt(length)
    return found.reshape(len(parts), -1)


def hand_made_weights() -> Array:
    """Return 1 for the pairs of `HAND_MADE` and 0 for the others, shape (P * Q,)."""
    weights = np.zeros((len(VIDEO), len(MUSIC)))
    for one, other in HAND_MADE:
        weights[VIDEO.index(one), MUSIC.index(other)] = 1
    return weights.ravel()


def fit_weights(items: Sequence[Array], *, ridge: float, num_steps: int = 12) -> Array:
    """Return the weights under which the softmax over shifts gives the true one the largest probability.

    Newton's method on the mean negative log likelihood plus ``ridge / 2`` times the squared norm, which is convex.

    Parameters
    ----------
    items : sequence of ndarray of float64, shape (2 R + 1, F)
        Evidence, with the true shift in the middle.
    ridge : float
    num_steps : int
    """
    stacked = np.stack(items)
    num, shifts, columns = stacked.shape
    flat = stacked.reshape(-1, columns)
    true = stacked[:, shifts // 2].mean(axis=0)
    weights = np.zeros(columns)
    for _ in range(num_steps):
        logits = (flat @ weights).reshape(num, shifts)
        share = np.exp(logits - logits.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        mean = np.einsum("ns,nsf->nf", share, stacked, optimize=True)
        gradient = mean.mean(axis=0) - true + ridge * weights
        curvature = (flat * share.reshape(-1, 1)).T @ flat / num - mean.T @ mean / num
        weights = weights - np.linalg.solve(curvature + ridge * np.eye(columns), gradient)
    return weights
