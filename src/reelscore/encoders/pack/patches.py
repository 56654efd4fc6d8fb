"""An RGB picture of any shape enters; its patches, row by row, and how many there are each way leave.

References
----------
Dehghani et al. 2023, "Patch n' Pack: NaViT", and Tschannen et al. 2025, "SigLIP 2" (NaFlex), whose input this is.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from reelscore.types import FloatArray

from .input import PatchesInput

_SMALLEST, _LARGEST, _NEAR = 1e-6, 100.0, 1e-5  # of the search for a scale, as in transformers


def prepared_patches(
    pixels: npt.NDArray[np.uint8], spec: PatchesInput
) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Resize, scale and cut one picture into patches.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (H, W, 3)
        RGB.
    spec : PatchesInput
        Size and number of the patches, filter, mean and deviation.

    Returns
    -------
    patches : ndarray of float32, shape (max_patches, patch_px * patch_px * 3)
        From left to right, then down; inside a patch likewise, R, G and B of each pixel together. Rows of 0 follow.
    shape : ndarray of int64, shape (2,)
        Patches from top to bottom and from left to right; their product is the number of rows that hold the picture.
    """
    from PIL import Image

    size = spec.patch_px
    high, wide = patches_of(*pixels.shape[:2], patch_px=size, max_patches=spec.max_patches)
    kernel = Image.Resampling.BILINEAR if spec.resample == "bilinear" else Image.Resampling.BICUBIC
    resized = np.asarray(Image.fromarray(pixels).resize((wide * size, high * size), kernel), np.float32)
    scaled = (resized - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)
    rows = scaled.reshape(high, size, wide, size, 3).transpose(0, 2, 1, 3, 4).reshape(high * wide, -1)
    patches = np.zeros((spec.max_patches, rows.shape[1]), np.float32)
    patches[: len(rows)] = rows
    return patches, np.array([high, wide], np.int64)


@lru_cache(maxsize=256)
def patches_of(height_px: int, width_px: int, *, patch_px: int, max_patches: int) -> tuple[int, int]:
    """Return how many patches high and wide a picture becomes: the largest scale with at most `max_patches`.

    Sides are rounded up to whole patches, so the shape is kept nearly. The search halves its interval, for the
    same answer as transformers where two scales are close.

    Examples
    --------
    >>> patches_of(1080, 1920, patch_px=16, max_patches=256)
    (12, 21)
    """

    def at(scale: float) -> tuple[int, int]:
        high, wide = (max(1, math.ceil(side * scale / patch_px)) for side in (height_px, width_px))
        return high, wide

    low, above = _SMALLEST, _LARGEST
    while above - low >= _NEAR:
        middle = (low + above) / 2
        if math.prod(at(middle)) <= max_patches:
            low = middle
        else:
            above = middle
    return at(low)
