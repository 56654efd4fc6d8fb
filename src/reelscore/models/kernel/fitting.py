"""Fit the parts of a kernel model, and measure them on held-out pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from reelscore.errors import InputError
from reelscore.evaluation.metrics import recall_at
from reelscore.evaluation.ranks import first_hit_ranks

from .cca import Fold, Problem, Settings, mean_log_rank, solve, unit
from .coordinates import MAX_LANDMARKS, Coordinates, FloatArray, Kernel, KernelMap, Scores

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One CCA: the unit embedding of a scaled row z is ``unit(kernel(z) @ weights + bias)``."""

    kernel: KernelMap
    weights: FloatArray
    bias: FloatArray

    def __call__(self, z: FloatArray) -> FloatArray:
        """Return unit embeddings (N, dim) of scaled rows (N, P)."""
        return unit(self.project(z))

    def project(self, z: FloatArray) -> FloatArray:
        """Return the projections (N, dim) of scaled rows (N, P), not normalised."""
        projected: FloatArray = self.kernel(z) @ self.weights + self.bias
        return projected


Side: TypeAlias = tuple[Scores, tuple[Part, ...]]
"""The scaling of a modality, and its side of every part."""


def fit_parts(
    video: npt.NDArray[np.floating],
    music: npt.NDArray[np.floating],
    kernels: Sequence[Kernel],
    settings: Sequence[Settings],
    rng: np.random.Generator,
) -> tuple[tuple[Side, Side], tuple[FloatArray, ...]]:
    """Fit every part on all pairs; return both sides and the correlations of each part."""
    scaled = [Scores.learn(rows) for rows in (video, music)]
    x, y = (scaling(rows) for scaling, rows in zip(scaled, (video, music), strict=True))
    landmarks = _landmarks(len(x), rng)
    sides: tuple[list[Part], list[Part]] = ([], [])
    correlations = []
    for kernel, own in zip(kernels, settings, strict=True):
        both = Coordinates.fit(kernel, x, landmarks), Coordinates.fit(kernel, y, landmarks)
        directions = solve(Problem.of(*both), own.ridge_x, own.ridge_y)
        for side, coordinates, weights in zip(sides, both, directions.weighted(own.power), strict=True):
            side.append(Part(coordinates.kernel, coordinates.axes @ weights, -coordinates.offset @ weights))
        correlations.append(directions.correlations)
    return ((scaled[0], tuple(sides[0])), (scaled[1], tuple(sides[1]))), tuple(correlations)


def fit_fold(
    video: npt.NDArray[np.floating],
    music: npt.NDArray[np.floating],
    group: IntArray,
    is_val: npt.NDArray[np.bool_],
    kernels: Sequence[Kernel],
    rng: np.random.Generator,
) -> list[Fold]:
    """Fit the coordinates of every kernel without the held-out pairs, scaling included."""
    scaled = [Scores.learn(rows[~is_val]) for rows in (video, music)]
    sides = [
        (scaling(rows[~is_val]), scaling(rows[is_val]))
        for scaling, rows in zip(scaled, (video, music), strict=True)
    ]
    landmarks = _landmarks(int((~is_val).sum()), rng)
    # Each group is one candidate: the clips of a video, for instance, share one track.
    groups, first = np.unique(group[is_val], return_index=True)
    hits = group[is_val][:, None] == groups[None, :]
    folds = []
    for kernel in kernels:
        x, y = (Coordinates.fit(kernel, train, landmarks) for train, _ in sides)
        folds.append(Fold(Problem.of(x, y), x(sides[0][1]), y(sides[1][1][first]), hits))
    return folds


def _landmarks(size: int, rng: np.random.Generator) -> IntArray:
    if size <= MAX_LANDMARKS:
        return np.arange(size)
    return np.sort(rng.choice(size, MAX_LANDMARKS, replace=False))


def validation_of(fused: Sequence[npt.NDArray[np.float32]], folds: Sequence[Fold]) -> dict[str, float]:
    """Return the figures of held-out scores, one array for each fold; see `KernelModel.validation`."""
    recalls, losses = [], []
    for one, fold in zip(fused, folds, strict=True):
        ranks = first_hit_ranks(one, fold.hits), first_hit_ranks(one.T, fold.hits.T)
        recalls.append(np.mean([recall_at(each, 10) for each in ranks]))
        losses.append(mean_log_rank(one, fold.hits))
    sizes = [fold.hits.shape[1] for fold in folds]
    return {
        "recall@10": float(np.average(recalls, weights=sizes)),
        "log_rank": float(np.average(losses, weights=sizes)),
        "gallery": float(np.mean(sizes)),
    }


def check_pairs(video: npt.NDArray[np.floating], music: npt.NDArray[np.floating], fold: IntArray) -> None:
    """Raise `InputError` for pairs that no model can be fitted on; see `KernelModel.fit`."""
    if video.ndim != 2 or music.ndim != 2 or len(video) != len(music) or fold.shape != (len(video),):
        raise InputError(
            f"CCA needs as many rows on both sides, got shapes {video.shape} and {music.shape}; "
            "row i of both must be pair i"
        )
    for name, rows in (("video", video), ("music", music)):
        if np.isinf(rows).any():
            raise InputError(
                f"CCA needs finite features, got inf in row {int(np.argwhere(np.isinf(rows))[0][0])} of the {name} "
                "features; clean that item"
            )
        if len(rows) < 2 or (np.nan_to_num(rows) == np.nan_to_num(rows[0])).all():
            raise InputError(
                f"CCA needs at least two pairs with different {name} features, got {len(rows)} pairs whose {name} "
                "features are all alike; check the files and the encoder"
            )
    if len(np.unique(fold)) < 2:
        raise InputError(
            "cross-validation needs pairs of at least two groups, got pairs of one; add pairs with other music"
        )
