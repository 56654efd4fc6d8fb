"""Starts are found modulo a beat from made cuts; nothing is claimed of random cuts."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from reelscore.analysis.frames import describe
from reelscore.analysis.rhythm import Rhythm, find_rhythm
from reelscore.matching.alignment import MIN_CUTS, _chance, align_start
from tests.support.edits import cuts_on, error_modulo_beat_s
from tests.support.rhythms import PATTERNS, held_chords, song

CLIP_S = 30.0


@cache
def track(pattern, bpm):
    """Return the rhythm as analysed, and the true beats and downbeats."""
    samples, beats_s, downbeats_s = song(pattern, bpm, 60.0)
    return find_rhythm(describe([samples])), beats_s, downbeats_s


def by_loop(start_s, cuts_s, rhythm, duration_s):
    """Return the best start and its mean closeness to beats, from the equation at every step."""
    period_s = 60 / rhythm.bpm
    unit_s = min(0.05, period_s / 8)

    def closeness(time_s, marks_s):
        return np.exp(-0.5 * (np.abs(marks_s - time_s).min() / unit_s) ** 2)

    best = None
    steps = int(rhythm.meter * period_s / 2 / 0.01)
    for step in sorted(range(-steps, steps + 1), key=abs):
        at_s = start_s + 0.01 * step
        if not 0 <= at_s <= duration_s - CLIP_S:
            continue
        on_beat = [closeness(at_s + cut, rhythm.beats_s) for cut in cuts_s]
        on_bar = [closeness(at_s + cut, rhythm.downbeats_s) for cut in cuts_s]
        weights = [2.0] + [1.0] * (len(cuts_s) - 1)
        total = np.mean(on_beat) + 0.5 * rhythm.knows_bars * np.average(on_bar, weights=weights)
        if best is None or total > best[0] + 1e-9:
            best = total, at_s, np.mean(on_beat)
    return best[1:]


@pytest.mark.parametrize("start_s", [0.3, 12.34, 29.8])
@pytest.mark.parametrize("pattern", ["rock", "waltz"])
def test_the_start_is_the_best_of_the_equation(pattern, start_s):
    rhythm, beats_s, _ = track(pattern, 104.0)
    cuts_s = cuts_on(beats_s, 11.0, 15, 0.2, np.random.default_rng(6), clip_s=CLIP_S) + 0.004
    found = align_start(start_s, cuts_s, rhythm, clip_s=CLIP_S, duration_s=60.0)
    at_s, on_beat = by_loop(start_s, cuts_s, rhythm, 60.0)
    assert found.is_on_beat
    # Interpolation between steps of 10 ms changes the closeness of a cut by 0.005 at most.
    assert found.score == pytest.approx(on_beat, abs=0.01)
    assert found.start_s == pytest.approx(at_s, abs=0.0101)
    assert found.end_s == found.start_s + CLIP_S
    near = [np.abs(rhythm.beats_s - found.start_s - cut).min() <= 0.05 for cut in cuts_s]
    assert (found.num_cuts, found.num_on_beat) == (15, sum(near))


@pytest.mark.parametrize(("num_cuts", "unit"), [(5, 0.08), (20, 0.04), (60, 0.12)])
def test_chance_is_the_percentile_of_random_cuts_at_their_best_phase(num_cuts, unit):
    best = []
    for phases in np.random.default_rng(7).random((4000, num_cuts)):
        shifted = (phases[:, None] + np.linspace(0, 1, 250)) % 1
        distance = np.minimum(shifted, 1 - shifted)
        best.append(np.exp(-0.5 * (distance / unit) ** 2).mean(axis=0).max())
    assert _chance(num_cuts, unit) == pytest.approx(np.percentile(best, 95), abs=0.02)


@pytest.mark.slow
def test_made_cuts_give_the_start_modulo_a_beat():
    rng = np.random.default_rng(0)
    right = claimed = 0
    trials = 120
    for trial in range(trials):
        pattern = list(PATTERNS)[trial % len(PATTERNS)]
        rhythm, beats_s, _ = track(pattern, (88.0, 104.0, 123.0)[trial % 3])
        truth_s = rng.uniform(5, 25)
        cuts_s = cuts_on(beats_s, truth_s, int(rng.integers(10, 25)), rng.uniform(0, 0.3), rng, clip_s=CLIP_S)
        bar_s = rhythm.meter * 60 / rhythm.bpm
        found = align_start(
            truth_s + rng.uniform(-bar_s / 2, bar_s / 2), cuts_s, rhythm, clip_s=CLIP_S, duration_s=60.0
        )
        right += error_modulo_beat_s(found.start_s, truth_s, rhythm.bpm) <= 0.1
        claimed += found.is_on_beat
    assert right / trials >= 0.95
    assert claimed / trials >= 0.8


def test_random_cuts_are_claimed_at_most_as_often_as_the_percentile_says():
    rng = np.random.default_rng(1)
    rhythm, _, _ = track("rock", 104.0)
    trials = 300
    claimed = 0
    for _ in range(trials):
        cuts_s = np.sort(rng.uniform(0, CLIP_S, int(rng.integers(5, 30))))
        claimed += align_start(10.0, cuts_s, rhythm, clip_s=CLIP_S, duration_s=60.0).is_on_beat
    # 5 % expected; 4 standard deviations above.
    assert claimed / trials <= 0.10


def test_cuts_on_bars_meet_the_downbeats():
    rng = np.random.default_rng(2)
    for pattern in ("rock", "waltz"):
        rhythm, _, downbeats_s = track(pattern, 104.0)
        assert rhythm.knows_bars
        for _ in range(10):
            truth_s = rng.uniform(5, 20)
            cuts_s = cuts_on(downbeats_s, truth_s, 8, 0, rng, clip_s=CLIP_S)
            shift_s = rng.uniform(-0.8, 0.8)
            found = align_start(truth_s + shift_s, cuts_s, rhythm, clip_s=CLIP_S, duration_s=60.0)
            assert found.start_s == pytest.approx(truth_s, abs=0.1)
            assert found.is_on_beat
            assert found.gain == pytest.approx(found.score - found.chance)


def test_few_cuts_claim_nothing_but_start_on_a_downbeat():
    rhythm, beats_s, downbeats_s = track("rock", 104.0)
    cuts_s = beats_s[10 : 10 + MIN_CUTS - 1] - 5.0
    found = align_start(5.0, cuts_s, rhythm, clip_s=CLIP_S, duration_s=60.0)
    assert (found.is_on_beat, found.gain) == (False, 0)
    assert np.abs(downbeats_s - found.start_s).min() < 0.05
    assert abs(found.start_s - 5.0) <= 2 * 60 / 104 + 0.01


def test_music_without_a_beat_leaves_the_start():
    rhythm = find_rhythm(describe([held_chords(30.0)]))
    found = align_start(3.21, np.arange(1, 20), rhythm, clip_s=20.0, duration_s=30.0)
    assert (found.start_s, found.is_on_beat) == (3.21, False)


@pytest.mark.parametrize("start_s", [-1.0, 0.0, 29.9, 30.0, 99.0])
def test_the_clip_stays_inside_the_track(start_s):
    rhythm, beats_s, _ = track("rock", 104.0)
    for cuts_s in ([], beats_s[:40]):
        found = align_start(start_s, cuts_s, rhythm, clip_s=CLIP_S, duration_s=60.0)
        assert 0 <= found.start_s <= 30.0
        longer = align_start(start_s, cuts_s, rhythm, clip_s=90.0, duration_s=60.0)
        assert longer.start_s == 0


def test_a_thousand_cuts_and_cuts_outside_the_video():
    rhythm, _, _ = track("rock", 104.0)
    many = align_start(5.0, np.linspace(-10, 50, 1000), rhythm, clip_s=CLIP_S, duration_s=60.0)
    assert not many.is_on_beat


def test_a_single_beat_is_no_steady_beat():
    one = Rhythm(120.0, 60.0, 0.5, np.array([500]), np.array([True]), 4, 1.0)
    assert align_start(1.0, range(1, 9), one, clip_s=9.0, duration_s=20.0).start_s == 1.0
