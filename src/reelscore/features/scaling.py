"""Scaling of feature columns: standardisation and normal scores.

Normal scores are a piecewise linear map for each column, learned from training rows:

    y = s_k + (s_{k+1} - s_k) (x - q_k) / (q_{k+1} - q_k)    for q_k <= x < q_{k+1},    s_1 below, s_K above.

The knots q are K quantiles of the column, the scores s the same quantiles of a normal distribution. The result is close
to normal for any distribution of the column, so heavy tails and outliers have little weight.

References
----------
van der Waerden 1952, "Order tests for the two-sample problem and their power" (normal scores, also called rank-based
inverse normal transform or Gaussian copula).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

CLIP = 6.0
"""Maximum absolute value of standardised features, in deviations."""

NUM_KNOTS = 33
"""Number of quantiles of a column; more do not change results."""

Scales = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
"""Mean of every column, and its deviation; 1 for a constant column."""

# Knots closer than this share of the interquartile range are tied: a slope between them would be rounding error.
_TIE_TOLERANCE = 1e-4
_CONSTANT_TOLERANCE = 1e-6  # a column is constant if its deviation is below this share of its magnitude


@dataclass(frozen=True, slots=True, eq=False)
class ColumnMap:
    """Piecewise linear maps of all columns.

    Attributes
    ----------
    knots : ndarray of float64, shape (P, K)
        q, ascending in each row, K >= 2.
    scores : ndarray of float64, shape (P, K)
        s, ascending in each row; all 0 for a constant column.
    """

    knots: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]

    @classmethod
    def learn(cls, rows: npt.NDArray[np.floating]) -> ColumnMap:
        """Learn the map of each column from finite rows (n, P)."""
        values = rows.astype(np.float64)
        center, deviation = values.mean(axis=0), values.std(axis=0)
        constant = deviation <= _CONSTANT_TOLERANCE * (np.abs(center) + _CONSTANT_TOLERANCE)
        at = np.linspace(0.0, 1.0, NUM_KNOTS)
        knots = np.quantile(values, at, axis=0).T
        ranks = (at * (len(values) - 1) + 0.5) / len(values)
        normal = np.array([NormalDist().inv_cdf(share) for share in ranks])
        low, high = np.quantile(values, [0.25, 0.75], axis=0)
        spread = np.where(high > low, high - low, deviation)
        scores = _average_ties(normal, knots, _TIE_TOLERANCE * spread)
        scores[constant] = 0.0
        return cls(np.ascontiguousarray(knots), np.ascontiguousarray(scores))

    def __call__(self, rows: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Map rows (n, P)."""
        return apply(rows.astype(np.float64), self.knots, self.scores).astype(np.float64, copy=False)


def mean_and_scale(sequences: Iterable[npt.NDArray[np.floating]]) -> Scales:
    """Return mean and deviation of every column over all rows of sequences (T, D); 1 for a constant column."""
    # Sums run in float64: half precision overflows, and a large mean cancels a small deviation.
    items = list(sequences)
    rows = sum(len(x) for x in items)
    mean = np.sum([x.sum(axis=0, dtype=np.float64) for x in items], axis=0) / rows
    square = np.sum([np.square(x - mean).sum(axis=0) for x in items], axis=0) / rows
    return mean, _scale(mean, np.sqrt(square))


def _scale(mean: npt.NDArray[np.float64], deviation: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(deviation > _CONSTANT_TOLERANCE * (np.abs(mean) + _CONSTANT_TOLERANCE), deviation, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class ColumnMoments:
    """Number of rows, and mean and sum of squared differences from it of every column, of rows seen once.

    References
    ----------
    Chan, Golub, LeVeque 1983, "Algorithms for computing the sample variance" (merging two samples).
    """

    num_rows: int
    mean: npt.NDArray[np.float64]
    squares: npt.NDArray[np.float64]

    @classmethod
    def of(cls, rows: npt.NDArray[np.floating]) -> ColumnMoments:
        """Return the moments of rows (n, D)."""
        if len(rows) == 0:
            return cls(0, np.zeros(rows.shape[1]), np.zeros(rows.shape[1]))
        mean = rows.mean(axis=0, dtype=np.float64)
        return cls(len(rows), mean, np.square(rows - mean).sum(axis=0))

    def __add__(self, other: ColumnMoments) -> ColumnMoments:
        """Return the moments of the rows of both."""
        if not (self.num_rows and other.num_rows):
            return self if self.num_rows else other
        total = self.num_rows + other.num_rows
        difference = other.mean - self.mean
        mean = self.mean + difference * (other.num_rows / total)
        between = np.square(difference) * (self.num_rows * other.num_rows / total)
        return ColumnMoments(total, mean, self.squares + other.squares + between)

    def mean_and_scale(self, num_rows: int | None = None) -> Scales:
        """Return what `mean_and_scale` returns; of `num_rows` rows, those that are not seen are equal to the mean."""
        return self.mean, _scale(self.mean, np.sqrt(self.squares / max(1, num_rows or self.num_rows)))


def apply(
    rows: npt.NDArray[np.floating], knots: npt.NDArray[np.floating], scores: npt.NDArray[np.floating]
) -> npt.NDArray[np.floating]:
    """Map rows (n, P) by knots and scores (P, K), in the precision of the rows."""
    columns = np.arange(len(knots))
    interval = np.zeros(rows.shape, dtype=np.int64)
    for k in range(1, knots.shape[1] - 1):
        interval += rows >= knots[:, k]
    low, high = knots[columns, interval], knots[columns, interval + 1]
    below, above = scores[columns, interval], scores[columns, interval + 1]
    width = high - low
    share = np.clip((rows - low) / np.where(width > 0, width, 1), 0, 1)
    mapped: npt.NDArray[np.floating] = below + (above - below) * share
    return mapped


def _average_ties(
    normal: npt.NDArray[np.float64], knots: npt.NDArray[np.float64], tolerance: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Give tied knots the mean of their scores."""
    num_columns, num_knots = knots.shape
    run = np.zeros(knots.shape, dtype=np.int64)
    np.cumsum(np.diff(knots, axis=1) > tolerance[:, None], axis=1, out=run[:, 1:])
    run += num_knots * np.arange(num_columns)[:, None]
    size = num_columns * num_knots
    total = np.bincount(run.ravel(), weights=np.tile(normal, num_columns), minlength=size)
    count = np.bincount(run.ravel(), minlength=size)
    means: npt.NDArray[np.float64] = (total / np.maximum(count, 1))[run]
    return means
