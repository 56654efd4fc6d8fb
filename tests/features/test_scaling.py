"""Column maps: standardisation, normal scores, ties, constants and unseen rows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, rankdata

from reelscore.features.scaling import NUM_KNOTS, ColumnMap, apply, mean_and_scale


def columns(num_rows: int = 400) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack(
        [
            rng.normal(3.0, 2.0, num_rows),
            np.exp(3 * rng.normal(size=num_rows)),  # a heavy tail
            np.where(rng.random(num_rows) < 0.6, 0.0, rng.gamma(2.0, size=num_rows)),  # many zeros
            np.full(num_rows, 7.0),
        ],
        axis=1,
    )


def test_normal_scores_are_those_of_the_ranks() -> None:
    rows = columns()
    mapped = ColumnMap.learn(rows)(rows)
    for column in (0, 1):
        expected = norm.ppf((rankdata(rows[:, column]) - 0.5) / len(rows))
        inner = slice(None) if column == 0 else np.abs(expected) < 1.5  # knots are far apart in the tail
        np.testing.assert_allclose(mapped[inner, column], expected[inner], atol=0.15)
    assert np.unique(mapped[:, 3]).tolist() == [0.0]


def test_ties_get_one_score_the_mean_of_theirs() -> None:
    rows = columns()
    mapped = ColumnMap.learn(rows)(rows)[:, 2]
    zeros = mapped[rows[:, 2] == 0]
    assert np.ptp(zeros) == 0
    share = float(np.mean(rows[:, 2] == 0))
    expected = norm.ppf(np.linspace(0.5 / len(rows), share, 1000)).mean()
    assert zeros[0] == pytest.approx(expected, abs=0.1)


def test_the_map_rises_and_ends_where_the_seen_rows_end() -> None:
    learned = ColumnMap.learn(columns())
    far = np.linspace(-1e4, 1e4, 20_001)[:, None].repeat(4, axis=1)
    mapped = learned(far)
    assert (np.diff(mapped, axis=0) >= 0).all()
    np.testing.assert_array_equal(mapped[0], learned.scores[:, 0])
    np.testing.assert_array_equal(mapped[-1], learned.scores[:, -1])


def test_scale_and_shift_of_a_column_do_not_matter() -> None:
    rows = columns()
    moved = rows * [2.0, 0.01, 1e4, 3.0] - 5
    np.testing.assert_allclose(ColumnMap.learn(rows)(rows), ColumnMap.learn(moved)(moved), atol=1e-6)


def test_two_rows_are_enough_and_float32_stays() -> None:
    learned = ColumnMap.learn(np.array([[1.0, 5.0], [2.0, 5.0]]))
    assert learned.knots.shape == (2, NUM_KNOTS)
    knots, scores = learned.knots.astype(np.float32), learned.scores.astype(np.float32)
    mapped = apply(np.array([[1.5, 9.0]], np.float32), knots, scores)
    assert mapped.dtype == np.float32
    np.testing.assert_allclose(mapped, [[0.0, 0.0]], atol=1e-6)


def test_mean_and_scale_are_those_of_all_rows_of_all_sequences() -> None:
    rng = np.random.default_rng(0)
    sequences = [rng.normal(1e4, [1.0, 100.0, 0.1], size=(size, 3)).astype(np.float32) for size in (1, 5, 40)]
    rows = np.concatenate(sequences).astype(np.float64)
    center, scale = mean_and_scale(iter(sequences))
    np.testing.assert_allclose(center, rows.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(scale, rows.std(axis=0), rtol=1e-9)


def test_a_constant_column_has_scale_one_and_half_precision_does_not_overflow() -> None:
    center, scale = mean_and_scale([np.full((4000, 2), [6e4, 0.0], np.float16)])
    assert center.tolist() == [np.float16(6e4), 0.0]
    assert scale.tolist() == [1.0, 1.0]
