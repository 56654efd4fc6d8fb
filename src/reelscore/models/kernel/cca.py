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
import numpy.typing as npt

from reelscore.evaluation.ranks import BoolArray

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


class Problem(NamedTuple):
    """What CCA needs to know of the coordinates of n pairs: singular values, and the products (k, k') of the sides."""

    size: int
    singular_x: FloatArray
    singular_y: FloatArray
    products: FloatArray

    @classmethod
    def of(cls, x: Coordinates, y: Coordinates) -> Problem:
        """Return the problem of two sides of the same pairs."""
        return cls(len(x.train), x.singular, y.singular, x.train.T @ y.train)


class Fold(NamedTuple):
    """A problem of training pairs, and the coordinates of held-out pairs with their hits (m, m)."""

    problem: Problem
    val_x: FloatArray
    val_y: FloatArray
    hits: BoolArray


def solve(problem: Problem, ridge_x: float, ridge_y: float) -> Directions:
    """Solve the CCA of the training pairs."""
    norm_x, norm_y = (
        np.sqrt(singular**2 + problem.size * ridge)
        for singular, ridge in ((problem.singular_x, ridge_x), (problem.singular_y, ridge_y))
    )
    core = problem.products / norm_x[:, None] / norm_y
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
            directions = solve(fold.problem, ridge_x, ridge_y)
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


def scores(fold: Fold, directions: Directions, power: float) -> npt.NDArray[np.float32]:
    """Return the scores (m, m) of the held-out videos with the held-out tracks."""
    A, B = directions.weighted(power)
    one, other = (
        unit(val @ weights).astype(np.float32) for val, weights in ((fold.val_x, A), (fold.val_y, B))
    )
    return one @ other.T


def mean_log_rank(scores: npt.NDArray[np.float32], hits: BoolArray) -> float:
    """Return the mean logarithm of the rank of the first hit, over the queries of both directions.

    It depends on every query, unlike a recall, which changes in large steps on few pairs.
    """
    # As `evaluation.ranks.first_hit_ranks` without its checks, which would take most of the search's time.
    best = np.where(hits, scores, np.float32(-np.inf))
    ahead = [
        np.count_nonzero((scores >= best.max(axis=axis, keepdims=True)) & ~hits, axis=axis) for axis in (1, 0)
    ]
    return float(np.mean(np.log1p(np.concatenate(ahead))))


def unit(rows: FloatArray) -> FloatArray:
    """Scale rows to norm 1; a row of zeros gets a fixed direction, so that every embedding has norm 1."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    out: FloatArray = np.where(norms > 0, rows / np.where(norms > 0, norms, 1.0), rows.shape[1] ** -0.5)
    return out
