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
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from .linear import Projection, View, mean_log_rank, pooled, unit
from .ranks import FloatArray, IntArray

__all__ = ["LinearCCA", "Projection", "pooled"]

REGULARISATIONS = (0.03, 0.3, 1.0, 3.0, 10.0, 30.0)
DIMS = (8, 16, 32, 64, 128)
POWERS = (0.0, 0.5, 1.0, 2.0)
START = (32, 1.0)
SETTINGS = ("dim", "reg_x", "reg_y", "power")


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
        ``dim``, ``reg_x``, ``reg_y`` and ``power``, as fitted or chosen.
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

        Raises
        ------
        InputError
            For fewer than two pairs, values that are not finite, or settings out of range.
        """
        _check_settings(dim, reg_x, reg_y)
        if len(X) != len(Y):
            raise InputError(f"CCA needs as many rows on both sides, got {len(X)} and {len(Y)}")
        x, y = View.of(X, "X"), View.of(Y, "Y")
        A, correlations, B = _directions(x, y, dim, reg_x, reg_y, power)
        settings = dict(zip(SETTINGS, (float(len(correlations)), reg_x, reg_y, power), strict=True))
        return cls(
            Projection(x.mean, x.scale, x.right @ A),
            Projection(y.mean, y.scale, y.right @ B),
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
        """Choose the settings on `val` over the grid of this module's constants, then fit on both parts together.

        First the two ridges, at the dim and power of `START`, then dim and power.
        What is compared is `linear.mean_log_rank`. The earliest of equals wins. Fitting on both parts in the end
        makes the rival as hard as its data allow.

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
        views = View.of(train[0], "X"), View.of(train[1], "Y")
        group = np.arange(len(val[0])) if val_group is None else val_group
        hits = group[:, None] == group[None, :]
        # In the coordinates of the singular vectors each setting costs a product of small matrices.
        x, y = (view.coordinates(values) for view, values in zip(views, val, strict=True))

        def loss(dim: int, reg_x: float, reg_y: float, power: float) -> float:
            A, _, B = _directions(*views, dim, reg_x, reg_y, power)
            return mean_log_rank(unit(x @ A), unit(y @ B), hits)

        dim, power = START
        ridges = itertools.product(REGULARISATIONS, repeat=2)
        reg_x, reg_y = min(ridges, key=lambda ridge: loss(dim, ridge[0], ridge[1], power))
        dim, power = min(
            itertools.product(DIMS, POWERS), key=lambda shape: loss(shape[0], reg_x, reg_y, shape[1])
        )
        both = [np.concatenate(sides) for sides in zip(train, val, strict=True)]
        return cls.fit(*both, dim=dim, reg_x=reg_x, reg_y=reg_y, power=power)

    def transform_x(self, X: npt.NDArray[np.floating]) -> FloatArray:
        """Place video features, shape (N, P), at unit norm, shape (N, dim)."""
        return unit(self.x.place(X))

    def transform_y(self, Y: npt.NDArray[np.floating]) -> FloatArray:
        """Place music features, shape (N, P'), at unit norm, shape (N, dim)."""
        return unit(self.y.place(Y))

    def to_arrays(self) -> dict[str, FloatArray]:
        """Return everything as named arrays, to be stored beside a model."""
        settings = np.array([float(self.settings[name]) for name in SETTINGS])
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
            settings = dict(zip(SETTINGS, np.asarray(arrays["settings"]).tolist(), strict=True))
            correlations = np.asarray(arrays["correlations"], np.float64)
        except KeyError as error:
            raise InputError(f"a stored CCA needs the array {error}; fit it again") from error
        return cls(x, y, correlations, settings)


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
