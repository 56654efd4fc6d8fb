"""Sequences of features enter; what each column does over time, as a vector of one length for any sequence, leaves.

Fifteen statistics of every column, one block of D values after the other, so that a first part of the vector is the
plainer description. They are of the features as they come: scaling a column scales them, and no more:

    mean                  of the T rows
    deviation             s = sqrt(mean_t (x_t - mean)^2)
    quantiles             at 5, 25, 50, 75 and 95%, linear between rows
    roughness             sqrt(mean_t (x_{t+1} - x_t)^2), the change from one row to the next
    skewness              mean_t (x_t - mean)^3 / s^3
    autocorrelation       sum_t (x_t - mean)(x_{t+k} - mean) / (T s^2) at k = 1, 2, 4, 8, 16, 32 rows

A sequence too short for a lag has 0 there; so has a column that does not vary, and in skewness. Statistics of this kind
are what people tell sound textures apart by; mean and deviation alone, the usual statistics pooling, leave
out in which order things happen.

References
----------
McDermott and Simoncelli, "Sound texture perception via statistics of the auditory periphery", Neuron 2011; mean and
deviation as statistics pooling in Snyder et al., "X-vectors: robust DNN embeddings for speaker recognition", ICASSP
2018.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

Pooling = Literal["texture", "mean+deviation"]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
LAGS = (1, 2, 4, 8, 16, 32)
NUM_STATISTICS: dict[Pooling, int] = {"mean+deviation": 2, "texture": 4 + len(QUANTILES) + len(LAGS)}
"""Values that describe a column, by how much is told."""

MOST = 8192
"""Pooled columns up to which all is told: of the thousand columns of a large encoder, mean and deviation are enough to
weigh, to hold in memory and to learn from."""

NUM_ORDERLESS = 2 + len(QUANTILES)
"""The first statistics, which do not depend on the order of the rows."""

VARIES = 1e-4
"""A deviation below this share of the column's size is rounding."""

FLOOR = 1e-3
"""Added to a size, for columns whose mean is 0."""


def num_statistics(pooling: Pooling, num_columns: int) -> int:
    """Return how many values describe each of D columns: those of the pooling, or 2 where they would be over `MOST`.

    Examples
    --------
    >>> num_statistics("texture", 264), num_statistics("texture", 1280)
    (15, 2)
    """
    number = NUM_STATISTICS[pooling]
    return number if number * num_columns <= MOST else 2


def pool(x: npt.NDArray[np.floating], mask: npt.NDArray[np.bool_], number: int) -> npt.NDArray[np.floating]:
    """Describe sequences by their first statistics.

    Parameters
    ----------
    x : ndarray, shape (B, T, D)
        Finite; what stands where the mask is False does not matter.
    mask : ndarray of bool, shape (B, T)
        True for real rows, which stand first; each sequence has at least one.
    number : int
        1 for the mean alone, 2 with the deviation, 15 for all.

    Returns
    -------
    ndarray of the type of x, shape (B, number * D)

    Examples
    --------
    >>> rows = np.array([[[0.0], [2.0], [4.0]]])
    >>> pool(rows, np.ones((1, 3), bool), 2).round(3).tolist()
    [[2.0, 1.633]]
    """
    # Time last and in one piece: sorting and summing along it are then several times as fast.
    rows = np.ascontiguousarray(x.transpose(0, 2, 1))
    real = mask[:, None, :]
    whole = bool(mask.all())
    count = mask.sum(axis=1, keepdims=True).astype(x.dtype)
    mean: npt.NDArray[np.floating] = (rows if whole else np.where(real, rows, 0)).sum(axis=2) / count
    if number == 1:
        return mean
    centred = rows - mean[:, :, None]
    if not whole:
        centred[np.broadcast_to(~real, centred.shape)] = 0
    deviation = np.sqrt(np.einsum("bdt,bdt->bd", centred, centred) / count)
    if number == 2:
        return np.concatenate([mean, deviation], axis=1)
    steps = np.diff(centred, axis=2)
    if not whole:
        steps[np.broadcast_to(~real[:, :, 1:], steps.shape)] = 0
    roughness = np.sqrt(np.einsum("bdt,bdt->bd", steps, steps) / np.maximum(count - 1, 1))
    varies = deviation > VARIES * (np.abs(mean) + x.dtype.type(FLOOR))
    centred /= np.where(varies, deviation, np.inf)[:, :, None]
    skewness = np.einsum("bdt,bdt,bdt->bd", centred, centred, centred) / count
    correlations = [
        np.einsum("bdt,bdt->bd", centred[:, :, lag:], centred[:, :, :-lag]) / count for lag in LAGS
    ]
    every = [mean, deviation, *_quantiles(rows, real, count), roughness, skewness, *correlations]
    return np.concatenate(every, axis=1)


def _quantiles(
    rows: npt.NDArray[np.floating], real: npt.NDArray[np.bool_], count: npt.NDArray[np.floating]
) -> list[npt.NDArray[np.floating]]:
    rising = np.sort(np.where(real, rows, np.inf), axis=2)
    found = []
    for share in QUANTILES:
        place = rows.dtype.type(share) * (count - 1)
        low = place.astype(np.int64)
        high = np.minimum(low + 1, count.astype(np.int64) - 1)
        below, above = (np.take_along_axis(rising, at[:, :, None], axis=2)[:, :, 0] for at in (low, high))
        found.append(below + (above - below) * (place - low).astype(rows.dtype))
    return found
