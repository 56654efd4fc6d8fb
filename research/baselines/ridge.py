"""Linear baseline: ridge regressions between the pooled features of both sides.

With X and Y of standardised columns, W = (X'X + n*r_x*I)^-1 X'Y predicts the music of a video and
W' = (Y'Y + n*r_y*I)^-1 Y'X the video of a track. A pair is scored in both predicted spaces,

    score(x, y) = (1 - mix) * cos(xW, y) + mix * cos(x, yW'),

which is one inner product of unit vectors: x becomes [sqrt(1 - mix) xW/|xW|, sqrt(mix) x/|x|], and y likewise with the
halves exchanged. With X = U_x S_x V_x' and likewise Y, the code works in the coordinates V_x, V_y of the singular
vectors, where W = S_x/(S_x^2 + n*r_x) U_x'U_y S_y, so each ridge costs one small product. Of a new item, only the
part in the span of the fitted items counts.

References
----------
Hoerl and Kennard, "Ridge regression: biased estimation for nonorthogonal problems", Technometrics 1970.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from reelscore.errors import InputError
from reelscore.evaluation.ranks import BoolArray, FloatArray, IntArray
from reelscore.models.linear.projection import (
    Columns,
    Projection,
    Sides,
    View,
    check_parts,
    check_sides,
    mean_log_rank,
    unit,
)

REGULARISATIONS = (0.03, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
MIXES = (0.5, 0.25, 0.75, 0.0, 1.0)
SETTINGS = ("reg_x", "reg_y", "mix", "music_dim")


@dataclass(frozen=True, slots=True, eq=False)
class Ridge:
    """Fitted ridge regressions in both directions.

    Attributes
    ----------
    x, y : Projection
        Video and music side. The columns of the weights map to the music space first, then to the video space.
    settings : mapping
        ``reg_x``, ``reg_y``, ``mix`` and ``music_dim``, the dimension of the music space.
    """

    x: Projection
    y: Projection
    settings: Mapping[str, float]

    @classmethod
    def fit(
        cls,
        X: npt.NDArray[np.floating],
        Y: npt.NDArray[np.floating],
        *,
        reg_x: float,
        reg_y: float,
        mix: float = 0.5,
        columns: Columns | None = None,
    ) -> Ridge:
        """Fit on pairs.

        Parameters
        ----------
        X, Y : ndarray, shapes (n, P) and (n, P')
            Row i of both is pair i.
        reg_x, reg_y : float
            Ridge of the prediction from X and from Y, relative to the variance of a standardised column; positive.
        mix : float
            In [0, 1]; 0 uses only the predicted music, 1 only the predicted video.
        columns : tuple of int, optional
            Number of leading columns of X and Y to use; all by default.

        Raises
        ------
        InputError
            For fewer than two pairs, values that are not finite, or settings out of range.
        """
        if not (0 < reg_x < np.inf and 0 < reg_y < np.inf and 0 <= mix <= 1):
            raise InputError(
                f"ridge needs finite reg_x, reg_y > 0 and mix in [0, 1], got {reg_x}, {reg_y} and {mix}"
            )
        check_sides((X, Y), "ridge", [] if columns is None else [columns])
        given = X.shape[1], Y.shape[1]
        x, y = _views(X, Y, columns or given)
        music_of_video, video_of_music = _prediction(x, y, reg_x), _prediction(y, x, reg_y)
        settings = dict(zip(SETTINGS, (reg_x, reg_y, mix, float(len(y.singular))), strict=True))
        return cls(
            Projection(x.mean, x.scale, np.hstack([x.right @ music_of_video, x.right]), None, given[0]),
            Projection(y.mean, y.scale, np.hstack([y.right, y.right @ video_of_music]), None, given[1]),
            settings,
        )

    @classmethod
    def fit_tuned(
        cls,
        train: Sides,
        val: Sides,
        *,
        val_group: IntArray | None = None,
        columns: Sequence[Columns] | None = None,
    ) -> Ridge:
        """Choose columns and settings on `val` over the module's grid, then fit on both parts together.

        Each ridge is chosen in the space that it predicts, then the mix, by the mean log rank. The first of equal
        settings wins.

        Parameters
        ----------
        train, val : pair of ndarray
            X and Y of each.
        val_group : ndarray of int64, optional
            Pairs of one group are hits of each other.
        columns : sequence of tuple of int, optional
            The choices for `fit`'s `columns`; all columns by default.

        Raises
        ------
        InputError
            As `fit`.
        """
        group = np.arange(len(val[0])) if val_group is None else val_group
        check_parts(train, val, group, "ridge", columns or ())
        hits = group[:, None] == group[None, :]
        all_columns = train[0].shape[1], train[1].shape[1]
        tried = {one: _tuned(train, val, hits, one) for one in columns or [all_columns]}
        chosen = min(tried, key=lambda one: tried[one].loss)
        reg_x, reg_y, mix, _ = tried[chosen]
        both = [np.concatenate(sides) for sides in zip(train, val, strict=True)]
        return cls.fit(*both, reg_x=reg_x, reg_y=reg_y, mix=mix, columns=chosen)

    def transform_x(self, X: npt.NDArray[np.floating]) -> FloatArray:
        """Return unit embeddings, shape (N, dim), of video features, shape (N, P)."""
        return self._unit_halves(self.x.place(X))

    def transform_y(self, Y: npt.NDArray[np.floating]) -> FloatArray:
        """Return unit embeddings, shape (N, dim), of music features, shape (N, P')."""
        return self._unit_halves(self.y.place(Y))

    def _unit_halves(self, placed: FloatArray) -> FloatArray:
        music_dim = int(self.settings["music_dim"])
        return _side_by_side(unit(placed[:, :music_dim]), unit(placed[:, music_dim:]), self.settings["mix"])


class _Tuned(NamedTuple):
    reg_x: float
    reg_y: float
    mix: float
    loss: float


def _tuned(train: Sides, val: Sides, hits: BoolArray, columns: Columns) -> _Tuned:
    """Return the settings with the lowest loss on validation for one choice of columns."""
    views = _views(*train, columns)
    x, y = (
        view.coordinates(values[:, :number]) for view, values, number in zip(views, val, columns, strict=True)
    )
    own_x, own_y = unit(x), unit(y)
    music = {reg: unit(x @ _prediction(*views, reg)) for reg in REGULARISATIONS}
    video = {reg: unit(y @ _prediction(*views[::-1], reg)) for reg in REGULARISATIONS}
    reg_x = min(REGULARISATIONS, key=lambda reg: mean_log_rank(music[reg], own_y, hits))
    reg_y = min(REGULARISATIONS, key=lambda reg: mean_log_rank(own_x, video[reg], hits))
    losses = {
        mix: mean_log_rank(
            _side_by_side(music[reg_x], own_x, mix), _side_by_side(own_y, video[reg_y], mix), hits
        )
        for mix in MIXES
    }
    mix = min(losses, key=lambda one: losses[one])
    return _Tuned(reg_x, reg_y, mix, losses[mix])


def _views(X: npt.NDArray[np.floating], Y: npt.NDArray[np.floating], columns: Columns) -> tuple[View, View]:
    return View.of(X[:, : columns[0]], "X"), View.of(Y[:, : columns[1]], "Y")


def _prediction(source: View, target: View, reg: float) -> FloatArray:
    """Return W, from the coordinates of one side's singular vectors to those of the other side's."""
    shrunk = source.singular / (source.singular**2 + len(source.left) * reg)
    W: FloatArray = shrunk[:, None] * (source.left.T @ target.left) * target.singular
    return W


def _side_by_side(in_music: FloatArray, in_video: FloatArray, mix: float) -> FloatArray:
    return np.hstack([np.sqrt(1.0 - mix) * in_music, np.sqrt(mix) * in_video])
