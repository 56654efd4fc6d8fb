"""Coordinates: scaled normal scores, kernels against loops, and Nystroem against kernel PCA."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reelscore.features.scaling import ColumnMap
from reelscore.models.kernel.coordinates import (
    KERNELS,
    MAX_AXES,
    Coordinates,
    Kernel,
    KernelMap,
    Scores,
)

NONLINEAR: tuple[Kernel, ...] = ("arc-cosine", "rbf")


def rows(num_rows: int = 40, num_columns: int = 6, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(num_rows, num_columns)) / num_columns**0.5


def cosine_of(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)


def kernel_value(kernel: Kernel, a: list[float], b: list[float], width: float) -> float:
    """Compute one value of a kernel from the equation."""
    angle = math.acos(max(-1.0, min(1.0, cosine_of(a, b))))
    if kernel == "rbf":
        return math.exp(-(1 - math.cos(angle)) / width)
    return (math.sin(angle) + (math.pi - angle) * math.cos(angle)) / math.pi


@pytest.mark.parametrize("kernel", NONLINEAR)
def test_kernels_equal_their_equations(kernel: Kernel) -> None:
    landmarks, z = rows(7), rows(5, seed=1)
    mapped = KernelMap.learn(kernel, landmarks)
    distances = [
        1 - cosine_of(a, b) for i, a in enumerate(landmarks.tolist()) for b in landmarks[:i].tolist()
    ]
    width = float(np.median(distances)) if kernel == "rbf" else 1.0
    assert mapped.width == pytest.approx(width)
    expected = [[kernel_value(kernel, a, b, width) for b in landmarks.tolist()] for a in z.tolist()]
    np.testing.assert_allclose(mapped(z), expected, rtol=1e-9)
    np.testing.assert_allclose(np.diag(mapped(landmarks)), 1.0, rtol=1e-6)


def test_the_linear_kernel_keeps_the_rows_and_a_zero_row_has_finite_kernel_values() -> None:
    z = rows()
    assert KernelMap.learn("linear", z[:3])(z) is z
    for kernel in NONLINEAR:
        assert np.isfinite(KernelMap.learn(kernel, z)(np.zeros((1, 6)))).all()


@pytest.mark.parametrize("kernel", NONLINEAR)
def test_kernels_read_the_angle_alone(kernel: Kernel) -> None:
    landmarks, z = rows(7), rows(5, seed=1)
    norms = np.array([[0.1], [1.0], [3.0], [10.0], [0.5]])
    mapped = KernelMap.learn(kernel, landmarks)
    np.testing.assert_allclose(mapped(z * norms), mapped(z), rtol=1e-6)


def test_landmarks_that_are_alike_give_the_rbf_kernel_a_width() -> None:
    for landmarks in (np.ones((5, 3)), np.ones((1, 3))):
        assert KernelMap.learn("rbf", landmarks).width == 1.0


@pytest.mark.parametrize("kernel", KERNELS)
def test_with_every_row_as_a_landmark_the_coordinates_are_those_of_kernel_pca(kernel: Kernel) -> None:
    z, new = rows(), rows(9, seed=1)
    coordinates = Coordinates.fit(kernel, z, np.arange(len(z)))
    gram, across = KernelMap.learn(kernel, z)(z), KernelMap.learn(kernel, z)(new)
    if kernel == "linear":
        gram, across = z @ z.T, new @ z.T
    centring = np.eye(len(z)) - 1 / len(z)
    centred = centring @ gram @ centring
    across = (across - gram.mean(axis=0)) @ centring
    factor = len(z) / np.trace(centred)
    np.testing.assert_allclose(coordinates.train @ coordinates.train.T, factor * centred, atol=1e-5)
    np.testing.assert_allclose(coordinates(new) @ coordinates.train.T, factor * across, atol=1e-5)
    np.testing.assert_allclose(coordinates(z), coordinates.train, atol=1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
def test_coordinates_are_orthogonal_centred_and_of_total_variance_one(kernel: Kernel) -> None:
    z = rows(60)
    coordinates = Coordinates.fit(kernel, z, np.arange(0, 60, 2))
    train, singular = coordinates.train, coordinates.singular
    np.testing.assert_allclose(train.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(train.T @ train, np.diag(singular**2), atol=1e-6)
    assert (np.diff(singular) <= 0).all()
    assert np.square(singular).sum() / 60 == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("kernel", NONLINEAR)
def test_half_of_the_rows_as_landmarks_approximate_the_kernel(kernel: Kernel) -> None:
    z = rows(200, 4)
    exact, half = (Coordinates.fit(kernel, z, np.arange(0, 200, step)).train for step in (1, 2))
    exact, half = exact @ exact.T, half @ half.T
    assert np.linalg.norm(half - exact) < 0.1 * np.linalg.norm(exact)


@pytest.mark.parametrize("kernel", NONLINEAR)
def test_repeated_rows_are_allowed_as_landmarks(kernel: Kernel) -> None:
    z = np.repeat(rows(15), 3, axis=0)
    train = Coordinates.fit(kernel, z, np.arange(45)).train
    gram = KernelMap.learn(kernel, z)(z)
    centred = gram - gram.mean(axis=0) - gram.mean(axis=1)[:, None] + gram.mean()
    np.testing.assert_allclose(train @ train.T, centred * 45 / np.trace(centred), atol=1e-4)


def test_more_columns_than_rows_keep_at_most_as_many_axes_as_rows() -> None:
    wide = rows(20, 900)
    coordinates = Coordinates.fit("linear", wide, np.arange(20))
    assert coordinates.train.shape == (20, 19)
    tall = Coordinates.fit("linear", rows(700, 400), np.arange(700))
    assert tall.train.shape == (700, MAX_AXES)


def test_scores_are_the_centred_and_scaled_normal_scores() -> None:
    values = np.exp(rows(50, 4)) * [1.0, 10.0, 1e4, 1.0]
    values[:, 3] = 7.0
    scores = Scores.learn(values)
    mapped = ColumnMap.learn(values)(values)
    centred = mapped - mapped.mean(axis=0)
    np.testing.assert_allclose(scores(values), centred / np.sqrt(np.square(centred).sum() / 50), atol=1e-12)
    assert np.square(scores(values)).sum() / 50 == pytest.approx(1.0)
    assert not scores(values)[:, 3].any(), "a constant column"


def test_a_missing_value_counts_as_the_mean_and_does_not_change_the_others() -> None:
    values = rows(50, 3)
    values[::2, 1] = np.nan
    scores = Scores.learn(values)
    assert not scores(values)[::2, 1].any()
    alone = ColumnMap.learn(values[1::2, 1:2])
    np.testing.assert_array_equal(scores.columns.knots[1], alone.knots[0])
    own = alone(values[1::2, 1:2])[:, 0]
    ratio = scores(values)[1::2, 1] / (own - own.mean())
    np.testing.assert_allclose(ratio, 1 / scores.scale, rtol=1e-9)


def test_a_column_whose_every_value_is_missing_counts_for_nothing() -> None:
    values = rows(20, 3)
    values[:, 1] = np.nan
    z = Scores.learn(values)(rows(5, 3, seed=1))
    assert np.isfinite(z).all()
    assert not z[:, 1].any()


def test_rows_that_are_all_alike_have_coordinates_of_zero() -> None:
    for kernel in KERNELS:
        coordinates = Coordinates.fit(kernel, np.zeros((4, 3)), np.arange(4))
        assert not coordinates.train.any()
        assert np.isfinite(coordinates(rows(5, 3))).all()
