"""CCA of two sets of coordinates against the eigenproblem, and the choice of its settings."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.linalg

from reelscore.evaluation.ranks import first_hit_ranks
from reelscore.models.kernel.cca import (
    MAX_DIM,
    POWERS,
    RIDGES,
    Fold,
    Problem,
    choose,
    mean_log_rank,
    scores,
    solve,
    unit,
)
from reelscore.models.kernel.coordinates import Coordinates

RIDGE_X, RIDGE_Y = 0.02, 0.3


def sides(num_rows: int = 60, columns: tuple[int, int] = (6, 4), *, noise: float = 1.0, seed: int = 0):
    """Return two sides that mix three latent variables, of total variance 1 each."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(num_rows, 3))
    both = [latent @ rng.normal(size=(3, n)) + noise * rng.normal(size=(num_rows, n)) for n in columns]
    both = [side - side.mean(axis=0) for side in both]
    return [side / np.sqrt(np.square(side).sum() / num_rows) for side in both]


def fitted(x: np.ndarray, y: np.ndarray) -> tuple[Coordinates, Coordinates]:
    return Coordinates.fit("linear", x, np.arange(2)), Coordinates.fit("linear", y, np.arange(2))


def test_directions_solve_the_generalised_eigenproblem() -> None:
    x, y = sides()
    coordinates = fitted(x, y)
    directions = solve(Problem.of(*coordinates), RIDGE_X, RIDGE_Y)
    n = len(x)
    A, B = (own.axes @ one for own, one in zip(coordinates, directions[:2], strict=True))
    within_x, within_y = x.T @ x + n * RIDGE_X * np.eye(6), y.T @ y + n * RIDGE_Y * np.eye(4)
    zero = np.zeros((6, 4))
    values = scipy.linalg.eigh(
        np.block([[np.zeros((6, 6)), x.T @ y], [y.T @ x, np.zeros((4, 4))]]),
        np.block([[within_x, zero], [zero.T, within_y]]),
        eigvals_only=True,
    )
    np.testing.assert_allclose(directions.correlations, values[::-1][:4], rtol=1e-9)
    np.testing.assert_allclose(A.T @ within_x @ A, np.eye(4), atol=1e-9)
    np.testing.assert_allclose(B.T @ within_y @ B, np.eye(4), atol=1e-9)
    np.testing.assert_allclose(A.T @ x.T @ y @ B, np.diag(directions.correlations), atol=1e-9)


def test_a_power_weights_both_sides_by_the_correlations() -> None:
    directions = solve(Problem.of(*fitted(*sides())), RIDGE_X, RIDGE_Y)
    A, B = directions.weighted(2.0)
    np.testing.assert_allclose(A, directions.x * directions.correlations**2)
    np.testing.assert_allclose(B, directions.y * directions.correlations**2)


def test_at_most_so_many_directions_are_kept() -> None:
    x, y = sides(300, (150, 120))
    directions = solve(Problem.of(*fitted(x, y)), RIDGE_X, RIDGE_Y)
    assert directions.x.shape[1] == directions.y.shape[1] == len(directions.correlations) == MAX_DIM


def fold(seed: int = 0, *, noise: float = 1.0) -> Fold:
    """Return a fold of 90 training and 30 held-out pairs; the last two held-out videos share a track."""
    x, y = sides(120, (12, 10), noise=noise, seed=seed)
    coordinates = fitted(x[:90], y[:90])
    hits = np.zeros((30, 29), dtype=bool)
    hits[np.arange(30), np.minimum(np.arange(30), 28)] = True
    return Fold(Problem.of(*coordinates), coordinates[0](x[90:]), coordinates[1](y[90:119]), hits)


def test_scores_are_cosines_of_the_weighted_projections() -> None:
    one = fold()
    directions = solve(one.problem, RIDGE_X, RIDGE_Y)
    got = scores(one, directions, 0.5)
    weight = np.sqrt(directions.correlations)
    a, b = one.val_x @ directions.x * weight, one.val_y @ directions.y * weight
    expected = [[u @ v / np.linalg.norm(u) / np.linalg.norm(v) for v in b] for u in a]
    np.testing.assert_allclose(got, expected, atol=1e-6)
    assert got.dtype == np.float32


def test_the_log_rank_is_that_of_the_first_hits_of_both_directions() -> None:
    one = fold()
    got = scores(one, solve(one.problem, RIDGE_X, RIDGE_Y), 1.0)
    got[3] = got[4] = 0.25  # ties
    ranks = [*first_hit_ranks(got, one.hits), *first_hit_ranks(got.T, one.hits.T)]
    assert len(ranks) == 59
    assert mean_log_rank(got, one.hits) == pytest.approx(np.mean(np.log(ranks)), rel=1e-6)


def test_no_setting_of_the_grid_is_better_over_all_folds_than_the_chosen_one() -> None:
    folds = [fold(seed, noise=2.0) for seed in range(3)]
    chosen = choose(folds)

    def loss(ridge_x: float, ridge_y: float, power: float) -> float:
        return float(
            np.mean(
                [mean_log_rank(scores(f, solve(f.problem, ridge_x, ridge_y), power), f.hits) for f in folds]
            )
        )

    others = [loss(*settings) for settings in itertools.product(RIDGES, RIDGES, POWERS)]
    assert loss(*chosen) <= min(others) + 1e-9
    assert max(others) > loss(*chosen) + 0.05, "the settings matter here"


def test_a_row_of_zeros_gets_norm_one_too() -> None:
    rows = unit(np.array([[3.0, 4.0], [0.0, 0.0]]))
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0)
    np.testing.assert_allclose(rows[0], [0.6, 0.8])
