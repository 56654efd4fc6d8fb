"""Regularised linear CCA between pooled video and music features.

Regularised canonical correlation analysis (CCA) finds directions a, b that maximise a'X'Yb subject to
a'(X'X + n*r_x*I)a = b'(Y'Y + n*r_y*I)b = 1, X and Y with standardised columns. With X = U_x S_x V_x' and likewise Y the
answer is the singular value decomposition of

    D_x U_x' U_y D_y = P R Q',      D = S / sqrt(S^2 + n*r),
    A = V_x (S_x^2 + n*r_x)^(-1/2) P,    B = V_y (S_y^2 + n*r_y)^(-1/2) Q,

so that no matrix exceeds rows x columns, even with more columns than rows. Items are compared by the cosine of X A R^p
and Y B R^p. A power p > 0 gives strongly correlated directions more weight.

References
----------
Hotelling, "Relations between two sets of variates", Biometrika 1936; Vinod, "Canonical ridge and econometrics of
joint production", Journal of Econometrics 1976; weighting by correlations after Gong et al., "A multi-view
embedding space for modeling internet images, tags, and their semantics", IJCV 2014.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from reelscore.errors import InputError
from reelscore.evaluation.ranks import BoolArray, FloatArray, IntArray
from reelscore.features.scaling import Scaling

from .projection import (
    Columns,
    Projection,
    Sides,
    View,
    check_parts,
    check_sides,
    descriptions,
    mean_log_rank,
    pooled,
    unit,
)

__all__ = ["Fold", "LinearCCA", "Projection", "choose_settings", "descriptions", "pooled"]

REGULARISATIONS = (0.03, 0.3, 1.0, 3.0, 10.0, 30.0)
DIMS = (8, 16, 32, 64, 128)
POWERS = (0.0, 0.5, 1.0, 2.0)
START_DIM = 32
_View: TypeAlias = tuple[Columns, Scaling | None]
SETTINGS = ("dim", "reg_x", "reg_y", "power", "normal", "columns_x", "columns_y")
SCALINGS: tuple[Scaling, ...] = ("standard", "normal")
_CODES: dict[Scaling | None, float] = {"normal": 1.0, "standard": 0.0, None: -1.0}


class Fold(NamedTuple):
    """Training and validation features (X, Y); equal entries of `group` (n,) are hits in validation."""

    train: Sides
    val: Sides
    group: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class LinearCCA:
    """A fitted linear CCA.

    Attributes
    ----------
    x, y : Projection
        Projections of video and music; their weights contain the power of the correlations.
    correlations : ndarray of float64, shape (dim,)
        Regularised canonical correlations, in decreasing order.
    settings : mapping
        ``dim``, ``reg_x``, ``reg_y`` and ``power``; ``normal``, the scaling: 1 for normal scores, 0 for ``"standard"``,
        -1 for none; ``columns_x`` and ``columns_y``, the numbers of columns in use.
    """

    x: Projection
    y: Projection
    correlations: FloatArray
    settings: Mapping[str, float]

    @classmethod
    def fit(
        cls,
        X: npt.NDArray[np.floating],
        Y: npt.NDArray[np.floating],
        *,
        dim: int,
        reg_x: float,
        reg_y: float,
        power: float = 1.0,
        scaling: Scaling | None = None,
        columns: Columns | None = None,
    ) -> LinearCCA:
        """Fit a CCA on pairs.

        Parameters
        ----------
        X, Y : ndarray, shapes (n, P) and (n, P')
            Row i of both is pair i.
        dim : int
            Number of directions; fewer if the features have fewer.
        reg_x, reg_y : float
            Ridge, as a share of a standardised column's variance; positive.
        power : float
            p; finite and not negative.
        scaling : {"standard", "normal"}, optional
            Map of the columns before they are standardised (`features.scaling`).
        columns : tuple of int, optional
            Use only that many of the first columns of X and Y; all by default.

        Raises
        ------
        InputError
            If there are fewer than two pairs, a value is not finite, or a setting is out of range.
        """
        _check_settings(dim, reg_x, reg_y, power)
        check_sides((X, Y), "CCA", [] if columns is None else [columns])
        x, y = (
            View.of(values[:, :number], name, scaling)
            for values, name, number in zip((X, Y), "XY", columns or (None, None), strict=True)
        )
        A, correlations, B = _shaped(_solved(x, y, reg_x, reg_y), dim, power)
        first, second = (
            Projection(view.mean, view.scale, view.right @ weights, view.map, values.shape[1])
            for view, weights, values in ((x, A, X), (y, B, Y))
        )
        kept = float(len(correlations)), reg_x, reg_y, power, _CODES[scaling]
        num_used = (float(len(view.mean)) for view in (x, y))
        return cls(first, second, correlations, dict(zip(SETTINGS, (*kept, *num_used), strict=True)))

    @classmethod
    def fit_tuned(
        cls,
        train: Sides,
        val: Sides,
        *,
        val_group: IntArray | None = None,
        columns: Sequence[Columns] | None = None,
    ) -> LinearCCA:
        """Choose columns, scaling and settings on `val` by `choose_settings`, then fit on both parts.

        Parameters
        ----------
        train, val : pair of ndarray
            X and Y of each.
        val_group : ndarray of int64, optional
            Pairs of one group are hits of each other.
        columns : sequence of tuple of int, optional
            Candidates for `columns` of `fit`, as from `descriptions`; all columns by default.

        Raises
        ------
        InputError
            As `fit`.
        """
        group = np.arange(len(val[0])) if val_group is None else val_group
        chosen = choose_settings([Fold(train, val, group)], columns=columns)
        both = [np.concatenate(sides) for sides in zip(train, val, strict=True)]
        return cls.fit_settings(*both, settings=chosen)

    @classmethod
    def fit_settings(
        cls, X: npt.NDArray[np.floating], Y: npt.NDArray[np.floating], *, settings: Mapping[str, float]
    ) -> LinearCCA:
        """Fit with given settings, such as those of another LinearCCA.

        Raises
        ------
        InputError
            As `fit`; also if a setting is missing.
        """
        scalings = {code: scaling for scaling, code in _CODES.items()}
        if missing := [name for name in SETTINGS if name not in settings]:
            raise InputError(f"CCA needs the setting {missing[0]!r}; take the settings of a fit")
        if settings["normal"] not in scalings:
            raise InputError(f"the setting 'normal' must be 1, 0 or -1, got {settings['normal']}")
        return cls.fit(
            X,
            Y,
            dim=int(settings["dim"]),
            reg_x=settings["reg_x"],
            reg_y=settings["reg_y"],
            power=settings["power"],
            scaling=scalings[settings["normal"]],
            columns=(int(settings["columns_x"]), int(settings["columns_y"])),
        )

    def transform_x(self, X: npt.NDArray[np.floating]) -> FloatArray:
        """Return unit embeddings (N, dim) of video features (N, P)."""
        return unit(self.x.place(X))

    def transform_y(self, Y: npt.NDArray[np.floating]) -> FloatArray:
        """Return unit embeddings (N, dim) of music features (N, P')."""
        return unit(self.y.place(Y))

    def to_arrays(self) -> dict[str, FloatArray]:
        """Return the CCA as named arrays, for storage."""
        settings = np.array([float(self.settings[name]) for name in SETTINGS])
        return {
            "correlations": self.correlations,
            "settings": settings,
            **self.x.to_arrays("x"),
            **self.y.to_arrays("y"),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.floating]]) -> LinearCCA:
        """Rebuild a CCA from `to_arrays`; raise `InputError` if an array is missing."""
        try:
            x, y = (Projection.from_arrays(arrays, side) for side in "xy")
            settings = dict(zip(SETTINGS, np.asarray(arrays["settings"]).tolist(), strict=True))
            correlations = np.asarray(arrays["correlations"], np.float64)
        except KeyError as error:
            raise InputError(f"a stored CCA needs the array {error}; fit it again") from error
        return cls(x, y, correlations, settings)


def choose_settings(
    folds: Sequence[Fold],
    *,
    scalings: Sequence[Scaling | None] = SCALINGS,
    columns: Sequence[Columns] | None = None,
) -> dict[str, float]:
    """Return the settings with the lowest validation loss, by a grid search over this module's constants.

    The loss is `mean_log_rank`, averaged over the folds; ties go to the first setting. The search first chooses
    columns, scaling, both ridges and the power together with `START_DIM` directions, because a higher power needs less
    ridge. It then chooses the number of directions.

    Raises
    ------
    InputError
        As `LinearCCA.fit`; also without folds or scalings, or if the folds have different columns.
    """
    if not folds or not scalings:
        raise InputError(
            f"CCA needs at least one fold and one scaling to choose on, got {len(folds)} and {len(scalings)}"
        )
    for fold in folds:
        check_parts(*fold, "CCA", columns or ())
    widths = sorted({(fold.train[0].shape[1], fold.train[1].shape[1]) for fold in folds})
    if len(widths) > 1:
        raise InputError(f"CCA needs the same columns in all folds, got {widths}; take all from one encoder")
    all_columns = widths[0]
    prepared = {
        view: [_prepared(fold, *view) for fold in folds]
        for view in itertools.product(columns or [all_columns], scalings)
    }

    def losses(view: _View, reg_x: float, reg_y: float, shapes: Sequence[tuple[int, float]]) -> list[float]:
        by_fold = []
        for views, x, y, hits in prepared[view]:
            solved = _solved(*views, reg_x, reg_y)
            shaped = [_shaped(solved, dim, power) for dim, power in shapes]
            by_fold.append([mean_log_rank(unit(x @ A), unit(y @ B), hits) for A, _, B in shaped])
        means: list[float] = np.mean(by_fold, axis=0).tolist()
        return means

    tried = {
        (view, reg_x, reg_y, power): loss
        for view, reg_x, reg_y in itertools.product(prepared, REGULARISATIONS, REGULARISATIONS)
        for power, loss in zip(
            POWERS, losses(view, reg_x, reg_y, [(START_DIM, power) for power in POWERS]), strict=True
        )
    }
    view, reg_x, reg_y, power = min(tried, key=lambda one: tried[one])
    by_dim = losses(view, reg_x, reg_y, [(dim, power) for dim in DIMS])
    dim = DIMS[by_dim.index(min(by_dim))]
    (columns_x, columns_y), scaling = view
    values = dim, reg_x, reg_y, power, _CODES[scaling], columns_x, columns_y
    return dict(zip(SETTINGS, map(float, values), strict=True))


def _prepared(
    fold: Fold, columns: Columns, scaling: Scaling | None
) -> tuple[tuple[View, View], FloatArray, FloatArray, BoolArray]:
    first, second = (
        View.of(values[:, :number], name, scaling)
        for values, name, number in zip(fold.train, "XY", columns, strict=True)
    )
    views = first, second
    # In the basis of the singular vectors each setting costs a product of small matrices.
    x, y = (
        view.coordinates(values[:, :number])
        for view, values, number in zip(views, fold.val, columns, strict=True)
    )
    return views, x, y, fold.group[:, None] == fold.group[None, :]


class _Solved(NamedTuple):
    """Directions of both sides in the basis of the singular vectors, and their correlations."""

    x: FloatArray
    correlations: FloatArray
    y: FloatArray


def _solved(x: View, y: View, reg_x: float, reg_y: float) -> _Solved:
    n = len(x.left)
    norm_x = np.sqrt(x.singular**2 + n * reg_x)
    norm_y = np.sqrt(y.singular**2 + n * reg_y)
    core = (x.singular / norm_x)[:, None] * (x.left.T @ y.left) * (y.singular / norm_y)
    P, correlations, Qt = np.linalg.svd(core, full_matrices=False)
    return _Solved(P / norm_x[:, None], correlations, Qt.T / norm_y[:, None])


def _shaped(solved: _Solved, dim: int, power: float) -> _Solved:
    """Keep the first `dim` directions, weighted by a power of their correlations."""
    correlations = solved.correlations[:dim]
    weight = correlations**power
    return _Solved(solved.x[:, :dim] * weight, correlations, solved.y[:, :dim] * weight)


def _check_settings(dim: int, reg_x: float, reg_y: float, power: float) -> None:
    if dim < 1 or not (0 < reg_x < np.inf and 0 < reg_y < np.inf and 0 <= power < np.inf):
        raise InputError(
            "CCA needs dim >= 1, finite reg_x, reg_y > 0 and a finite power >= 0, "
            f"got {dim}, {reg_x}, {reg_y} and {power}"
        )
