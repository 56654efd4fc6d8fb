"""Projections and checks shared by the linear baselines."""

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
"""Numbers of columns of video and music."""
Sides: TypeAlias = tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]
"""Features of video and music; row i of both is pair i."""


def pooled(sequences: Sequence[npt.NDArray[np.floating]]) -> FloatArray:
    """Pool each sequence to one vector by `features.pooling.pool`: all statistics, or the mean of single rows.

    Parameters
    ----------
    sequences : sequence of ndarray, shape (T_i, D)

    Returns
    -------
    ndarray of float64, shape (N, D) if every T_i is 1, else (N, 15 D), or (N, 2 D) if D is large
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
    """Return the numbers of first columns of two `pooled` sides that a linear baseline may use, fewest first.

    Examples
    --------
    >>> descriptions((3960, 450), (264, 30))  # mean and deviation, or all
    [(528, 60), (3960, 450)]
    >>> descriptions((512, 768), (512, 768))  # single rows
    [(512, 768)]
    """
    plain = min(num_pooled[0], 2 * dims[0]), min(num_pooled[1], 2 * dims[1])
    return [plain] if plain == num_pooled else [plain, num_pooled]


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """Linear projection of one modality: ``(x - mean) / scale @ weights``, shapes (P,), (P,) and (P, dim).

    An optional `map` is applied to the columns first. Of `given` input columns it uses the first P.
    """

    mean: FloatArray
    scale: FloatArray
    weights: FloatArray
    map: ColumnMap | None = None
    given: int | None = None

    def place(self, x: npt.NDArray[np.floating]) -> FloatArray:
        """Return the projections (N, dim) of rows (N, P or `given`), not normalised."""
        num_columns = len(self.mean) if self.given is None else self.given
        if x.ndim != 2 or x.shape[1] != num_columns:
            raise InputError(f"the projection was fitted on {num_columns} columns, got shape {x.shape}")
        if not np.isfinite(x).all():
            raise InputError(f"features must be finite; row {int(np.argwhere(~np.isfinite(x))[0][0])} is not")
        used = x[:, : len(self.mean)]
        rows = used.astype(np.float64) if self.map is None else self.map(used)
        projected: FloatArray = (rows - self.mean) / self.scale @ self.weights
        return projected

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
        """Rebuild a projection from `to_arrays`; raise `KeyError` if an array is missing."""

        def array(name: str) -> FloatArray:
            return np.asarray(arrays[f"{side}.{name}"], np.float64)

        mapped = ColumnMap(array("knots"), array("scores")) if f"{side}.knots" in arrays else None
        given = int(array("given")[0]) if f"{side}.given" in arrays else None
        return cls(array("mean"), array("scale"), array("weights"), mapped, given)


TALL = 64
"""Ratio of rows to columns from which on the SVD uses the columns' Gram matrix, which is faster."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Singular value decomposition of one modality's standardised features, shared by all settings.

    Attributes
    ----------
    mean, scale : ndarray of float64, shape (P,)
        Of the columns; the scale of a constant column is infinite.
    left, singular, right : ndarray of float64, shapes (n, k), (k,) and (P, k)
        ``(rows - mean) / scale = left * singular @ right.T``.
    map : ColumnMap, optional
        Map that was applied to the rows first.
    """

    mean: FloatArray
    scale: FloatArray
    left: FloatArray
    singular: FloatArray
    right: FloatArray
    map: ColumnMap | None = None

    @classmethod
    def of(cls, values: npt.NDArray[np.floating], name: str, scaling: Scaling | None = None) -> View:
        """Decompose features (n, P) after an optional scaling; raise `InputError` for invalid ones."""
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
        # Ignore constant columns: dividing by rounding noise would blow them up.
        scale = np.where(scale > 1e-9 * (1 + np.abs(mean)), scale, np.inf)
        left, singular, right = _decomposed((rows - mean) / scale)
        if len(singular) == 0:
            raise InputError(f"a linear fit needs features that vary, got {name} with every column constant")
        return cls(mean, scale, left, singular, right, mapped)

    def coordinates(self, values: npt.NDArray[np.floating]) -> FloatArray:
        """Return the coordinates (N, k) of rows (N, P) along the singular vectors."""
        rows = values.astype(np.float64) if self.map is None else self.map(values)
        projected: FloatArray = (rows - self.mean) / self.scale @ self.right
        return projected


def _decomposed(rows: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return U, S and V of rows (n, P) = U S V', without singular values that are rounding noise."""
    if len(rows) < TALL * rows.shape[1]:
        left, singular, right = np.linalg.svd(rows, full_matrices=False)
        kept = singular > 1e-10 * max(float(singular[0]), 1e-300)
        return left[:, kept], singular[kept], right[kept].T
    squares, vectors = np.linalg.eigh(rows.T @ rows)
    # Squaring halves the precision. Every ridge is larger than this bound.
    kept = squares > 1e-14 * max(float(squares[-1]), 1e-300)
    singular, right = np.sqrt(squares[kept])[::-1], vectors[:, kept][:, ::-1]
    return rows @ right / singular, singular, right


def check_sides(sides: Sides, what: str, columns: Sequence[Columns] = ()) -> None:
    """Raise `InputError` unless both sides have the same rows and the columns exist.

    Parameters
    ----------
    sides : pair of ndarray
    what : str
        Subject of the message.
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
                f"{what} can use 1 to {widths[0]} columns of X and 1 to {widths[1]} of Y, got {one}; "
                "choose columns in that range"
            )


def check_parts(
    train: Sides, val: Sides, val_group: IntArray, what: str, columns: Sequence[Columns] = ()
) -> None:
    """Raise `InputError` unless training and validation have the same columns and validation is complete and finite."""
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
    # A scaling would clip an infinite value and so hide it.
    for name, values in zip("XY", val, strict=True):
        if not (finite := np.isfinite(values)).all():
            raise InputError(
                f"the validation part of {what} must be finite; row {int(np.argwhere(~finite)[0][0])} of {name} is not"
            )


def mean_log_rank(x: FloatArray, y: FloatArray, hits: BoolArray) -> float:
    """Return the mean logarithm of the rank of the first hit, over the queries of both directions.

    It depends on every query, unlike a recall, which changes in large steps on a small validation set.
    """
    scores = (x.astype(np.float32) @ y.astype(np.float32).T).astype(np.float32)
    ranks = first_hit_ranks(scores, hits), first_hit_ranks(scores.T, hits.T)
    return float(np.mean(np.log(np.concatenate(ranks))))


def unit(rows: FloatArray) -> FloatArray:
    """Scale rows to norm 1; rows of zeros stay 0."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    out: FloatArray = rows / np.where(norms > 0, norms, 1.0)
    return out
