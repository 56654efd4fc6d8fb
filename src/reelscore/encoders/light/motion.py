"""Motion features of two close frames, and the cut rate of a series of frames.

Motion on the screen has two causes: the camera and the subject. The camera's part is estimated as one shift, zoom and
rotation of the whole picture and taken off, so that a pan across a still room is not an action scene.

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

from .camera import MIN_OVERLAP, align, camera_motion, centred
from .columns import Column
from .flow import cells, flow_between

COLUMNS = (
    Column("motion_energy", "1/s", "mean change of luma per second between two close frames"),
    Column("motion_flow", "short sides/s", "mean speed of image blocks (Lucas and Kanade 1981)"),
    Column("motion_peak", "short sides/s", "90th percentile of the speed of image blocks"),
    Column(
        "motion_unity",
        "0..1",
        "speed of the mean motion over the mean speed: 1 for a pan, low for opposite motions",
    ),
    Column("camera_speed", "short sides/s", "mean speed of the picture by the camera's shift, zoom and turn"),
    Column("subject_energy", "1/s", "motion_energy once the camera's motion is taken off"),
    Column("subject_flow", "short sides/s", "motion_flow once the camera's motion is taken off"),
    Column("subject_peak", "short sides/s", "motion_peak once the camera's motion is taken off"),
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
_NO_CUT_DISTANCE, _CUT_DISTANCE = 0.3, 0.6
_REACH = 2


def describe_motion(luma: FloatArray, following: FloatArray | None, gap_s: float) -> FloatArray:
    """Compute the motion features of two frames of one size.

    Speeds come from one Lucas-Kanade step on cells of 4 x 4 pixels. With a short side of 96 pixels and a gap of 0.12 s,
    speeds above about half the short side per second are underestimated; `camera_speed` is not, up to about 3 short
    sides per second. A uniform change of brightness is no motion.

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
    across, down = flow_between(luma, following, _CELL_PX)
    speed = np.hypot(across, down)
    scale = 1 / (gap_s * (min(luma.shape) // _CELL_PX))
    mean = float(speed.mean())
    unity = float(np.hypot(across.mean(), down.mean())) / mean if mean * scale > 1e-3 else 0.0
    whole = (energy, mean * scale, float(np.percentile(speed, 90)) * scale, unity)
    return np.array([*whole, *_describe_subject(luma, following, gap_s)], np.float32)


def _describe_subject(
    luma: FloatArray, following: FloatArray, gap_s: float
) -> tuple[float, float, float, float]:
    """Return the camera's speed, and energy, flow and peak of what moves besides."""
    # Half the resolution is enough for whole-picture motion, and a quarter of the work.
    luma, following = cells(luma, 2), cells(following, 2)
    cell_px = _CELL_PX // 2
    camera = camera_motion(luma, following, cell_px=cell_px)
    side = min(luma.shape)
    y, x = centred(luma.shape)
    a, b, c, d = camera
    camera_speed = float(np.hypot(a + c * x - d * y, b + d * x + c * y).mean()) / side / gap_s
    aligned, inside = align(luma, following, camera)
    visible = cells(inside.astype(np.float32), cell_px) > 0.5
    if inside.mean() < MIN_OVERLAP or not visible.any():
        return camera_speed, 0.0, 0.0, 0.0
    change = float(np.abs(aligned - luma)[inside].mean())
    speed = np.hypot(*flow_between(luma, aligned, cell_px))[visible]
    scale = cell_px / side / gap_s
    return camera_speed, change / gap_s, float(speed.mean()) * scale, float(np.percentile(speed, 90)) * scale


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
