"""Mel filter banks on the HTK and Slaney scales.

References
----------
O'Shaughnessy 1987, "Speech communication" (mel = 1127 ln(1 + hz / 700), the scale of HTK and Kaldi).
Slaney 1998, "Auditory Toolbox" (mel = 3 hz / 200 below 1 kHz, else 15 + 27 ln(hz / 1000) / ln 6.4; librosa's default).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

_Array = npt.NDArray[np.float64]


def mel_filters(
    num_bands: int,
    *,
    rate_hz: float,
    n_fft: int,
    low_hz: float = 0.0,
    high_hz: float,
    scale: Literal["htk", "slaney"] = "htk",
    linear_in: Literal["hz", "mel"] = "hz",
) -> _Array:
    """Return triangular filters whose corners are spaced evenly in mel, shape (n_fft // 2 + 1, num_bands).

    Parameters
    ----------
    scale : {"htk", "slaney"}
        HTK filters have peak 1, Slaney filters have area 1 over Hz.
    linear_in : {"hz", "mel"}
        Axis on which the sides of the triangles are straight: ``hz`` as in librosa and torchaudio, ``mel`` as in
        Kaldi. Slaney filters are always linear in Hz.
    """
    bins_hz = np.linspace(0.0, rate_hz / 2, n_fft // 2 + 1)
    if scale == "slaney":
        corners = _slaney_corners_hz(num_bands, low_hz, high_hz)
        return _triangles(bins_hz, corners) / ((corners[2:] - corners[:-2]) / 2.0)
    corners = np.linspace(_hz_to_htk_mel(low_hz), _hz_to_htk_mel(high_hz), num_bands + 2)
    if linear_in == "mel":
        return _triangles(_hz_to_htk_mel(bins_hz), corners)
    return _triangles(bins_hz, 700.0 * np.expm1(corners / 1127.0))


def _triangles(bins: _Array, corners: _Array) -> _Array:
    """Return triangles of peak 1 over each three consecutive corners, shape (bins, bands)."""
    low, centre, high = corners[:-2], corners[1:-1], corners[2:]
    rising = (bins[:, np.newaxis] - low) / (centre - low)
    falling = (high - bins[:, np.newaxis]) / (high - centre)
    return np.maximum(0.0, np.minimum(rising, falling))


def _slaney_corners_hz(num_bands: int, low_hz: float, high_hz: float) -> _Array:
    low, high = (
        3.0 * hz / 200.0 if hz < 1000.0 else 15.0 + 27.0 * np.log(hz / 1000.0) / np.log(6.4)
        for hz in (low_hz, high_hz)
    )
    mel = np.linspace(low, high, num_bands + 2)
    return np.where(mel < 15.0, 200.0 * mel / 3.0, 1000.0 * np.exp((mel - 15.0) * np.log(6.4) / 27.0))


def _hz_to_htk_mel(hz: npt.ArrayLike) -> _Array:
    return 1127.0 * np.log1p(np.asarray(hz, np.float64) / 700.0)
