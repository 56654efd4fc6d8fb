"""Motion features of two close frames, and the cut rate of a series of frames.

References
----------
Lucas and Kanade 1981, "An iterative image registration technique with an application to stereo vision".
Swain and Ballard 1991, "Color indexing" (histogram intersection).
Boreczky and Rowe 1996, "Comparison of video shot boundary detection techniques".
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reelscore.types import FloatArray

from .columns import Column

COLUMNS = (
    Column("motion_energy", "1/s", "mean change of luma per second between two close frames"),
    Column("motion_flow", "short sides/s", "mean speed of image blocks (Lucas and Kanade 1981)"),
    Column("motion_peak", "short sides/s", "90th percentile of the speed of image blocks"),
    Column(
        "motion_unity",
        "0..1",
        "speed of the mean motion over the mean speed: 1 for a pan, low for opposite motions",
    ),
)
"""Columns of `describe_motion`."""

CUT_COLUMNS = (
    Column("scene_distance", "0..1", "histogram distance to the previous sample (Swain and Ballard 1991)"),
    Column(
        "cut_rate_hz",
        "1/s",
        "estimated cuts per second around the sample; at most one between two samples",
    ),
)
"""Columns of `describe_cuts`."""

_CELL_PX = 4
_LEVELS = 4
_RIDGE = 2e-4  # keeps cells without texture still
_NO_CUT_DISTANCE, _CUT_DISTANCE = 0.3, 0.6
_REACH = 2


def describe_motion(luma: FloatArray, following: FloatArray | None, gap_s: float) -> FloatArray:
    """Compute the motion features of two frames of one size.

    Speeds come from one Lucas-Kanade step on cells of 4 x 4 pixels. With a short side of 96 pixels and a gap of 0.12 s,
    speeds above about half the short side per second are underestimated. A uniform change of brightness is no motion.

    Parameters
    ----------
    luma, following : ndarray of float32, shape (H, W)
        The frame and the one after it, 0..1. Without a following frame all features are 0.
    gap_s : float
        Time between the frames in seconds. If it is not positive, all features are 0.

    Returns
    -------
    ndarray of float32, shape (len(COLUMNS),)
    """
    if following is None or gap_s <= 0 or min(luma.shape) < 3 * _CELL_PX:
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
    """Estimate the cut rate from colour histograms of frames at equal intervals.

    The distance d of two histograms is half the sum of their absolute differences. A step between samples counts as
    clip((d - 0.3) / 0.3, 0, 1) cuts. The rate at a sample is the mean over the two steps on each side. It is at most
    ``1 / step_s``, so samples that are seconds apart do not distinguish slow from fast cutting.

    Parameters
    ----------
    histograms : ndarray of float32, shape (T, bins)
        Colour histograms, see `palette`.
    step_s : float
        Time between samples in seconds.

    Returns
    -------
    ndarray of float32, shape (T, len(CUT_COLUMNS))
    """
    distance = 0.5 * np.abs(np.diff(histograms, axis=0)).sum(axis=1)
    cuts = np.clip((distance - _NO_CUT_DISTANCE) / (_CUT_DISTANCE - _NO_CUT_DISTANCE), 0, 1)
    out = np.zeros((len(histograms), len(CUT_COLUMNS)), np.float32)
    out[1:, 0] = distance
    for row in range(len(histograms)):
        around = cuts[max(0, row - _REACH) : row + _REACH]
        out[row, 1] = around.mean() / step_s if len(around) else 0.0
    return out


def palette(pixels: npt.NDArray[np.uint8]) -> FloatArray:
    """Return a histogram of 4 x 4 x 4 RGB bins, shape (64,), that sums to 1.

    Each pixel is shared between the eight nearest bins (trilinear), so that a slow change of light changes the
    histogram slowly.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (H, W, 3)
        RGB; every fourth pixel of every fourth row is used.
    """
    colours = pixels[::_CELL_PX, ::_CELL_PX].reshape(-1, 3).astype(np.float32) * np.float32(
        (_LEVELS - 1) / 255
    )
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
    rows, columns = luma.shape[0] // _CELL_PX, luma.shape[1] // _CELL_PX
    cropped = luma[: rows * _CELL_PX, : columns * _CELL_PX]
    means: FloatArray = cropped.reshape(rows, _CELL_PX, columns, _CELL_PX).mean(axis=(1, 3))
    return means


def _flow(first: FloatArray, second: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the displacement across and down, in cells, by one Lucas-Kanade step in windows of 5 x 5 cells.

    Solves [Ixx Ixy; Ixy Iyy] (u, v) = -(Ixt, Iyt) with a ridge.
    """
    middle = 0.5 * (first + second)
    down, across = np.gradient(middle)
    change = second - first
    xx, yy, xy, xt, yt = (
        _box(product)
        for product in (across * across, down * down, across * down, across * change, down * change)
    )
    xx, yy = xx + np.float32(_RIDGE), yy + np.float32(_RIDGE)
    determinant = xx * yy - xy * xy
    u = (xy * yt - yy * xt) / determinant
    v = (xy * xt - xx * yt) / determinant
    # One step is not reliable beyond its window.
    return np.clip(u, -2, 2), np.clip(v, -2, 2)


def _box(values: npt.NDArray[np.float32]) -> FloatArray:
    """Return the mean of the 5 x 5 cells around each cell; edge cells are repeated."""
    padded = np.pad(values, 2, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5))
    means: FloatArray = windows.mean(axis=(2, 3))
    return means
