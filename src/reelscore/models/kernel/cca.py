"""Regularised CCA between coordinates of two modalities, and the choice of its settings.

With coordinates X = U_x S_x and Y = U_y S_y of n pairs, whose columns are orthogonal, and D = sqrt(S^2 + n r),

    D_x^(-1) X'Y D_y^(-1) = P R Q',    A = D_x^(-1) P R^p,    B = D_y^(-1) Q R^p,

pairs are compared by the cosine of X A and Y B. A power p > 0 gives strongly correlated directions more weight.

References
----------
Hotelling, "Relations between two sets of variates", Biometrika 1936; Vinod, "Canonical ridge and econometrics of joint
production", Journal of Econometrics 1976; weighting by correlations after Gong et al., "A multi-view embedding space
for modeling internet images, tags, and their semantics", IJCV 2014.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from reelscore.evaluation.ranks import BoolArray, first_hit_ranks

from .coordinates import Coordinates, FloatArray

RIDGES = (3e-4, 3e-3, 3e-2)
REFINEMENT = 10**0.5
"""Factor between the ridges that are tried around the best of `RIDGES`."""
POWERS = (0.5, 1.0, 2.0)
MAX_DIM = 96


class Settings(NamedTuple):
    """Ridge of each side, as a share of the total variance, and the power of the correlations."""

    ridge_x: float
    ridge_y: float
    power: float


class Directions(NamedTuple):
    """Weights (k, dim) of both sides, without the power, and the correlations (dim,) in decreasing order."""

    x: FloatArray
    y: FloatArray
    correlations: FloatArray

    def weighted(self, power: float) -> tuple[FloatArray, FloatArray]:
        """Return A and B."""
        weight = self.correlations**power
        return self.x * weight, self.y * weight


class Fold(NamedTuple):
    """Coordinates of both sides, fitted on the training part, and the held-out pairs in them with their hits (m, m)."""

    x: Coordinates
    y: Coordinates
    val_x: FloatArray
    val_y: FloatArray
    hits: BoolArray


def solve(x: Coordinates, y: Coordinates, ridge_x: float, ridge_y: float) -> Directions:
    """Solve the CCA of the training pairs."""
    n = len(x.train)
    norm_x, norm_y = np.sqrt(x.singular**2 + n * ridge_x), np.sqrt(y.singular**2 + n * ridge_y)
    core = (x.train.T @ y.train) / norm_x[:, None] / norm_y
    P, correlations, Qt = np.linalg.svd(core, full_matrices=False)
    return Directions(
        P[:, :MAX_DIM] / norm_x[:, None], Qt[:MAX_DIM].T / norm_y[:, None], correlations[:MAX_DIM]
    )


def choose(folds: Sequence[Fold]) -> Settings:
    """Return the settings with the lowest mean log rank of the held-out pairs, averaged over the folds.

    The ridges are first searched on a coarse grid, then around the best of it.
    """
    losses: dict[Settings, float] = {}

    def attempt(ridge_x: float, ridge_y: float) -> None:
        if Settings(ridge_x, ridge_y, POWERS[0]) in losses:
            return
        by_fold = []
        for fold in folds:
            directions = solve(fold.x, fold.y, ridge_x, ridge_y)
            by_fold.append([mean_log_rank(scores(fold, directions, power), fold.hits) for power in POWERS])
        for power, loss in zip(POWERS, np.mean(by_fold, axis=0).tolist(), strict=True):
            losses[Settings(ridge_x, ridge_y, power)] = loss

    for one, other in itertools.product(RIDGES, RIDGES):
        attempt(one, other)
    coarse = min(losses, key=losses.__getitem__)
    factors = (1 / REFINEMENT, 1.0, REFINEMENT)
    for one, other in itertools.product(factors, factors):
        attempt(coarse.ridge_x * one, coarse.ridge_y * other)
    return min(losses, key=losses.__getitem__)


def scores(fold: Fold, directions: Directions, power: float) -> FloatArray:
    """Return the scores (m, m) of the held-out videos with the held-out tracks."""
    A, B = directions.weighted(power)
    return unit(fold.val_x @ A) @ unit(fold.val_y @ B).T


def mean_log_rank(scores: FloatArray, hits: BoolArray) -> float:
    """Return the mean logarithm of the rank of the first hit, over the queries of both directions.

    It depends on every query, unlike a recall, which changes in large steps on few pairs.
    """
    single = scores.astype(np.float32)
    ranks = first_hit_ranks(single, hits), first_hit_ranks(single.T, hits.T)
    return float(np.mean(np.log(np.concatenate(ranks))))


def unit(rows: FloatArray) -> FloatArray:
    """Scale rows to norm 1; a row of zeros gets a fixed direction, so that every embedding has norm 1."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    out: FloatArray = np.where(norms > 0, rows / np.where(norms > 0, norms, 1.0), rows.shape[1] ** -0.5)
    return out
