"""Tempo, beats, downbeats and their binary form."""

from __future__ import annotations

import numpy as np
import pytest

from reelscore.analysis.beats import _best_paths
from reelscore.analysis.frames import describe
from reelscore.analysis.rhythm import Rhythm, find_rhythm
from reelscore.errors import ArtifactError
from tests.support.rhythms import PATTERNS, free_tempo, held_chords, random_onsets, song


def rhythm_of(samples):
    return find_rhythm(describe([samples]))


def distances_s(found_s, truth_s):
    return np.abs(np.asarray(found_s)[:, None] - truth_s).min(axis=1)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("bpm", [92.3, 118.0, 141.7])
def test_tempo_beats_and_bars_of_drums(pattern, bpm):
    samples, beats_s, downbeats_s = song(pattern, bpm, 25.0)
    rhythm = rhythm_of(samples)
    assert rhythm.bpm == pytest.approx(bpm, rel=0.005)
    assert rhythm.is_steady
    assert distances_s(beats_s[2:-2], rhythm.beats_s).max() < 0.05
    assert rhythm.knows_bars
    assert rhythm.meter == PATTERNS[pattern][0]
    assert distances_s(rhythm.downbeats_s, downbeats_s).max() < 0.05


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("bpm", [62.0, 76.0, 168.0, 180.0])
def test_slow_and_fast_tempi_are_first_or_second_choice(pattern, bpm):
    samples, _, _ = song(pattern, bpm, 25.0)
    rhythm = rhythm_of(samples)
    assert min(abs(rhythm.bpm / bpm - 1), abs(rhythm.other_bpm / bpm - 1)) < 0.02


@pytest.mark.parametrize("make", [free_tempo, random_onsets, held_chords])
@pytest.mark.parametrize("seed", [1, 2])
def test_music_without_a_beat_has_no_steady_beat(make, seed):
    rhythm = rhythm_of(make(30.0, seed=seed))
    assert not rhythm.is_steady
    assert not rhythm.knows_bars


@pytest.mark.parametrize("num_samples", [0, 1, 500, 22_050, 220_500])
def test_silence_of_any_length_has_no_tempo(num_samples):
    rhythm = rhythm_of(np.zeros(num_samples, np.float32))
    assert (rhythm.bpm, rhythm.steadiness, len(rhythm.beats_ms)) == (0.0, 0.0, 0)
    assert not rhythm.is_steady
    assert Rhythm.from_bytes(rhythm.to_bytes()).to_bytes() == rhythm.to_bytes()


def test_equal_beats_carry_no_bar():
    samples, _, _ = song("rock", 120.0, 25.0, chords=(0,))
    click = np.zeros_like(samples)
    for start in range(4_000, len(click) - 800, 11_025):
        click[start : start + 800] = samples[4_410:5_210]
    rhythm = rhythm_of(click)
    assert rhythm.bpm == pytest.approx(120, rel=0.005)
    assert not rhythm.knows_bars


def test_a_longer_bar_moves_only_the_bars_after_it():
    first, _, down_s = song("rock", 120.0, 20.2)
    second, _, more_s = song("rock", 120.0, 20.2)
    cut = round((0.2 + 9 * 2.0 + 0.5) * 22_050)  # nine bars and one beat
    rhythm = rhythm_of(np.concatenate([first[:cut], second[4_410:]]))
    truth_s = np.concatenate([down_s[:9], cut / 22_050 + more_s - 0.2])
    found_s = rhythm.downbeats_s
    assert np.mean(distances_s(found_s, truth_s) < 0.05) > 0.9


def test_the_size_of_blocks_changes_no_bit():
    samples, _, _ = song("ballad", 100.0, 12.0)
    whole = rhythm_of(samples).to_bytes()
    for size in (997, 50_000):
        blocks = [samples[i : i + size] for i in range(0, len(samples), size)]
        assert find_rhythm(describe(blocks)).to_bytes() == whole


def test_the_binary_form_is_small_and_keeps_every_value():
    rhythm = rhythm_of(song("waltz", 120.0, 60.0)[0])
    content = rhythm.to_bytes()
    again = Rhythm.from_bytes(content)
    assert len(content) < 320
    for name in ("bpm", "other_bpm", "steadiness", "meter", "bar_confidence"):
        assert getattr(again, name) == getattr(rhythm, name), name
    np.testing.assert_array_equal(again.beats_ms, rhythm.beats_ms)
    np.testing.assert_array_equal(again.is_downbeat, rhythm.is_downbeat)


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-1], lambda b: b + b"x", lambda b: b"", lambda b: b"XX" + b[2:]]
)
def test_a_damaged_binary_form_is_rejected(damage):
    content = rhythm_of(song("rock", 120.0, 10.0)[0]).to_bytes()
    with pytest.raises(ArtifactError, match="reelscore rebuild"):
        Rhythm.from_bytes(damage(content))


def test_beat_paths_equal_a_plain_loop():
    local = np.random.default_rng(0).random(300) * 5
    period = 23.4
    total, before = _best_paths(local, period)
    expected = np.zeros(300)
    for frame in range(300):
        best, source = 0.0, -1
        for lag in range(12, 48):
            if frame - lag >= 0:
                score = expected[frame - lag] - 100 * np.log(lag / period) ** 2
                if score > best:
                    best, source = score, frame - lag
        expected[frame] = local[frame] + best
        assert before[frame] == source
    np.testing.assert_allclose(total, expected)
