"""Motion of the camera between two frames: one shift, zoom and rotation of the whole picture.

References
----------
Kuglin and Hines 1975, "The phase correlation image alignment method".
Odobez and Bouthemy 1995, "Robust multiresolution estimation of parametric motion models" (reweighted least squares).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from reelscore.types import FloatArray

from .flow import cells, flow_between, texture

_STEPS = 2
_REWEIGHTINGS = 3
MIN_OVERLAP = 0.4
"""Share of the picture that both frames must show; with less nothing is known of what moved."""


def camera_motion(luma: FloatArray, following: FloatArray, *, cell_px: int) -> npt.NDArray[np.float64]:
    """Estimate the motion of the camera between two frames.

    A pixel at (x, y) from the centre moves by (u, v) = (a + c x - d y, b + d x + c y): a shift, a zoom and a rotation.
    Phase correlation gives the first shift. Robust fits to the flow of the aligned frames follow, in which cells that
    move otherwise count little.

    Parameters
    ----------
    luma, following : ndarray of float32, shape (H, W)
    cell_px : int
        Width of a cell of the flow.

    Returns
    -------
    ndarray of float64, shape (4,)
        a and b in pixels, c and d per pixel.
    """
    camera = _shift(luma, following)
    structure = texture(cells(luma, cell_px)).ravel()
    for _ in range(_STEPS):
        aligned, inside = align(luma, following, camera)
        across, down = flow_between(luma, aligned, cell_px)
        flow = (cell_px * (across.astype(np.float64) + 1j * down)).ravel()
        known = structure * (cells(inside.astype(np.float32), cell_px).ravel() > 0.99)
        camera += _fit(flow, known, tuple(n // cell_px for n in luma.shape), cell_px)
    return camera


def _shift(luma: FloatArray, following: FloatArray) -> npt.NDArray[np.float64]:
    """Return (a, b, 0, 0) of the whole-pixel shift with the highest phase correlation, 0 where that fits no better."""
    window = np.outer(np.hanning(luma.shape[0]), np.hanning(luma.shape[1]))
    spectra = [np.fft.rfft2((frame - frame.mean()) * window) for frame in (luma, following)]
    product = np.conj(spectra[0]) * spectra[1]
    correlation = np.fft.irfft2(product / np.maximum(np.abs(product), 1e-6), luma.shape)
    peak = np.unravel_index(int(correlation.argmax()), luma.shape)
    b, a = (float(p - size if p > size // 2 else p) for p, size in zip(peak, luma.shape, strict=True))
    still, shifted = np.zeros(4), np.array([a, b, 0.0, 0.0])
    aligned, inside = align(luma, following, shifted)
    if inside.mean() < MIN_OVERLAP:
        return still
    # The shift must explain most of the picture, not one bright object.
    better = np.abs(aligned - luma)[inside].mean() < np.abs(following - luma)[inside].mean()
    return shifted if better else still


def align(
    luma: FloatArray, following: FloatArray, camera: npt.NDArray[np.float64]
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Return the following frame without the camera's motion, and where it shows the first one's picture.

    Elsewhere it holds `luma`, that is no motion.
    """
    height, width = luma.shape
    y, x = centred(luma.shape)
    a, b, c, d = camera
    right = (x + a + c * x - d * y + (width - 1) / 2).ravel()
    below = (y + b + d * x + c * y + (height - 1) / 2).ravel()
    inside = (right >= 0) & (right <= width - 1) & (below >= 0) & (below <= height - 1)
    left = np.clip(right.astype(np.int64), 0, width - 2)
    top = np.clip(below.astype(np.int64), 0, height - 2)
    p, q = (right - left).astype(np.float32), (below - top).astype(np.float32)
    corner, pixels = top * width + left, following.ravel()
    upper = (1 - p) * pixels[corner] + p * pixels[corner + 1]
    lower = (1 - p) * pixels[corner + width] + p * pixels[corner + width + 1]
    aligned: FloatArray = np.where(inside, (1 - q) * upper + q * lower, luma.ravel()).astype(np.float32)
    return aligned.reshape(luma.shape), inside.reshape(luma.shape)


@lru_cache(maxsize=8)
def centred(shape: tuple[int, int]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the vertical and horizontal distance of each pixel from the centre."""
    y, x = np.indices(shape) - (np.array(shape) - 1).reshape(2, 1, 1) / 2
    y.flags.writeable = x.flags.writeable = False
    return y, x


def _fit(
    flow: npt.NDArray[np.complex128], weights: FloatArray, shape: tuple[int, ...], cell_px: int
) -> npt.NDArray[np.float64]:
    """Return the camera (4,) that explains the flow u + v i of the N cells best, with Cauchy weights for the residuals.

    With z = x + y i the model is u + v i = (a + b i) + (c + d i) z: weighted regression on one complex variable.
    """
    y, x = centred((shape[0], shape[1]))
    z = cell_px * (x + 1j * y).ravel()
    robust = weights.astype(np.float64)
    known = robust > 0
    shift, turn = 0j, 0j
    # A picture with texture in one place only must not turn around it.
    ridge = 1e-3 * float((z * z.conj()).real.mean()) * float(robust.sum())
    for _ in range(_REWEIGHTINGS if known.any() else 0):
        total = robust.sum()
        middle, mean = robust @ z / total, robust @ flow / total
        around = z - middle
        turn = (robust * around.conj()) @ (flow - mean) / (robust @ (around * around.conj()).real + ridge)
        shift = mean - turn * middle
        residual = np.abs(flow - shift - turn * z)
        spread = max(float(np.median(residual[known])), 0.05)
        robust = weights / (1 + np.square(residual / (2 * spread)))
    return np.array([shift.real, shift.imag, turn.real, turn.imag])
