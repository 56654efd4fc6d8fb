"""Global Sparse sampling of instants and rows."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelscore.errors import InputError
from reelscore.features.sampling import global_sparse, global_sparse_rows

durations = st.floats(1e-3, 1e5, allow_nan=False)
counts = st.integers(1, 200)


@given(durations, counts, st.one_of(st.none(), st.integers(0, 2**32)))
def test_segments_tile_the_source_and_hold_their_instants(duration_s, n, seed):
    rng = None if seed is None else np.random.default_rng(seed)
    parts = global_sparse(duration_s, num_segments=n, rng=rng)
    assert len(parts) == n
    assert parts[0].start_s == 0
    assert parts[-1].end_s == duration_s
    for before, after in itertools.pairwise(parts):
        assert before.end_s == after.start_s
    for part in parts:
        assert part.start_s <= part.instant_s <= part.end_s
        assert math.isclose(part.end_s - part.start_s, duration_s / n, rel_tol=1e-6)


@given(durations, counts)
def test_inference_takes_the_middles(duration_s, n):
    for part in global_sparse(duration_s, num_segments=n):
        assert math.isclose(part.instant_s, (part.start_s + part.end_s) / 2, rel_tol=1e-9)


@given(durations, st.integers(1, 60), st.sampled_from([3, 5, 7]))
def test_the_middles_of_an_odd_refinement_are_the_coarse_middles(duration_s, n, k):
    coarse = [s.instant_s for s in global_sparse(duration_s, num_segments=n)]
    fine = [s.instant_s for s in global_sparse(duration_s, num_segments=n * k)][k // 2 :: k]
    assert np.allclose(coarse, fine, rtol=1e-9)


@given(st.integers(1, 500), counts, st.one_of(st.none(), st.integers(0, 2**32)))
def test_rows_lie_inside_their_segments(num_rows, n, seed):
    rng = None if seed is None else np.random.default_rng(seed)
    rows = global_sparse_rows(num_rows, num_segments=n, rng=rng)
    assert len(rows) == n
    assert (np.diff(rows) >= 0).all()
    edges = np.linspace(0, num_rows, n + 1)
    assert (rows >= np.floor(edges[:-1])).all()
    assert (rows <= np.ceil(edges[1:])).all()


def test_as_many_rows_as_segments_is_the_sequence_itself():
    assert global_sparse_rows(7, num_segments=7).tolist() == list(range(7))


def test_training_instants_cover_the_segment_evenly():
    rng = np.random.default_rng(0)
    draws = np.array(
        [[s.instant_s for s in global_sparse(4.0, num_segments=4, rng=rng)] for _ in range(2000)]
    )
    inside = draws - np.arange(4)
    assert np.abs(inside.mean(0) - 0.5).max() < 0.03
    assert inside.min() < 0.02
    assert inside.max() > 0.98


@pytest.mark.parametrize("duration_s", [0.0, -1.0, math.nan, math.inf])
def test_a_duration_must_be_positive(duration_s):
    with pytest.raises(InputError, match="duration_s must be positive"):
        global_sparse(duration_s)


def test_no_segments_and_no_rows_are_refused():
    with pytest.raises(InputError, match="num_segments"):
        global_sparse(1.0, num_segments=0)
    with pytest.raises(InputError, match="num_rows"):
        global_sparse_rows(0)
