"""Pooling against its equation, and its independence of duration and sampling rate."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reelscore.features.pooling import LAG_S, pool

MEMORY = 0.97
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
    """Pool column by column in loops."""

    def difference(column: list[float], rows_apart: int) -> float:
        pairs = [abs(column[t + rows_apart] - column[t]) for t in range(len(column) - rows_apart)]
        return sum(pairs) / len(pairs)

    lag = min(max(LAG_S / row_s, 1), len(rows) - 1)
    whole = int(lag)
    means, deviations = [], []
    for column in rows.T.tolist():
        means.append(sum(column) / len(column))
        value = difference(column, whole)
        if lag > whole:
            value = (whole + 1 - lag) * value + (lag - whole) * difference(column, whole + 1)
        deviations.append(math.sqrt(math.pi) / 2 * value)
    return means + deviations


@pytest.mark.parametrize(
    ("num_rows", "row_s"),
    [
        (2, 1.0),
        (7, 1.0),
        (16, 1.0),
        (17, 1.0),
        (301, 1.0),
        (40, 3.1),
        (40, 7.4),
        (90, 25.0),
        (50, 0.5),
        (3, 8),
    ],
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
    assert pool(rows).tolist() == [float(np.float16(6e4)), 0.0]
    small = (1e6 + np.random.default_rng(0).normal(size=(200, 1))).astype(np.float32)
    expected = small.astype(np.float64)
    np.testing.assert_allclose(pool(small), pool(expected - 1e6) + np.array([1e6, 0.0]), rtol=1e-9)


def test_for_independent_normal_rows_it_is_the_standard_deviation() -> None:
    rows = np.random.default_rng(0).normal(5.0, 3.0, size=(4000, 20))
    assert mean_deviation(rows) == pytest.approx(3.0, rel=0.01)


def test_a_sequence_repeated_or_rotated_pools_to_nearly_the_same_numbers() -> None:
    rows = noise(300, 0)
    pooled = pool(rows)
    for other in (np.tile(rows, (5, 1)), np.roll(rows, 140, axis=0)):
        np.testing.assert_allclose(pool(other)[:20], pooled[:20], atol=1e-12)
        np.testing.assert_allclose(pool(other)[20:], pooled[20:], rtol=0.2)
        assert mean_deviation(other) == pytest.approx(mean_deviation(rows), rel=0.05)


def test_the_deviation_does_not_depend_on_the_duration() -> None:
    sets = [[noise(num_rows, seed) for seed in range(100)] for num_rows in (30, 600)]
    one, other = (np.mean([mean_deviation(rows) for rows in each]) for each in sets)
    assert other == pytest.approx(one, rel=0.02)
    whole = [np.mean([rows.std(axis=0).mean() for rows in each]) for each in sets]
    assert whole[1] > 1.5 * whole[0], "a deviation over the whole sequence grows with the duration"


@pytest.mark.parametrize("row_s", [0.5, 1.25, 4.0, 10.0, 12.5, 15.0])
def test_the_deviation_does_not_depend_on_how_densely_a_source_is_sampled(row_s: float) -> None:
    """The rows of `noise` are a quarter of a second apart here."""
    dense = [noise(2400, seed) for seed in range(40)]
    expected = np.mean([mean_deviation(rows, row_s=0.25) for rows in dense])
    sparse = np.mean([mean_deviation(rows[:: round(4 * row_s)], row_s=row_s) for rows in dense])
    assert sparse == pytest.approx(expected, rel=0.03)


def test_the_deviation_needs_the_sampling_rate() -> None:
    dense, sparse = (
        np.mean([mean_deviation(noise(2400, seed)[::step]) for seed in range(20)]) for step in (1, 4)
    )
    assert sparse > 1.1 * dense
