"""Pooling of feature sequences into vectors of statistics over time.

Each column has fifteen statistics, in blocks of D values, of which a prefix may be used:

    mean                  of the T rows
    deviation             s = sqrt(mean_t (x_t - mean)^2)
    quantiles             at 5, 25, 50, 75 and 95%, linear between rows
    roughness             sqrt(mean_t (x_{t+1} - x_t)^2)
    skewness              mean_t (x_t - mean)^3 / s^3
    autocorrelation       sum_t (x_t - mean)(x_{t+k} - mean) / (T s^2) at k = 1, 2, 4, 8, 16, 32 rows

Autocorrelation is 0 at lags of T or more; it and skewness are 0 for constant columns.

References
----------
McDermott and Simoncelli 2011, "Sound texture perception via statistics of the auditory periphery", Neuron.
Snyder et al. 2018, "X-vectors: robust DNN embeddings for speaker recognition", ICASSP (mean and deviation).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

Pooling = Literal["texture", "mean+deviation"]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
LAGS = (1, 2, 4, 8, 16, 32)
NUM_STATISTICS: dict[Pooling, int] = {"mean+deviation": 2, "texture": 4 + len(QUANTILES) + len(LAGS)}
"""Statistics of each column."""

MAX_COLUMNS = 8192
"""Above this number of pooled columns only mean and deviation are used, for memory and training time."""

NUM_ORDERLESS = 2 + len(QUANTILES)
"""Number of leading statistics that do not depend on the order of the rows."""

VARIES = 1e-4
"""A column is constant if its deviation is below this share of its magnitude."""

FLOOR = 1e-3
"""Added to the magnitude, for columns whose mean is 0."""


def num_statistics(pooling: Pooling, num_columns: int) -> int:
    """Return the number of statistics per column: all of the pooling, or 2 if that exceeds `MAX_COLUMNS`.

    Examples
    --------
    >>> num_statistics("texture", 264), num_statistics("texture", 1280)
    (15, 2)
    """
    number = NUM_STATISTICS[pooling]
    return number if number * num_columns <= MAX_COLUMNS else 2


def pool(x: npt.NDArray[np.floating], mask: npt.NDArray[np.bool_], number: int) -> npt.NDArray[np.floating]:
    """Compute the first `number` statistics of each sequence.

    Parameters
    ----------
    x : ndarray, shape (B, T, D)
        Finite; values where the mask is False are ignored.
    mask : ndarray of bool, shape (B, T)
        True for real rows, which come first; each sequence has at least one.
    number : int
        1 for the mean, 2 for mean and deviation, 15 for all.

    Returns
    -------
    ndarray of the type of x, shape (B, number * D)

    Examples
    --------
    >>> rows = np.array([[[0.0], [2.0], [4.0]]])
    >>> pool(rows, np.ones((1, 3), bool), 2).round(3).tolist()
    [[2.0, 1.633]]
    """
    # Time is the last, contiguous axis: sorting and summing along it are then several times faster.
    rows = np.ascontiguousarray(x.transpose(0, 2, 1))
    real = mask[:, None, :]
    unpadded = bool(mask.all())
    count = mask.sum(axis=1, keepdims=True).astype(x.dtype)
    mean: npt.NDArray[np.floating] = (rows if unpadded else np.where(real, rows, 0)).sum(axis=2) / count
    if number == 1:
        return mean
    centred = rows - mean[:, :, None]
    if not unpadded:
        centred[np.broadcast_to(~real, centred.shape)] = 0
    deviation = np.sqrt(np.einsum("bdt,bdt->bd", centred, centred) / count)
    if number == 2:
        return np.concatenate([mean, deviation], axis=1)
    steps = np.diff(centred, axis=2)
    if not unpadded:
        steps[np.broadcast_to(~real[:, :, 1:], steps.shape)] = 0
    roughness = np.sqrt(np.einsum("bdt,bdt->bd", steps, steps) / np.maximum(count - 1, 1))
    varies = deviation > VARIES * (np.abs(mean) + x.dtype.type(FLOOR))
    centred /= np.where(varies, deviation, np.inf)[:, :, None]
    skewness = np.einsum("bdt,bdt,bdt->bd", centred, centred, centred) / count
    correlations = [
        np.einsum("bdt,bdt->bd", centred[:, :, lag:], centred[:, :, :-lag]) / count for lag in LAGS
    ]
    statistics = [mean, deviation, *_quantiles(rows, real, count), roughness, skewness, *correlations]
    return np.concatenate(statistics, axis=1)


def _quantiles(
    rows: npt.NDArray[np.floating], real: npt.NDArray[np.bool_], count: npt.NDArray[np.floating]
) -> list[npt.NDArray[np.floating]]:
    ordered = np.sort(np.where(real, rows, np.inf), axis=2)
    quantiles = []
    for share in QUANTILES:
        position = rows.dtype.type(share) * (count - 1)
        low = position.astype(np.int64)
        high = np.minimum(low + 1, count.astype(np.int64) - 1)
        below, above = (np.take_along_axis(ordered, at[:, :, None], axis=2)[:, :, 0] for at in (low, high))
        quantiles.append(below + (above - below) * (position - low).astype(rows.dtype))
    return quantiles
