"""Statistics of pooling against their definitions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from reelscore.features.pooling import LAGS, NUM_ORDERLESS, NUM_STATISTICS, QUANTILES, pool

ALL = NUM_STATISTICS["texture"]


def reference(rows: np.ndarray) -> list[np.ndarray]:
    """Compute the statistics of (T, D) column by column in loops."""
    blocks: list[list[float]] = [[] for _ in range(ALL)]
    for column in rows.T.tolist():
        mean = sum(column) / len(column)
        centred = [value - mean for value in column]
        deviation = (sum(c * c for c in centred) / len(column)) ** 0.5
        values = [mean, deviation, *(float(np.quantile(column, q)) for q in QUANTILES)]
        steps = [(b - a) ** 2 for a, b in itertools.pairwise(column)]
        values.append((sum(steps) / max(len(steps), 1)) ** 0.5)
        still = deviation < 1e-9
        values.append(0.0 if still else sum(c**3 for c in centred) / len(column) / deviation**3)
        for lag in LAGS:
            together = sum(a * b for a, b in zip(centred, centred[lag:], strict=False))
            values.append(0.0 if still else together / len(column) / deviation**2)
        for block, value in zip(blocks, values, strict=True):
            block.append(value)
    return [np.array(block) for block in blocks]


@pytest.mark.parametrize("length", [1, 2, 3, 7, 40])
def test_statistics_are_as_defined(length: int) -> None:
    rows = np.random.default_rng(length).normal(size=(length, 4))
    rows[:, 2] = 3.0
    got = pool(rows[None], np.ones((1, length), bool), ALL)[0]
    np.testing.assert_allclose(got, np.concatenate(reference(rows)), atol=1e-12)


def test_padding_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 40, 5)).astype(np.float32)
    lengths = np.array([40, 1, 6])
    mask = np.arange(40) < lengths[:, None]
    x[~mask] = 1e6
    got = pool(x, mask, ALL)
    assert got.dtype == np.float32
    for row, rows, length in zip(got, x, lengths, strict=True):
        alone = pool(rows[None, :length], np.ones((1, length), bool), ALL)[0]
        np.testing.assert_allclose(row, alone, atol=1e-5)


def test_less_is_the_first_part_of_more() -> None:
    x, mask = np.random.default_rng(1).normal(size=(2, 9, 3)), np.ones((2, 9), bool)
    for number in (1, 2):
        assert (pool(x, mask, number) == pool(x, mask, ALL)[:, : 3 * number]).all()


def test_order_matters_to_the_later_statistics_alone() -> None:
    x, mask = np.random.default_rng(2).normal(size=(1, 50, 2)), np.ones((1, 50), bool)
    one, other = pool(x, mask, ALL), pool(np.sort(x, axis=1), mask, ALL)
    first = NUM_ORDERLESS * 2
    np.testing.assert_allclose(one[:, :first], other[:, :first])
    later = (one[:, first:] - other[:, first:]).reshape(-1, 2)
    assert abs(later[1]).max() < 1e-12, "skewness"
    assert (abs(np.delete(later, 1, axis=0)) > 1e-3).all()
