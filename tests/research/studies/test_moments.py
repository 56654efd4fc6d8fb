"""`moments` finds the shift of tracks whose loudness follows the motion, and no shift of unrelated tracks."""

from __future__ import annotations

import json

import numpy as np
import pytest

from reelscore.data.pairs import PairSet
from research.runs import shifts
from research.studies import moments
from research.studies.moments import CLIP, HALF, HAND_MADE, LEARNED, MIDDLE, MISMATCHED, MomentsPlan

PLAN = MomentsPlan(reach_s=10, clip_s=20, folds=2, num_bootstrap=200)


def pairs(*, related: bool, num: int = 60, seed: int = 0) -> PairSet:
    """Return videos of 80 to 120 s; in related pairs the loudness of the track is the motion with noise."""
    rng = np.random.default_rng(seed)
    video, music = [], []
    for _ in range(num):
        length = int(rng.integers(80, 120))
        motion = rng.gamma(2.0, 2.0, length)
        rows = rng.normal(size=(length, 264)).astype(np.float32)
        rows[:, 256], rows[:, 257] = motion, rng.integers(0, 4, length)
        song = rng.normal(size=(length, 30)).astype(np.float32)
        source = motion if related else rng.gamma(2.0, 2.0, length)
        song[:, 26] = 0.02 * source * rng.uniform(0.7, 1.3, length)
        song[:, 27] = rng.uniform(5, 15, length)
        video.append((rows,))
        music.append((song,))
    keys = tuple(str(i) for i in range(num))
    return PairSet(
        name="made",
        keys=keys,
        video=tuple(video),
        music=tuple(music),
        group=np.arange(num),
        split=("train",) * num,
        video_encoder="v",
        music_encoder="m",
        num_segments=8,
    )


def by_place(result):
    return {row.place: row for row in result.rows}


def test_related_tracks_are_found_and_others_are_not():
    result = moments.measure(PLAN, pairs(related=True))
    json.loads(result.to_bytes())
    found = by_place(result)
    for part in (MIDDLE, HALF, CLIP):
        assert found[part, LEARNED].estimate.low > 0.5
        assert found[part, HAND_MADE].estimate.low > 2 * found[part, HAND_MADE].chance
    for part in (MIDDLE, HALF):
        assert found[part, MISMATCHED].estimate.low < found[part, MISMATCHED].chance < 0.2
    assert "above chance" in moments.finding(result)


def test_unrelated_tracks_of_equal_length_are_at_chance():
    found = by_place(moments.measure(PLAN, pairs(related=False)))
    for part in (MIDDLE, HALF, CLIP):
        row = found[part, LEARNED]
        assert row.estimate.low <= row.chance


def test_evidence_is_the_correlation_at_each_shift():
    rng = np.random.default_rng(1)
    video, music = rng.normal(size=(50, 3)), rng.normal(size=(50, 2))
    start, end = 10, 40
    one, other = (shifts.standardise(rows[start:end]) for rows in (video, music))
    found = shifts.evidence(video, music, (start, end), reach_s=5).reshape(11, 3, 2)
    for shift in range(-5, 6):
        inside = [t for t in range(30) if 0 <= t + shift < 30]
        expected = sum(np.outer(one[t], other[t + shift]) for t in inside) / np.sqrt(len(inside))
        np.testing.assert_allclose(found[shift + 5], expected, atol=1e-9)
    in_track = shifts.evidence_in_track(video, music, (start, end)).reshape(21, 3, 2)
    for at in range(21):
        part = shifts.standardise(music[at : at + 30])
        np.testing.assert_allclose(in_track[at], one.T @ part / np.sqrt(30), atol=1e-9)


def test_novelty_and_smoothing_against_loops():
    rows = np.random.default_rng(2).normal(size=(20, 3))
    found = shifts.novelty(rows, 4)
    for t in range(1, 20):
        before, after = rows[max(0, t - 4) : t].mean(axis=0), rows[t : t + 4].mean(axis=0)
        assert found[t] == pytest.approx(np.linalg.norm(before - after))
    padded = [rows[0, 0], *rows[:, 0], rows[-1, 0]]
    np.testing.assert_allclose(shifts.smooth(rows[:, 0], 3), [np.mean(padded[t : t + 3]) for t in range(20)])


def test_the_weights_are_the_optimum_of_the_likelihood():
    rng = np.random.default_rng(3)
    items = [rng.normal(size=(7, 4)) for _ in range(40)]
    for one in items:
        one[3, 1] += 1.0

    def loss(weights):
        logits = [one @ weights for one in items]
        likelihood = np.mean([np.log(np.exp(x).sum()) - x[3] for x in logits])
        return likelihood + 0.05 * weights @ weights

    weights = shifts.fit_weights(items, ridge=0.1)
    assert weights.argmax() == 1
    for direction in np.eye(4):
        for step in (1e-3, -1e-3):
            assert loss(weights) < loss(weights + step * direction)
