"""Features of one side enter; standardised, by their singular values, and compared by the ranks they give they leave.

What the linear rivals (`cca`, `ridge`) have in common.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from reelscore.errors import InputError
from reelscore.evaluation.ranks import BoolArray, FloatArray, IntArray, first_hit_ranks
from reelscore.features.pooling import num_statistics, pool
from reelscore.features.scaling import ColumnMap, Scaling

Columns: TypeAlias = tuple[int, int]
"""How many columns, of the video and of the music side."""
Sides: TypeAlias = tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]
"""Features of the video and of the music side, row i of both being pair i."""


def pooled(sequences: Sequence[npt.NDArray[np.floating]]) -> FloatArray:
    """Make one vector of each sequence by `pooling.pool`: all statistics, or the mean where there is no time.

    Parameters
    ----------
    sequences : sequence of ndarray, shape (T_i, D)

    Returns
    -------
    ndarray of float64, shape (N, D) where every T_i is 1, else (N, 15 D), or (N, 2 D) where D is large
    """
    has_time = any(len(rows) > 1 for rows in sequences)
    number = num_statistics("texture", sequences[0].shape[1]) if has_time else 1
    return np.concatenate(
        [
            pool(rows.astype(np.float64)[None], np.ones((1, len(rows)), dtype=bool), number)
            for rows in sequences
        ]
    )


def descriptions(num_pooled: Columns, dims: Columns) -> list[Columns]:
    """Return how many of the first columns of two `pooled` sides a rival may look at, the plainest first.

    Examples
    --------
    >>> descriptions((3960, 450), (264, 30))  # mean and deviation, or all
    [(528, 60), (3960, 450)]
    >>> descriptions((512, 768), (512, 768))  # no time
    [(512, 768)]
    """
    plain = min(num_pooled[0], 2 * dims[0]), min(num_pooled[1], 2 * dims[1])
    return [plain] if plain == num_pooled else [plain, num_pooled]


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """One side of a linear rival: ``(x - mean) / scale @ weights``, shapes (P,), (P,) and (P, dim).

    Where there is a `map`, the columns go through it first. Where more columns are `given`, the first P are looked at.
    """

    mean: FloatArray
    scale: FloatArray
    weights: FloatArray
    map: ColumnMap | None = None
    given: int | None = None

    def place(self, x: npt.NDArray[np.floating]) -> FloatArray:
        """Return the coordinates of rows, shape (N, P or `given`), as they come, shape (N, dim)."""
        due = len(self.mean) if self.given is None else self.given
        if x.ndim != 2 or x.shape[1] != due:
            raise InputError(f"this was fitted on {due} columns, got shape {x.shape}")
        if not np.isfinite(x).all():
            raise InputError(f"features must be finite; row {int(np.argwhere(~np.isfinite(x))[0][0])} is not")
        looked_at = x[:, : len(self.mean)]
        rows = looked_at.astype(np.float64) if self.map is None else self.map(looked_at)
        placed: FloatArray = (rows - self.mean) / self.scale @ self.weights
        return placed

    def to_arrays(self, side: str) -> dict[str, FloatArray]:
        """Return the arrays by name, such as ``"x.mean"``."""
        arrays = {f"{side}.{name}": getattr(self, name) for name in ("mean", "scale", "weights")}
        if self.given is not None:
            arrays[f"{side}.given"] = np.array([float(self.given)])
        if self.map is None:
            return arrays
        return {**arrays, f"{side}.knots": self.map.knots, f"{side}.scores": self.map.scores}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.floating]], side: str) -> Projection:
        """Rebuild what `to_arrays` gave; raises `KeyError` when an array is missing."""

        def array(name: str) -> FloatArray:
            return np.asarray(arrays[f"{side}.{name}"], np.float64)

        mapped = ColumnMap(array("knots"), array("scores")) if f"{side}.knots" in arrays else None
        given = int(array("given")[0]) if f"{side}.given" in arrays else None
        return cls(array("mean"), array("scale"), array("weights"), mapped, given)


TALL = 64
"""Rows to a column from which on singular values come from the products of the columns, which is quicker."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Standardised features of one side by their singular values: computed once for every setting.

    Attributes
    ----------
    mean, scale : ndarray of float64, shape (P,)
        Of the columns; the scale of a constant column is infinite.
    left, singular, right : ndarray of float64, shapes (n, k), (k,) and (P, k)
        ``(rows - mean) / scale = left * singular @ right.T``.
    map : ColumnMap, optional
        What the rows have gone through before.
    """

    mean: FloatArray
    scale: FloatArray
    left: FloatArray
    singular: FloatArray
    right: FloatArray
    map: ColumnMap | None = None

    @classmethod
    def of(cls, values: npt.NDArray[np.floating], name: str, scaling: Scaling | None = None) -> View:
        """Make the view of features (n, P), scaled where that is asked for; raises `InputError` for bad ones."""
        if scaling is not None and scaling not in get_args(Scaling):
            raise InputError(
                f"scaling must be {' or '.join(get_args(Scaling))}, got {scaling!r}; name one of them"
            )
        rows = np.asarray(values, dtype=np.float64)
        if rows.ndim != 2 or len(rows) < 2 or rows.shape[1] == 0:
            raise InputError(
                f"a linear fit needs at least 2 pairs of finite features in 1 column or more, got {name} of shape "
                f"{rows.shape}"
            )
        if not np.isfinite(rows).all():
            row, column = np.argwhere(~np.isfinite(rows))[0]
            raise InputError(
                f"a linear fit needs finite features, got {rows[row, column]} in row {row}, column {column} of "
                f"{name}; clean the features of that item"
            )
        mapped = None if scaling is None else ColumnMap.learn(rows, scaling)
        rows = rows if mapped is None else mapped(rows)
        mean, scale = rows.mean(axis=0), rows.std(axis=0)
        # A constant column says nothing; rounding alone would blow it up.
        scale = np.where(scale > 1e-9 * (1 + np.abs(mean)), scale, np.inf)
        left, singular, right = _decomposed((rows - mean) / scale)
        if len(singular) == 0:
            raise InputError(f"a linear fit needs features that vary, got {name} with every column constant")
        return cls(mean, scale, left, singular, right, mapped)

    def coordinates(self, values: npt.NDArray[np.floating]) -> FloatArray:
        """Place rows (N, P) along the singular vectors (N, k)."""
        rows = values.astype(np.float64) if self.map is None else self.map(values)
        placed: FloatArray = (rows - self.mean) / self.scale @ self.right
        return placed


def _decomposed(rows: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return U, S and V of rows (n, P) = U S V', without what is rounding alone."""
    if len(rows) < TALL * rows.shape[1]:
        left, singular, right = np.linalg.svd(rows, full_matrices=False)
        kept = singular > 1e-10 * max(float(singular[0]), 1e-300)
        return left[:, kept], singular[kept], right[kept].T
    squares, vectors = np.linalg.eigh(rows.T @ rows)
    # Squaring halves the digits, so less can be told from rounding; no ridge is as small.
    kept = squares > 1e-14 * max(float(squares[-1]), 1e-300)
    singular, right = np.sqrt(squares[kept])[::-1], vectors[:, kept][:, ::-1]
    return rows @ right / singular, singular, right


def check_sides(sides: Sides, what: str, columns: Sequence[Columns] = ()) -> None:
    """Take features of both sides and the columns to look at; raise `InputError` where they do not go together.

    Parameters
    ----------
    sides : pair of ndarray
    what : str
        Whose they are, for the message.
    columns : sequence of tuple of int
    """
    X, Y = sides
    if X.ndim != 2 or Y.ndim != 2 or len(X) != len(Y):
        raise InputError(
            f"{what} needs as many rows on both sides, got shapes {X.shape} and {Y.shape}; "
            "row i of both must be pair i"
        )
    widths = X.shape[1], Y.shape[1]
    for one in columns:
        if len(one) != 2 or not all(1 <= number <= width for number, width in zip(one, widths, strict=True)):
            raise InputError(
                f"{what} can look at 1 to {widths[0]} columns of X and 1 to {widths[1]} of Y, got {one}; "
                "choose columns that are there"
            )


def check_parts(
    train: Sides, val: Sides, val_group: IntArray, what: str, columns: Sequence[Columns] = ()
) -> None:
    """Take what is fitted on and what it is judged on; raise `InputError` where they do not go together."""
    check_sides(train, f"the training part of {what}", columns)
    check_sides(val, f"the validation part of {what}")
    widths = [tuple(values.shape[1] for values in sides) for sides in (train, val)]
    if widths[0] != widths[1]:
        raise InputError(
            f"{what} needs the same columns in both parts, got {widths[0]} in training and {widths[1]} in "
            "validation; take both from one encoder"
        )
    if len(val[0]) == 0 or val_group.shape != (len(val[0]),):
        raise InputError(
            f"{what} needs at least one validation pair and a group for each, got {len(val[0])} pairs and "
            f"groups of shape {val_group.shape}"
        )
    # A scaling would keep an infinite value within its bounds, and so hide it from the ranks.
    for name, values in zip("XY", val, strict=True):
        if not (finite := np.isfinite(values)).all():
            raise InputError(
                f"the validation part of {what} must be finite; row {int(np.argwhere(~finite)[0][0])} of {name} is not"
            )


def mean_log_rank(x: FloatArray, y: FloatArray, hits: BoolArray) -> float:
    """Return the mean logarithm of the rank of the first hit over the queries of both directions.

    It moves with every query, where a recall of a small validation set moves in steps.
    """
    scores = (x.astype(np.float32) @ y.astype(np.float32).T).astype(np.float32)
    ranks = first_hit_ranks(scores, hits), first_hit_ranks(scores.T, hits.T)
    return float(np.mean(np.log(np.concatenate(ranks))))


def unit(rows: FloatArray) -> FloatArray:
    """Scale rows to length 1; a row of zeros stays."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    out: FloatArray = rows / np.where(norms > 0, norms, 1.0)
    return out
