"""Optical flow between two small pictures, on a grid of cells.

Lucas and Kanade 1981, "An iterative image registration technique with an application to stereo vision".
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reelscore.types import FloatArray

_RIDGE = 2e-4  # keeps cells without texture still


def cells(luma: FloatArray, cell_px: int) -> FloatArray:
    """Return the mean of each cell of `cell_px` x `cell_px` pixels; a remainder at the right and bottom is cut."""
    rows, columns = luma.shape[0] // cell_px, luma.shape[1] // cell_px
    cropped = luma[: rows * cell_px, : columns * cell_px]
    means: FloatArray = cropped.reshape(rows, cell_px, columns, cell_px).mean(axis=(1, 3))
    return means


def flow_between(luma: FloatArray, following: FloatArray, cell_px: int) -> tuple[FloatArray, FloatArray]:
    """Return the displacement of each cell across and down, in cells; a uniform change of brightness is none."""
    first, second = cells(luma, cell_px), cells(following, cell_px)
    return _flow(first - first.mean(), second - second.mean())


def texture(means: FloatArray) -> FloatArray:
    """Return how well the motion of each cell is determined, 0..1: its structure in both directions."""
    down, across = (np.asarray(slope, np.float32) for slope in np.gradient(means))
    xx, yy, xy = _box(across * across), _box(down * down), _box(across * down)
    smaller = (xx * yy - xy * xy) / np.maximum(xx + yy, np.float32(1e-12))
    determined: FloatArray = smaller / (smaller + np.float32(_RIDGE))
    return determined


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
    rows, columns = values.shape
    sums = padded[:rows] + padded[1 : rows + 1] + padded[2 : rows + 2] + padded[3 : rows + 3] + padded[4:]
    means: FloatArray = np.float32(1 / 25) * (
        sums[:, :columns]
        + sums[:, 1 : columns + 1]
        + sums[:, 2 : columns + 2]
        + sums[:, 3 : columns + 3]
        + sums[:, 4:]
    )
    return means
