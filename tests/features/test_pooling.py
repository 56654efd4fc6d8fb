"""Pooling against its equation, and its independence of duration and sampling rate."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reelscore.features.pooling import MIN_WINDOW_ROWS, WINDOW_S, pool

MEMORY = 0.9
"""Correlation of successive rows of `noise`."""


def noise(num_rows: int, seed: int, num_columns: int = 20) -> np.ndarray:
    """Return AR(1) noise with unit variance."""
    rows = np.random.default_rng(seed).normal(size=(num_rows, num_columns))
    for t in range(1, num_rows):
        rows[t] = MEMORY * rows[t - 1] + math.sqrt(1 - MEMORY**2) * rows[t]
    return rows


def mean_deviation(rows: np.ndarray, row_s: float = 1.0) -> float:
    """Return the mean of the deviations of all columns."""
    return float(pool(rows, row_s=row_s)[rows.shape[1] :].mean())


def reference(rows: np.ndarray, row_s: float) -> list[float]:
    """Pool column by column, window by window, in loops."""
    num_rows = len(rows)
    size = min(num_rows, max(MIN_WINDOW_ROWS, round(WINDOW_S / row_s)))
    number = math.ceil(num_rows / size)
    starts = [0] if number == 1 else [round(i * (num_rows - size) / (number - 1)) for i in range(number)]
    assert {0, num_rows - size} <= set(starts)
    means, deviations = [], []
    for column in rows.T.tolist():
        means.append(sum(column) / num_rows)
        windows = []
        for start in starts:
            window = column[start : start + size]
            middle = sum(window) / size
            variance = sum((value - middle) ** 2 for value in window) / (size - 1)
            windows.append(math.sqrt(variance) / ((4 * size - 4) / (4 * size - 3)))
        deviations.append(sum(windows) / number)
    return means + deviations


@pytest.mark.parametrize(
    ("num_rows", "row_s"),
    [(2, 1.0), (7, 1.0), (30, 1.0), (31, 1.0), (75, 1.0), (301, 1.0), (40, 3.1), (90, 25.0), (50, 0.5)],
)
def test_pooled_columns_equal_the_equation(num_rows: int, row_s: float) -> None:
    rows = np.random.default_rng(num_rows).normal(3.0, 2.0, size=(num_rows, 4))
    rows[:, 2] = 3.0
    pooled = pool(rows, row_s=row_s)
    np.testing.assert_allclose(pooled, reference(rows, row_s), rtol=1e-10, atol=1e-10)
    assert pooled[6] == 0.0, "the deviation of a constant column"


def test_a_single_row_has_no_deviation() -> None:
    assert pool(np.array([[2.0, -1.0]])).tolist() == [2.0, -1.0, 0.0, 0.0]


def test_half_precision_neither_overflows_nor_loses_a_small_deviation() -> None:
    rows = np.full((200, 1), 6e4, np.float16)
    assert pool(rows).tolist() == [6e4, 0.0]
    small = (1e6 + np.random.default_rng(0).normal(size=(200, 1))).astype(np.float32)
    expected = small.astype(np.float64)
    np.testing.assert_allclose(pool(small), pool(expected - 1e6) + np.array([1e6, 0.0]), rtol=1e-9)


def test_a_repeated_sequence_pools_to_the_same_numbers() -> None:
    rows = noise(30, 0)
    np.testing.assert_allclose(pool(np.tile(rows, (5, 1))), pool(rows), rtol=1e-9)


def test_the_deviation_does_not_depend_on_the_duration() -> None:
    one, other = (
        np.mean([mean_deviation(noise(num_rows, seed)) for seed in range(60)]) for num_rows in (30, 600)
    )
    assert other == pytest.approx(one, rel=0.03)
    whole = [np.mean([noise(n, s).std(axis=0).mean() for s in range(60)]) for n in (30, 600)]
    assert whole[1] > 1.1 * whole[0], "a deviation over the whole sequence grows with the duration"


def test_few_rows_of_a_window_have_the_deviation_of_many() -> None:
    independent = np.random.default_rng(0).normal(size=(60, 300, 20))
    for num_rows in (2, 3, 5, 30, 300):
        deviation = np.mean([mean_deviation(rows[:num_rows]) for rows in independent])
        assert deviation == pytest.approx(1.0, abs=0.05 if num_rows == 2 else 0.02), num_rows


def test_sparse_sampling_has_the_windows_of_dense_sampling() -> None:
    dense = [noise(1200, seed) for seed in range(40)]
    one = np.mean([mean_deviation(rows, row_s=0.5) for rows in dense])
    other = np.mean([mean_deviation(rows[::4], row_s=2.0) for rows in dense])
    assert other == pytest.approx(one, rel=0.05)
    one, other = (np.mean([mean_deviation(rows[::step]) for rows in dense]) for step in (1, 4))
    assert other > 1.1 * one, "without the sampling rate the windows hold more seconds"
