"""Boundaries between the sections of a track.

References
----------
Foote 2000, "Automatic audio segmentation using a measure of audio novelty".
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reelscore.encoders.light.spectrum import mfcc

from .frames import CHROMA_STEP, FRAMES_HZ, Frames

Array = npt.NDArray[np.float64]

_STEP = 48  # frames; 0.56 s
_STEP_HZ = FRAMES_HZ / _STEP
_REACH_S = 12.0
_LEAST_NOVELTY = (
    0.2  # of the largest possible, where every step before a boundary is opposite to every step after
)


def find_sections(frames: Frames) -> tuple[float, ...]:
    """Return the starts of the sections in seconds, ascending; the first is 0.

    The novelty at a step is the mean similarity within the 12 s before it and within the 12 s after it, less the mean
    similarity between the two (Foote's checkerboard kernel with Gaussian taper). A boundary is its largest value
    within 12 s on both sides, if it is at least 0.2.
    """
    rows = _rows(frames)
    reach = round(_REACH_S * _STEP_HZ)
    if len(rows) < 2 * reach:
        return (0.0,)
    novelty = _novelty(rows, reach)
    starts = [0.0]
    for step in range(reach // 2, len(novelty) - reach // 2):
        near = novelty[max(0, step - reach) : step + reach + 1]
        if novelty[step] >= max(_LEAST_NOVELTY, near.max()):
            starts.append(step / _STEP_HZ)
    return tuple(starts)


def _rows(frames: Frames) -> Array:
    """Return timbre and harmony of each step, standardised, of norm 1, shape (S, 24)."""
    count = len(frames.mel_db) // _STEP
    per_step = _STEP // CHROMA_STEP
    mel = frames.mel_db[: count * _STEP].reshape(count, _STEP, -1).mean(axis=1)
    chroma = frames.chroma[: count * per_step].reshape(count, per_step, 12).mean(axis=1)
    rows = np.hstack([mfcc(np.maximum(mel, mel.max(initial=-100.0) - 80))[:, 1:], chroma]).astype(np.float64)
    rows = (rows - rows.mean(axis=0)) / np.maximum(rows.std(axis=0), 1e-6)
    unit: Array = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return unit


def _novelty(rows: Array, reach: int) -> Array:
    """Return the novelty before each step, shape (S,), in [-2, 2]."""
    taper = np.exp(-0.5 * np.square(np.arange(reach) / (0.5 * reach)))
    taper /= taper.sum()
    padded = np.pad(rows, ((reach, reach), (0, 0)))
    # With weights w, the sum of w_i w_j x_i x_j over a block is the squared length of a weighted mean.
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=0)
    before = windows[: len(rows)] @ taper[::-1]
    after = windows[reach : reach + len(rows)] @ taper
    novelty: Array = np.sum(np.square(before), axis=1) + np.sum(np.square(after), axis=1)
    novelty -= 2 * np.sum(before * after, axis=1)
    return novelty / 2
