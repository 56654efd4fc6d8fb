"""The rows of a source enter; its arc, how they move over its length, leaves, and stands beside its embedding.

What a sequence is like on the whole (`pooling`) does not say when it is so. Where a track is as long as its video, as
in a finished video with its own music, the two often move together: the picture grows bright and busy where the music
grows loud. So both are cut into K equal parts, and what is told of part k is where it stands beside the rest,

    x_k = mean of the rows in part k - mean of all rows,        a_k = A' x_k - c_k,        arc = u(a_1, ..., a_K),

u scaling to length 1, A being few directions on which x_k and y_k go together over all parts of all training pairs (a
linear CCA of the parts), and c_k what such sequences do in part k anyway: most begin and end softly. The inner product
of two arcs is the correlation in time of what they share.

It is worth nothing where a track goes on longer than the video, so search, whose tracks are whole, goes without; pairs
that are in step have it beside the towers' embedding e, with the share s that cross-validation gives it:

    [ √(1 - s) e, √s arc ].
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..domain import FloatArray, Modality

FEWEST = 8
"""Parts below which a source has no arc."""


@dataclass(frozen=True, slots=True, eq=False)
class ArcSide:
    """One modality's way from rows to its arc.

    Attributes
    ----------
    weights : ndarray of float32, shape (D, d)
        A.
    profile : ndarray of float32, shape (K, d)
        c.
    """

    weights: FloatArray
    profile: FloatArray

    def __call__(self, rows: FloatArray) -> FloatArray:
        """Return the arc of a source, rows (T, D), shape (K * d,): of length 1, or 0 where nothing moves."""
        arc = (parts(rows, len(self.profile)) @ self.weights - self.profile).ravel()
        length = float(np.linalg.norm(arc))
        # One row, or the same all the time: that says nothing for or against any other.
        if len(rows) < FEWEST or not np.ptp(rows, axis=0).any() or length == 0:
            return np.zeros_like(arc)
        return (arc / length).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Arc:
    """The arcs of both modalities, and what they count.

    Attributes
    ----------
    video, music : ArcSide
    share : float
        s, in (0, 1).
    """

    video: ArcSide
    music: ArcSide
    share: float

    def beside(self, embedding: FloatArray, rows: FloatArray, modality: Modality) -> FloatArray:
        """Put the arc of a source, rows (T, D), beside its embedding (E,): shape (E + K * d,)."""
        arc = (self.video if modality == "video" else self.music)(rows)
        shares = np.float32(math.sqrt(1 - self.share)), np.float32(math.sqrt(self.share))
        return np.concatenate([shares[0] * embedding, shares[1] * arc])

    def to_arrays(self) -> dict[str, FloatArray]:
        """Return everything by name, to be stored among a model's weights."""
        return {
            "arc.share": np.array([self.share], np.float32),
            **{
                f"arc.{name}.{what}": getattr(side, what)
                for name, side in (("video", self.video), ("music", self.music))
                for what in ("weights", "profile")
            },
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, FloatArray]) -> Arc | None:
        """Rebuild what `to_arrays` gave, None where there is none; `KeyError` for a missing part."""
        if "arc.share" not in arrays:
            return None
        video, music = (
            ArcSide(arrays[f"arc.{name}.weights"], arrays[f"arc.{name}.profile"])
            for name in ("video", "music")
        )
        return cls(video, music, float(arrays["arc.share"][0]))


def parts(rows: npt.NDArray[np.floating], number: int) -> FloatArray:
    """Cut a sequence (T, D) into equal parts: the mean of each, less the mean of all, shape (number, D).

    A row that lies across an edge belongs to both sides by its shares, so any number of parts suits any T.

    Examples
    --------
    >>> parts(np.array([[0.0], [2.0], [4.0]]), 2).tolist()
    [[-1.3333333730697632], [1.3333333730697632]]
    """
    edges = np.linspace(0, len(rows), number + 1)
    sums = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0, dtype=np.float64)])
    whole = np.minimum(edges.astype(np.int64), len(rows) - 1)
    up_to = sums[whole] + (edges - whole)[:, None] * rows[whole]
    means = np.diff(up_to, axis=0) * (number / len(rows))
    centred: FloatArray = (means - means.mean(axis=0)).astype(np.float32)
    return centred
