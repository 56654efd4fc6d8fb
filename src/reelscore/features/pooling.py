"""Pooling of feature sequences into means and deviations over time.

Each column of a sequence x_1 ... x_T gives two numbers:

    mean        mean_t x_t
    deviation   mean_w s_w / c(n),    s_w^2 = sum_{t in w} (x_t - mean_w)^2 / (n - 1),    c(n) = (4n - 4) / (4n - 3)

The deviation is measured in windows w of n rows each, which cover the sequence evenly, and then averaged. c(n) corrects
the bias of a deviation from few rows. A deviation over the whole sequence would grow with its duration, so the duration
would leak into the score. s_w^2 is half the mean squared difference of two rows of the window, which are (n + 1) / 3
rows apart on average. n is chosen so that this is a third of `WINDOW_S` seconds in every sequence: a long source that is
sampled sparsely has windows of few rows.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

WINDOW_S = 30.0


def pool(rows: npt.NDArray[np.floating], *, row_s: float = 1.0) -> npt.NDArray[np.float64]:
    """Pool a sequence to the means of its columns, then their deviations.

    Parameters
    ----------
    rows : ndarray, shape (T, D)
        Finite.
    row_s : float
        Seconds from one row to the next.

    Returns
    -------
    ndarray of float64, shape (2 D,)
        The deviations of a single row are 0.

    Examples
    --------
    >>> pool(np.array([[0.0], [2.0], [4.0]])).round(3).tolist()
    [2.0, 2.25]
    """
    x = np.asarray(rows, dtype=np.float64)
    num_rows = len(x)
    mean = x.mean(axis=0)
    if num_rows == 1:
        return np.concatenate([mean, np.zeros_like(mean)])
    size = min(num_rows, max(2, round(WINDOW_S / row_s) - 1))
    starts = np.linspace(0, num_rows - size, math.ceil(num_rows / size)).round().astype(np.int64)
    windows = (x - mean)[starts[:, None] + np.arange(size)]
    deviation = windows.std(axis=1, ddof=1).mean(axis=0) * (4 * size - 3) / (4 * size - 4)
    return np.concatenate([mean, deviation])
