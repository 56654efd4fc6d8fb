"""Colour features of an image: means, spreads and histograms in HSV.

References
----------
Smith 1978, "Color gamut transform pairs" (HSV).
Hasler and Suesstrunk 2003, "Measuring colourfulness in natural images".
Peli 1990, "Contrast in complex images" (contrast as the standard deviation of luminance).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reelscore.types import FloatArray

from .columns import Column

NUM_HUES, NUM_SATURATIONS, NUM_VALUES = 12, 4, 8

COLUMNS = (
    Column("brightness", "0..1", "mean luma (Rec. 709 weights on the coded values)"),
    Column("contrast", "0..0.5", "standard deviation of luma (Peli 1990)"),
    Column("shadows", "0..1", "5th percentile of luma"),
    Column("highlights", "0..1", "95th percentile of luma"),
    Column("saturation", "0..1", "mean HSV saturation, each pixel weighted by its value"),
    Column("saturation_std", "0..0.5", "standard deviation of saturation"),
    Column("value", "0..1", "mean HSV value"),
    Column("value_std", "0..0.5", "standard deviation of HSV value"),
    Column("hue_cos", "-1..1", "cosine of the mean hue (red 1, cyan -1), weighted by chroma"),
    Column("hue_sin", "-1..1", "sine of the mean hue (yellow-green 1, violet -1), weighted by chroma"),
    Column("hue_spread", "0..1", "circular variance of hue, weighted by chroma; 1 for grey images"),
    Column("warmth", "-1..1", "mean of red less blue: orange light is positive, blue light negative"),
    Column(
        "colourfulness", "0..180", "Hasler and Suesstrunk's M3: 0 grey, 33 moderate, 60 quite, 109 extremely"
    ),
    *(
        Column(f"hue_{k}", "0..1", f"chroma of hues within 15 deg of {30 * k} deg, per pixel")
        for k in range(NUM_HUES)
    ),
    *(
        Column(f"saturation_{k}", "0..1", f"share of pixels in quarter {k} of saturation")
        for k in range(NUM_SATURATIONS)
    ),
    *(Column(f"value_{k}", "0..1", f"share of pixels in eighth {k} of value") for k in range(NUM_VALUES)),
)
"""Columns of `describe_colour`."""


def luma(pixels: npt.NDArray[np.uint8]) -> FloatArray:
    """Return Rec. 709 luma in 0..1, shape (H, W), of RGB pixels of shape (H, W, 3)."""
    weights = np.array([0.2126, 0.7152, 0.0722], np.float32) / np.float32(255)
    out: FloatArray = pixels.astype(np.float32) @ weights
    return out


def describe_colour(pixels: npt.NDArray[np.uint8], brightness: FloatArray) -> FloatArray:
    """Compute the colour features of an image.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (H, W, 3)
        RGB.
    brightness : ndarray of float32, shape (H, W)
        Luma of the pixels, see `luma`.

    Returns
    -------
    ndarray of float32, shape (len(COLUMNS),)
    """
    flat = pixels.reshape(-1, 3)
    red, green, blue = (np.ascontiguousarray(flat[:, k], np.float32) / np.float32(255) for k in range(3))
    value = np.maximum(np.maximum(red, green), blue)
    chroma = value - np.minimum(np.minimum(red, green), blue)
    saturation = chroma / np.maximum(value, np.float32(1e-6))
    # The hue is the direction of RGB in the plane perpendicular to grey.
    across, up = red - 0.5 * (green + blue), np.float32(np.sqrt(0.75)) * (green - blue)
    length = np.maximum(np.hypot(across, up), np.float32(1e-6))
    cosine, sine = across / length, up / length
    weight = max(float(chroma.sum()), 1e-6)
    mean_cos, mean_sin = float(cosine @ chroma) / weight, float(sine @ chroma) / weight
    low, high = np.percentile(brightness, [5, 95])
    sector = np.rint(np.arctan2(up, across) * np.float32(NUM_HUES / (2 * np.pi))).astype(np.int64) % NUM_HUES
    scalars = (
        float(brightness.mean()),
        float(brightness.std()),
        float(low),
        float(high),
        float(saturation @ value) / max(float(value.sum()), 1e-6),
        float(saturation.std()),
        float(value.mean()),
        float(value.std()),
        mean_cos,
        mean_sin,
        1 - float(np.hypot(mean_cos, mean_sin)),
        float((red - blue).mean()),
        _colourfulness(red, green, blue),
    )
    histograms = (
        np.bincount(sector, weights=chroma, minlength=NUM_HUES) / len(flat),
        _histogram(saturation, NUM_SATURATIONS),
        _histogram(value, NUM_VALUES),
    )
    return np.concatenate([scalars, *histograms], dtype=np.float32)


def _colourfulness(red: FloatArray, green: FloatArray, blue: FloatArray) -> float:
    """Return M3 = sigma + 0.3 mu of the opponent colours rg = R - G and yb = (R + G) / 2 - B, on 0..255."""
    rg, yb = red - green, 0.5 * (red + green) - blue
    sigma = np.hypot(float(rg.std()), float(yb.std()))
    mu = np.hypot(float(rg.mean()), float(yb.mean()))
    return 255 * float(sigma + 0.3 * mu)


def _histogram(values: FloatArray, num_bins: int) -> npt.NDArray[np.float64]:
    bins = np.minimum((values * num_bins).astype(np.int64), num_bins - 1)
    shares: npt.NDArray[np.float64] = np.bincount(bins, minlength=num_bins) / len(values)
    return shares
