"""Movement and cuts: two frames a moment apart, or the colours of neighbouring frames, enter; rates a second leave.

References
----------
Lucas and Kanade 1981, "An iterative image registration technique with an application to stereo vision".
Swain and Ballard 1991, "Color indexing" (histogram intersection; here the distance that it leaves).
Boreczky and Rowe 1996, "Comparison of video shot boundary detection techniques".
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reelscore.types import FloatArray

from .columns import Column

COLUMNS = (
    Column("motion_energy", "1/s", "mean change of luma a second between two frames close in time"),
    Column("motion_flow", "short sides/s", "mean speed of picture blocks (Lucas and Kanade 1981)"),
    Column("motion_peak", "short sides/s", "90th percentile of the speed of picture blocks"),
    Column(
        "motion_unity",
        "0..1",
        "speed of the mean motion over the mean speed: 1 for a pan, low for many movers",
    ),
)
"""What `describe_motion` returns, in order."""

CUT_COLUMNS = (
    Column("scene_distance", "0..1", "histogram distance to the sample before (Swain and Ballard 1991)"),
    Column(
        "cut_rate_hz",
        "1/s",
        "likely cuts a second around the sample; at most one for each step between samples",
    ),
)
"""What `describe_cuts` returns, in order."""

_CELL = 4
_LEVELS = 4
_NOISE = 2e-4
_STILL_DISTANCE, _CUT_DISTANCE = 0.3, 0.6
_REACH = 2


def describe_motion(luma: FloatArray, following: FloatArray | None, gap_s: float) -> FloatArray:
    """Describe the movement between two frames of one size.

    Speeds come from one Lucas-Kanade step on pictures averaged over 4 x 4 pixels. It is a proxy: with a short side
    of 96 pixels and a gap of 0.12 s, movement beyond about half the short side a second comes out too slow. A
    change of the light as a whole is no movement.

    Parameters
    ----------
    luma, following : ndarray of float32, shape (H, W)
        The frame and the one after it, 0..1; without a following frame nothing moves.
    gap_s : float
        Time between them in seconds; nothing moves where it is not positive.

    Returns
    -------
    ndarray of float32, shape (len(COLUMNS),)
    """
    if following is None or gap_s <= 0 or min(luma.shape) < 3 * _CELL:
        return np.zeros(len(COLUMNS), np.float32)
    energy = float(np.abs(following - luma).mean()) / gap_s
    first, second = _cells(luma), _cells(following)
    across, down = _flow(first - first.mean(), second - second.mean())
    speed = np.hypot(across, down)
    scale = 1 / (gap_s * min(first.shape))
    mean = float(speed.mean())
    unity = float(np.hypot(across.mean(), down.mean())) / mean if mean * scale > 1e-3 else 0.0
    return np.array([energy, mean * scale, float(np.percentile(speed, 90)) * scale, unity], np.float32)


def describe_cuts(histograms: FloatArray, step_s: float) -> FloatArray:
    """Estimate the cut rate from the palettes of frames spread over a video.

    The distance d of two histograms is half the sum of their absolute differences. A step counts as
    clip((d - 0.3) / 0.3, 0, 1) of a cut; the rate at a sample is the mean over the two steps on each side. Several
    cuts within a step count once, so that the rate is bounded by ``1 / step_s``: seconds apart, slow and fast cutting
    of the same pictures look alike.

    Parameters
    ----------
    histograms : ndarray of float32, shape (T, bins)
        See `palette`; each row sums to 1.
    step_s : float
        Time between samples in seconds.

    Returns
    -------
    ndarray of float32, shape (T, len(CUT_COLUMNS))
    """
    distance = 0.5 * np.abs(np.diff(histograms, axis=0)).sum(axis=1)
    cuts = np.clip((distance - _STILL_DISTANCE) / (_CUT_DISTANCE - _STILL_DISTANCE), 0, 1)
    out = np.zeros((len(histograms), len(CUT_COLUMNS)), np.float32)
    out[1:, 0] = distance
    for row in range(len(histograms)):
        around = cuts[max(0, row - _REACH) : row + _REACH]
        out[row, 1] = around.mean() / step_s if len(around) else 0.0
    return out


def palette(pixels: npt.NDArray[np.uint8]) -> FloatArray:
    """Return the histogram of colours that `describe_cuts` compares, shape (64,), summing to 1.

    4 x 4 x 4 bins of RGB; each pixel is shared out among the eight bins around it, so that a slow change of light
    moves the histogram slowly.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (H, W, 3)
        RGB; every fourth pixel of every fourth row is looked at.
    """
    colours = pixels[::_CELL, ::_CELL].reshape(-1, 3).astype(np.float32) * np.float32((_LEVELS - 1) / 255)
    low = np.minimum(colours.astype(np.int64), _LEVELS - 2)
    part = colours - low
    out = np.zeros(_LEVELS**3)
    for corner in np.ndindex(2, 2, 2):
        bins = (low + corner) @ np.array([_LEVELS**2, _LEVELS, 1])
        weight = np.where(np.array(corner) == 1, part, 1 - part).prod(axis=1)
        out += np.bincount(bins, weights=weight, minlength=_LEVELS**3)
    shares: FloatArray = (out / len(colours)).astype(np.float32)
    return shares


def _cells(luma: FloatArray) -> FloatArray:
    rows, columns = luma.shape[0] // _CELL, luma.shape[1] // _CELL
    cropped = luma[: rows * _CELL, : columns * _CELL]
    means: FloatArray = cropped.reshape(rows, _CELL, columns, _CELL).mean(axis=(1, 3))
    return means


def _flow(first: FloatArray, second: FloatArray) -> tuple[FloatArray, FloatArray]:
    """One Lucas-Kanade step in windows of 5 x 5 cells: displacement across and down, in cells.

    Solves [Ixx Ixy; Ixy Iyy] (u, v) = -(Ixt, Iyt) with a ridge, so that cells without texture stay still.
    """
    middle = 0.5 * (first + second)
    down, across = np.gradient(middle)
    change = second - first
    xx, yy, xy, xt, yt = (
        _box(product)
        for product in (across * across, down * down, across * down, across * change, down * change)
    )
    xx, yy = xx + np.float32(_NOISE), yy + np.float32(_NOISE)
    determinant = xx * yy - xy * xy
    u = (xy * yt - yy * xt) / determinant
    v = (xy * xt - xx * yt) / determinant
    # A single step cannot be trusted further than the window it looked through.
    return np.clip(u, -2, 2), np.clip(v, -2, 2)


def _box(values: npt.NDArray[np.float32]) -> FloatArray:
    """Mean of the 5 x 5 cells around each, as far as there are any beyond the edge."""
    padded = np.pad(values, 2, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5))
    means: FloatArray = windows.mean(axis=(2, 3))
    return means
