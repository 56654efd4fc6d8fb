"""Coordinates of one modality in which CCA is solved: linear, or in the feature space of a kernel.

Rows become normal scores by column (`features.scaling`), centred and scaled to a total variance of 1. For rows a and b
at the angle t, the kernels are

    arc-cosine   k = (sin t + (pi - t) cos t) / pi
    rbf          k = exp(-(1 - cos t) / w),    w the median of 1 - cos t over pairs of landmarks.

Both read the angle alone. The norm of a row of means and deviations over time is smaller for a longer source, whose
estimates are more exact, so a kernel that reads it can compare durations.

A kernel is evaluated at landmarks L, a random sample of the training rows: F = k(z, L) K_LL^(-1/2), the Nystroem
features. F F' is the exact kernel matrix where every row is a landmark. Coordinates are the projections of F (of the
rows themselves for the linear kind) on their leading principal axes, scaled to a total variance of 1.

References
----------
Cho and Saul, "Kernel methods for deep learning", NeurIPS 2009 (arc-cosine); Williams and Seeger, "Using the Nystroem
method to speed up kernel machines", NeurIPS 2000.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from reelscore.features.scaling import ColumnMap

FloatArray = npt.NDArray[np.float64]
Kernel = Literal["linear", "arc-cosine", "rbf"]
KERNELS: tuple[Kernel, ...] = get_args(Kernel)

MAX_LANDMARKS = 900
MAX_LEARNED_ROWS = 20_000
"""Rows from which the map of columns is learned; more do not change a quantile noticeably."""
MAX_AXES = 300
_SMALLEST = 1e-10  # eigenvalues below this share of the largest, and distances, are rounding noise
_TINY = 1e-300
_BLOCK_ROWS = 4096
_JITTER = 1e-8  # added to the diagonal of K_LL, whose diagonal is 1, so that it has a Cholesky factor


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Normal scores of the columns of one modality, centred and scaled to a total variance of 1.

    Attributes
    ----------
    columns : ColumnMap
        P columns.
    center : ndarray of float64, shape (P,)
    scale : float
    """

    columns: ColumnMap
    center: FloatArray
    scale: float

    @classmethod
    def learn(cls, rows: npt.NDArray[np.floating]) -> Scores:
        """Learn from rows (n, P), at most `MAX_LEARNED_ROWS` of them; NaN marks a missing value."""
        if len(rows) > MAX_LEARNED_ROWS:
            rows = rows[np.linspace(0, len(rows) - 1, MAX_LEARNED_ROWS).round().astype(np.int64)]
        present = ~np.isnan(rows)
        columns = ColumnMap.learn(np.nan_to_num(rows))
        for column in np.flatnonzero(present.any(axis=0) & ~present.all(axis=0)):
            own = ColumnMap.learn(rows[present[:, column], column, None])
            columns.knots[column], columns.scores[column] = own.knots[0], own.scores[0]
        mapped = columns(rows)
        center = np.nan_to_num(mapped).sum(axis=0) / np.maximum(present.sum(axis=0), 1)
        spread = float(np.square(np.nan_to_num(mapped - center)).sum() / len(rows))
        return cls(columns, center, spread**0.5 or 1.0)

    def __call__(self, rows: npt.NDArray[np.floating]) -> FloatArray:
        """Return the scaled scores (N, P) of rows (N, P); 0, the mean, for NaN."""
        scores = np.empty(rows.shape)
        for start in range(
            0, len(rows), _BLOCK_ROWS
        ):  # the map of columns needs several times the memory of its rows
            block = slice(start, start + _BLOCK_ROWS)
            scores[block] = np.nan_to_num((self.columns(rows[block]) - self.center) / self.scale)
        return scores


@dataclass(frozen=True, slots=True, eq=False)
class KernelMap:
    """Kernel values of scaled rows at landmarks; for the linear kind the rows themselves.

    Attributes
    ----------
    kernel : {"linear", "arc-cosine", "rbf"}
    landmarks : ndarray of float64, shape (m, P)
        Unused by the linear kind.
    width : float
        w of the RBF kernel.
    """

    kernel: Kernel
    landmarks: FloatArray
    width: float = 1.0

    @classmethod
    def learn(cls, kernel: Kernel, landmarks: FloatArray) -> KernelMap:
        """Set the width of the RBF kernel from the landmarks."""
        if kernel != "rbf" or len(landmarks) < 2:
            return cls(kernel, landmarks)
        distance = 1 - _cosine(landmarks, landmarks)[np.triu_indices(len(landmarks), 1)]
        width = float(np.median(distance))
        return cls(kernel, landmarks, width if width > _SMALLEST else 1.0)

    def __call__(self, z: FloatArray) -> FloatArray:
        """Return the kernel values (N, m) of scaled rows (N, P)."""
        if self.kernel == "linear":
            return z
        cosine = _cosine(z, self.landmarks)
        if self.kernel == "rbf":
            return np.exp((cosine - 1) / self.width)
        angle = np.arccos(cosine)
        values: FloatArray = (np.sqrt(1 - cosine**2) + (np.pi - angle) * cosine) / np.pi
        return values


@dataclass(frozen=True, slots=True, eq=False)
class Coordinates:
    """Coordinates of one modality, fitted on training rows.

    Attributes
    ----------
    kernel : KernelMap
    offset : ndarray of float64, shape (k,)
    axes : ndarray of float64, shape (m or P, k)
        The coordinates of a scaled row z are ``kernel(z) @ axes - offset``.
    train : ndarray of float64, shape (n, k)
        Coordinates of the training rows.
    singular : ndarray of float64, shape (k,)
        Their norms by column, in decreasing order.
    """

    kernel: KernelMap
    offset: FloatArray
    axes: FloatArray
    train: FloatArray
    singular: FloatArray

    @classmethod
    def fit(cls, kernel: Kernel, z: FloatArray, landmarks: npt.NDArray[np.int64]) -> Coordinates:
        """Fit on scaled training rows (n, P), with the rows at `landmarks` as landmarks."""
        mapped = KernelMap.learn(kernel, z[landmarks])
        whiten: FloatArray | None = None
        features = mapped(z)
        if kernel != "linear":
            # With C C' = K_LL, rows k C'^(-1) have the inner products of k K_LL^(-1/2), at a tenth of the cost.
            gram = features[landmarks] + _JITTER * np.eye(len(landmarks))
            whiten = np.linalg.inv(np.linalg.cholesky(gram)).T
            features = features @ whiten
        mean = features.mean(axis=0)
        total = np.square(features).sum()
        features = features - mean
        spread = np.square(features).sum()
        if spread > _SMALLEST * total:
            axes, squares = _principal_axes(features)
            factor = (len(z) / spread) ** 0.5
        else:  # the rows are alike, as those of a single pair
            axes, squares, factor = np.zeros((features.shape[1], 1)), np.zeros(1), 1.0
        axes = axes * factor
        offset = mean @ axes
        combined = axes if whiten is None else whiten @ axes
        return cls(mapped, offset, combined, features @ axes, np.sqrt(squares) * factor)

    def __call__(self, z: FloatArray) -> FloatArray:
        """Return the coordinates (N, k) of scaled rows (N, P)."""
        coordinates: FloatArray = self.kernel(z) @ self.axes - self.offset
        return coordinates


def _principal_axes(centred: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the leading principal axes (F, k) of rows (n, F), and their squared singular values, decreasing."""
    transposed = len(centred) < centred.shape[1]  # the smaller of the two matrices of inner products
    squares, vectors = np.linalg.eigh(centred @ centred.T if transposed else centred.T @ centred)
    squares, vectors = squares[::-1][:MAX_AXES], vectors[:, ::-1][:, :MAX_AXES]
    kept = squares > _SMALLEST * squares[0]
    squares, vectors = squares[kept], vectors[:, kept]
    return (centred.T @ vectors / np.sqrt(squares) if transposed else vectors), squares


def _cosine(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the cosines of all rows of a with all rows of b; 0 for a row of zeros."""
    one, other = (rows / (np.linalg.norm(rows, axis=1, keepdims=True) + _TINY) for rows in (a, b))
    cosines: FloatArray = np.clip(one @ other.T, -1.0, 1.0)
    return cosines
