"""Columns of features enter, the same columns on one footing leave: standardised, or as normal scores.

One piecewise linear map a column serves both. It is learned from training rows and applied anywhere:

    y = s_k + (s_{k+1} - s_k) (x - q_k) / (q_{k+1} - q_k)    for q_k <= x < q_{k+1},    s_1 below, s_K above.

- `standard`: two knots, CLIP deviations to either side of the mean, and the scores -CLIP and CLIP: what leaves counts
  deviations from the mean, kept within CLIP.
- `normal`: the knots are K quantiles of the column, and the scores what a normal variable has there. Whatever the
  column's distribution, heavy tails or many zeros, what leaves is close to normal, and no odd file shouts down
  the rest.

References
----------
Normal scores after van der Waerden, "Order tests for the two-sample problem and their power", 1952; as a step before
correlation also called the rank-based inverse normal transform or Gaussian copula.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
import numpy.typing as npt

Scaling = Literal["normal", "standard"]

CLIP = 6.0
"""Standardised features are kept within this many deviations."""

NUM_KNOTS = 33
"""Quantiles of a column that are kept; more change no figure."""

_TIED = 1e-4  # knots closer than this share of the column's middle half are one: a slope between them would be rounding
_CONSTANT = 1e-6  # a column whose deviation is below this share of its size says nothing


@dataclass(frozen=True, slots=True, eq=False)
class ColumnMap:
    """The map of every column.

    Attributes
    ----------
    knots : ndarray of float64, shape (P, K)
        q, rising in each row, K >= 2.
    scores : ndarray of float64, shape (P, K)
        s, rising in each row; all 0 for a column that does not vary.
    """

    knots: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]

    @classmethod
    def learn(cls, rows: npt.NDArray[np.floating], scaling: Scaling) -> ColumnMap:
        """Learn the map of each column from finite rows (n, P)."""
        values = rows.astype(np.float64)
        center, deviation = values.mean(axis=0), values.std(axis=0)
        constant = deviation <= _CONSTANT * (np.abs(center) + _CONSTANT)
        if scaling == "standard":
            reach = CLIP * np.where(constant, 1.0, deviation)
            knots = np.stack([center - reach, center + reach], axis=1)
            scores = np.broadcast_to([-CLIP, CLIP], knots.shape).copy()
        else:
            at = np.linspace(0.0, 1.0, NUM_KNOTS)
            knots = np.quantile(values, at, axis=0).T
            ranks = (at * (len(values) - 1) + 0.5) / len(values)
            normal = np.array([NormalDist().inv_cdf(share) for share in ranks])
            low, high = np.quantile(values, [0.25, 0.75], axis=0)
            spread = np.where(high > low, high - low, deviation)
            scores = _mean_of_tied(normal, knots, _TIED * spread)
        scores[constant] = 0.0
        return cls(np.ascontiguousarray(knots), np.ascontiguousarray(scores))

    def __call__(self, rows: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Map rows (n, P)."""
        return apply(rows.astype(np.float64), self.knots, self.scores).astype(np.float64, copy=False)


def apply(
    rows: npt.NDArray[np.floating], knots: npt.NDArray[np.floating], scores: npt.NDArray[np.floating]
) -> npt.NDArray[np.floating]:
    """Map rows (n, P) by knots and scores (P, K), in the precision of the rows."""
    columns = np.arange(len(knots))
    place = np.zeros(rows.shape, dtype=np.int64)
    for k in range(1, knots.shape[1] - 1):
        place += rows >= knots[:, k]
    low, high = knots[columns, place], knots[columns, place + 1]
    below, above = scores[columns, place], scores[columns, place + 1]
    width = high - low
    share = np.clip((rows - low) / np.where(width > 0, width, 1), 0, 1)
    mapped: npt.NDArray[np.floating] = below + (above - below) * share
    return mapped


def _mean_of_tied(
    normal: npt.NDArray[np.float64], knots: npt.NDArray[np.float64], tolerance: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Give knots of one value the mean of their scores, as ties among ranks get the mean rank."""
    num_columns, num_knots = knots.shape
    run = np.zeros(knots.shape, dtype=np.int64)
    np.cumsum(np.diff(knots, axis=1) > tolerance[:, None], axis=1, out=run[:, 1:])
    run += num_knots * np.arange(num_columns)[:, None]
    size = num_columns * num_knots
    total = np.bincount(run.ravel(), weights=np.tile(normal, num_columns), minlength=size)
    count = np.bincount(run.ravel(), minlength=size)
    means: npt.NDArray[np.float64] = (total / np.maximum(count, 1))[run]
    return means
