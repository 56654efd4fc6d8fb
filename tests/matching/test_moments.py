"""The best moment against a loop over all windows, and reranking."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelscore.errors import InputError
from reelscore.matching.moments import best_moment
from reelscore.matching.ranking import rerank
from reelscore.types import Track
from support.library_entries import make_unit as unit


def by_loop(query, rows, starts_s, ends_s, clip_s, duration_s):
    best = None
    for start_s in starts_s:
        start_s = min(start_s, max(0.0, duration_s - clip_s))
        middles_s = [(a + b) / 2 for a, b in zip(starts_s, ends_s, strict=True)]
        inside = [i for i, middle_s in enumerate(middles_s) if start_s <= middle_s < start_s + clip_s]
        if not inside:
            later = [i for i, middle_s in enumerate(middles_s) if middle_s >= start_s]
            inside = [later[0] if later else len(rows) - 1]
        score = sum(float(rows[i].astype(float) @ query.astype(float)) for i in inside) / len(inside)
        if best is None or score > best[1] + 1e-9:
            best = start_s, score
    return best


@given(
    seed=st.integers(0, 10_000),
    num=st.integers(1, 20),
    step_s=st.floats(0.5, 20),
    clip_s=st.floats(0.1, 200),
)
def test_best_moment_is_the_best_of_all_windows(seed, num, step_s, clip_s):
    query, rows = unit(seed, 5), unit(seed + 1, num, 5)
    starts_s = np.arange(num) * step_s
    ends_s, duration_s = starts_s + step_s, num * step_s
    start_s, score = best_moment(query, rows, starts_s, ends_s, clip_s=clip_s, duration_s=duration_s)
    expected_start_s, expected = by_loop(query, rows, starts_s, ends_s, clip_s, duration_s)
    assert score == pytest.approx(expected, abs=1e-9)
    assert start_s == expected_start_s
    assert start_s >= 0
    assert start_s + min(clip_s, duration_s) <= duration_s + 1e-9


def test_ties_go_to_the_earliest():
    rows = np.tile(np.array([[0.6, 0.8]], np.float32), (7, 1))
    starts_s = np.arange(7) * 3.0
    start_s, score = best_moment(rows[0], rows, starts_s, starts_s + 3, clip_s=7.0, duration_s=21.0)
    assert (start_s, score) == (0.0, pytest.approx(1.0, abs=1e-6))


def test_a_clip_longer_than_the_track_begins_at_zero():
    starts_s = np.arange(4) * 5.0
    start_s, _ = best_moment(unit(1, 6), unit(2, 4, 6), starts_s, starts_s + 5, clip_s=90.0, duration_s=20.0)
    assert start_s == 0.0


@pytest.mark.parametrize(
    ("num", "clip_s", "duration_s", "message"),
    [
        (0, 1.0, 1.0, "T >= 1"),
        (2, 0.0, 1.0, "positive"),
        (2, 1.0, -1.0, "positive"),
        (2, float("nan"), 1.0, "positive"),
    ],
)
def test_what_cannot_be_placed_is_refused(num, clip_s, duration_s, message):
    with pytest.raises(InputError, match=message):
        best_moment(
            unit(0, 4), unit(1, num, 4), np.zeros(num), np.ones(num), clip_s=clip_s, duration_s=duration_s
        )


def track(key: str) -> Track:
    return Track(key, f"/{key}", key, "", 10.0)


def test_rerank_weighs_sorts_and_breaks_ties_by_key():
    scored = [(track("b"), 0.5, 0.5), (track("a"), 0.5, 0.5), (track("c"), 0.4, 1.0), (track("d"), 0.6, 0.0)]
    ranked = rerank(scored, moment_weight=0.25)
    assert [t.key for t, _ in ranked] == ["c", "a", "b", "d"]
    assert [s for _, s in ranked] == pytest.approx([0.55, 0.5, 0.5, 0.45])
    assert [t.key for t, _ in rerank(scored, moment_weight=0.0)] == ["d", "a", "b", "c"]
    assert [t.key for t, _ in rerank(scored, moment_weight=1.0)] == ["c", "a", "b", "d"]
    assert rerank([]) == []


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
def test_a_weight_outside_is_refused(weight):
    with pytest.raises(InputError, match="moment_weight"):
        rerank([], moment_weight=weight)
