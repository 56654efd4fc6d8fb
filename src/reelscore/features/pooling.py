"""Pooling of feature sequences into means and deviations over time.

Each column of a sequence x_1 ... x_T gives two numbers:

    mean        mean_t x_t
    deviation   sqrt(pi) / 2 mean_t |x_(t+k) - x_t|

k rows are `LAG_S` seconds, linearly interpolated between two whole numbers of rows. For independent normal rows the
deviation estimates their standard deviation. Unlike that of the sequence or of windows, its expectation depends neither
on the duration nor on the number of rows per second, which `features.sampling` makes a function of the duration. Either
would leak the duration into the score.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

LAG_S = 15.0
"""32 Global Sparse segments reach this lag in sources of up to 8 minutes."""


def pool(rows: npt.NDArray[np.floating], *, row_s: float = 1.0) -> npt.NDArray[np.float64]:
    """Pool a sequence to the means of its columns, then their deviations.

    Parameters
    ----------
    rows : ndarray, shape (T, D)
        Finite.
    row_s : float
        Seconds from one row to the next. A sequence shorter than the lag has the lag of its first and last row.

    Returns
    -------
    ndarray of float64, shape (2 D,)
        The deviations of a single row are 0.

    Examples
    --------
    >>> pool(np.array([[0.0], [2.0], [4.0]]), row_s=15.0).round(3).tolist()
    [2.0, 1.772]
    """
    x = np.asarray(rows, dtype=np.float64)
    mean = x.mean(axis=0)
    if len(x) == 1:
        return np.concatenate([mean, np.zeros_like(mean)])
    lag = min(max(LAG_S / row_s, 1.0), len(x) - 1.0)
    below, above = math.floor(lag), math.ceil(lag)
    one, other = (np.abs(x[k:] - x[:-k]).mean(axis=0) for k in (below, above))
    deviation = math.sqrt(math.pi) / 2 * (one + (lag - below) * (other - one))
    return np.concatenate([mean, deviation])
