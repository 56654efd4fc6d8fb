"""Pooled features of both sides enter, a linear CCA that places them in one space leaves: the rival to beat.

Regularised canonical correlation analysis finds directions a, b that maximise a'X'Yb subject to
a'(X'X + n*r_x*I)a = b'(Y'Y + n*r_y*I)b = 1, X and Y with standardised columns. With X = U_x S_x V_x' and likewise Y the
answer is the singular value decomposition of

    D_x U_x' U_y D_y = P R Q',      D = S / sqrt(S^2 + n*r),
    A = V_x (S_x^2 + n*r_x)^(-1/2) P,    B = V_y (S_y^2 + n*r_y)^(-1/2) Q,

so that nothing larger than rows x columns is made even where there are more columns than rows. Items are
compared by the cosine of X A R^p and Y B R^p: a power p > 0 trusts strongly correlated directions more.

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
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..scaling import Scaling
from .linear import Projection, View, mean_log_rank, pooled, unit
from .ranks import BoolArray, FloatArray, IntArray

__all__ = ["Fold", "LinearCCA", "Projection", "choose_settings", "pooled"]

REGULARISATIONS = (0.03, 0.3, 1.0, 3.0, 10.0, 30.0)
DIMS = (8, 16, 32, 64, 128)
POWERS = (0.0, 0.5, 1.0, 2.0)
START = (32, 1.0)
SETTINGS = ("dim", "reg_x", "reg_y", "power")
SCALINGS: tuple[Scaling, ...] = ("standard", "normal")


class Fold(NamedTuple):
    """One way to part pairs: fitted on (X, Y) of `train`, judged on those of `val`, whose `group` (n,) makes hits."""

    train: tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]
    val: tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]
    group: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class LinearCCA:
    """A fitted linear CCA.

    Attributes
    ----------
    x, y : Projection
        Video and music side; the weights hold the power of the correlations already.
    correlations : ndarray of float64, shape (dim,)
        Regularised canonical correlations, falling.
    settings : mapping
        ``dim``, ``reg_x``, ``reg_y`` and ``power``, as fitted or chosen; ``normal`` is 1 where the columns are normal
        scores.
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
    ) -> LinearCCA:
        """Fit on pairs.

        Parameters
        ----------
        X, Y : ndarray, shapes (n, P) and (n, P')
            Row i of both is pair i.
        dim : int
            Directions kept; fewer where the features have fewer.
        reg_x, reg_y : float
            Ridge as a share of a standardised column's variance; positive.
        power : float
            p above.
        scaling : {"standard", "normal"}, optional
            What the columns go through before (`scaling`); they are standardised in any case.

        Raises
        ------
        InputError
            For fewer than two pairs, values that are not finite, or settings out of range.
        """
        _check_settings(dim, reg_x, reg_y)
        if len(X) != len(Y):
            raise InputError(f"CCA needs as many rows on both sides, got {len(X)} and {len(Y)}")
        x, y = View.of(X, "X", scaling), View.of(Y, "Y", scaling)
        A, correlations, B = _directions(x, y, dim, reg_x, reg_y, power)
        settings = dict(zip(SETTINGS, (float(len(correlations)), reg_x, reg_y, power), strict=True))
        settings["normal"] = float(scaling == "normal")
        return cls(
            Projection(x.mean, x.scale, x.right @ A, x.map),
            Projection(y.mean, y.scale, y.right @ B, y.map),
            correlations,
            settings,
        )

    @classmethod
    def fit_tuned(
        cls,
        train: tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]],
        val: tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]],
        *,
        val_group: IntArray | None = None,
    ) -> LinearCCA:
        """Choose scaling and settings on `val` by `choose_settings`, then fit on both parts together.

        Fitting on both parts in the end makes the rival as hard as its data allow.

        Parameters
        ----------
        train, val : pair of ndarray
            X and Y of each.
        val_group : ndarray of int64, optional
            Pairs of one group are hits of each other.

        Raises
        ------
        InputError
            As `fit`.
        """
        group = np.arange(len(val[0])) if val_group is None else val_group
        chosen = choose_settings([Fold(train, val, group)])
        both = [np.concatenate(sides) for sides in zip(train, val, strict=True)]
        return cls.fit_settings(*both, settings=chosen)

    @classmethod
    def fit_settings(
        cls, X: npt.NDArray[np.floating], Y: npt.NDArray[np.floating], *, settings: Mapping[str, float]
    ) -> LinearCCA:
        """Fit with settings that were chosen before, such as those of another LinearCCA."""
        return cls.fit(
            X,
            Y,
            dim=int(settings["dim"]),
            reg_x=settings["reg_x"],
            reg_y=settings["reg_y"],
            power=settings["power"],
            scaling="normal" if settings["normal"] else "standard",
        )

    def transform_x(self, X: npt.NDArray[np.floating]) -> FloatArray:
        """Place video features, shape (N, P), at unit norm, shape (N, dim)."""
        return unit(self.x.place(X))

    def transform_y(self, Y: npt.NDArray[np.floating]) -> FloatArray:
        """Place music features, shape (N, P'), at unit norm, shape (N, dim)."""
        return unit(self.y.place(Y))

    def to_arrays(self) -> dict[str, FloatArray]:
        """Return everything as named arrays, to be stored beside a model."""
        settings = np.array([float(self.settings[name]) for name in (*SETTINGS, "normal")])
        return {
            "correlations": self.correlations,
            "settings": settings,
            **self.x.to_arrays("x"),
            **self.y.to_arrays("y"),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.floating]]) -> LinearCCA:
        """Rebuild what `to_arrays` gave; raises `InputError` when an array is missing."""
        try:
            x, y = (Projection.from_arrays(arrays, side) for side in "xy")
            settings = dict(zip((*SETTINGS, "normal"), np.asarray(arrays["settings"]).tolist(), strict=True))
            correlations = np.asarray(arrays["correlations"], np.float64)
        except KeyError as error:
            raise InputError(f"a stored CCA needs the array {error}; fit it again") from error
        return cls(x, y, correlations, settings)


def choose_settings(
    folds: Sequence[Fold], *, scalings: Sequence[Scaling | None] = SCALINGS
) -> dict[str, float]:
    """Return the settings that serve the held-out pairs of all folds best, over the grid of this module's constants.

    First the two ridges, for each scaling, at the dim and power of `START`; then dim and power.
    What is compared is `linear.mean_log_rank`, the mean over the folds. The earliest of equals wins.

    Raises
    ------
    InputError
        As `LinearCCA.fit`.
    """
    prepared = {scaling: [_prepared(fold, scaling) for fold in folds] for scaling in scalings}

    def loss(scaling: Scaling | None, dim: int, reg_x: float, reg_y: float, power: float) -> float:
        found = []
        for views, x, y, hits in prepared[scaling]:
            A, _, B = _directions(*views, dim, reg_x, reg_y, power)
            found.append(mean_log_rank(unit(x @ A), unit(y @ B), hits))
        return float(np.mean(found))

    dim, power = START
    scaling, reg_x, reg_y = min(
        itertools.product(scalings, REGULARISATIONS, REGULARISATIONS),
        key=lambda one: loss(one[0], dim, one[1], one[2], power),
    )
    dim, power = min(
        itertools.product(DIMS, POWERS), key=lambda shape: loss(scaling, shape[0], reg_x, reg_y, shape[1])
    )
    settings = dict(zip(SETTINGS, (float(dim), reg_x, reg_y, power), strict=True))
    return {**settings, "normal": float(scaling == "normal")}


def _prepared(
    fold: Fold, scaling: Scaling | None
) -> tuple[tuple[View, View], FloatArray, FloatArray, BoolArray]:
    views = View.of(fold.train[0], "X", scaling), View.of(fold.train[1], "Y", scaling)
    # In the coordinates of the singular vectors each setting costs a product of small matrices.
    x, y = (view.coordinates(values) for view, values in zip(views, fold.val, strict=True))
    return views, x, y, fold.group[:, None] == fold.group[None, :]


def _directions(
    x: View, y: View, dim: int, reg_x: float, reg_y: float, power: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return A, the correlations and B, in the coordinates of the singular vectors."""
    n = len(x.left)
    norm_x = np.sqrt(x.singular**2 + n * reg_x)
    norm_y = np.sqrt(y.singular**2 + n * reg_y)
    core = (x.singular / norm_x)[:, None] * (x.left.T @ y.left) * (y.singular / norm_y)
    P, correlations, Qt = np.linalg.svd(core, full_matrices=False)
    correlations = correlations[:dim]
    weight = correlations**power
    return P[:, :dim] / norm_x[:, None] * weight, correlations, Qt[:dim].T / norm_y[:, None] * weight


def _check_settings(dim: int, reg_x: float, reg_y: float) -> None:
    if dim < 1 or not (0 < reg_x < np.inf and 0 < reg_y < np.inf):
        raise InputError(f"CCA needs dim >= 1 and finite reg_x, reg_y > 0, got {dim}, {reg_x} and {reg_y}")
