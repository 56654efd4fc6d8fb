"""Linear baseline: ridge regressions between the pooled features of both sides.

With X and Y of standardised columns, W = (X'X + n r_x I)^-1 X'Y predicts the music of a video and
W' = (Y'Y + n r_y I)^-1 Y'X the video of a track. A pair is scored in both predicted spaces,

    score(x, y) = (cos(xW, y) + cos(x, yW')) / 2,

which is one inner product: x becomes [xW/|xW|, x/|x|] / sqrt(2), and y likewise with the halves exchanged.

References
----------
Hoerl and Kennard, "Ridge regression: biased estimation for nonorthogonal problems", Technometrics 1970.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reelscore.evaluation.ranks import FloatArray, IntArray
from reelscore.features.scaling import mean_and_scale
from reelscore.models.kernel.cca import mean_log_rank, unit

REGULARISATIONS = (0.03, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)

Sides = tuple[FloatArray, FloatArray]
"""Features of video and music; row i of both is pair i."""


@dataclass(frozen=True, slots=True, eq=False)
class Ridge:
    """Fitted ridge regressions in both directions.

    Attributes
    ----------
    center, scale : pair of ndarray, shapes (P,) and (P',)
        Of the columns of both sides.
    weights : pair of ndarray, shapes (P, P') and (P', P)
        W and W'.
    settings : mapping
        ``reg_x`` and ``reg_y``.
    """

    center: Sides
    scale: Sides
    weights: Sides
    settings: Mapping[str, float]

    @classmethod
    def fit(cls, sides: Sides, *, reg_x: float, reg_y: float) -> Ridge:
        """Fit on pairs; the ridges are relative to the variance of a standardised column."""
        return _Problem(sides).fit(reg_x, reg_y)

    @classmethod
    def fit_tuned(cls, train: Sides, val: Sides, *, val_group: IntArray) -> Ridge:
        """Choose each ridge on `val` in the space that it predicts, by the mean log rank, then fit on both parts."""
        problem = _Problem(train)
        hits = val_group[:, None] == val_group[None, :]
        losses = []
        for reg in REGULARISATIONS:
            in_music, in_video = problem.fit(reg, reg).compare(*val)
            losses.append((mean_log_rank(in_music, hits), mean_log_rank(in_video, hits)))
        reg_x, reg_y = (REGULARISATIONS[int(np.argmin(column))] for column in zip(*losses, strict=True))
        both = np.concatenate([train[0], val[0]]), np.concatenate([train[1], val[1]])
        return cls.fit(both, reg_x=reg_x, reg_y=reg_y)

    def embed(self, video: FloatArray, music: FloatArray) -> Sides:
        """Return unit embeddings (N, P + P') of both sides."""
        (x, y), (of_video, of_music) = self._spaces(video, music)
        return np.hstack([of_video, x]) / np.sqrt(2), np.hstack([y, of_music]) / np.sqrt(2)

    def compare(
        self, video: FloatArray, music: FloatArray
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return the scores (N, N) in the music space and in the video space."""
        (x, y), (of_video, of_music) = self._spaces(video, music)
        return (of_video @ y.T).astype(np.float32), (x @ of_music.T).astype(np.float32)

    def _spaces(self, video: FloatArray, music: FloatArray) -> tuple[Sides, Sides]:
        x, y = (
            (rows - center) / scale
            for rows, center, scale in zip((video, music), self.center, self.scale, strict=True)
        )
        return (unit(x), unit(y)), (unit(x @ self.weights[0]), unit(y @ self.weights[1]))


class _Problem:
    """Standardised pairs and their singular value decompositions, shared by all ridges."""

    def __init__(self, sides: Sides) -> None:
        scales = [mean_and_scale([rows]) for rows in sides]
        self.center = scales[0][0], scales[1][0]
        self.scale = scales[0][1], scales[1][1]
        self._rows = [(rows - c) / s for rows, (c, s) in zip(sides, scales, strict=True)]
        self._svd = [np.linalg.svd(rows, full_matrices=False) for rows in self._rows]

    def fit(self, reg_x: float, reg_y: float) -> Ridge:
        weights = self._weights(0, reg_x), self._weights(1, reg_y)
        return Ridge(self.center, self.scale, weights, {"reg_x": reg_x, "reg_y": reg_y})

    def _weights(self, side: int, reg: float) -> FloatArray:
        left, singular, right = self._svd[side]
        shrunk = singular / (singular**2 + len(left) * reg)
        W: FloatArray = (right.T * shrunk) @ (left.T @ self._rows[1 - side])
        return W
