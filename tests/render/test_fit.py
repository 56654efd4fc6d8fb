"""Versions of a track at an exact length, and their seams against hard cuts."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from reelscore.analysis.frames import describe
from reelscore.encoders.light.spectrum import RATE_HZ as SPECTRUM_RATE_HZ
from reelscore.errors import InputError
from reelscore.media.audio import audio_blocks
from reelscore.media.writer import write_audio
from reelscore.render.beat_features import describe_beats, seam_costs
from reelscore.render.fit import ALIGN_S, MAX_COST, NoFitError, align_seams, fit_length
from reelscore.render.mix import RATE_HZ, music_of
from reelscore.render.plan import Piece, Plan, Song, Video
from reelscore.render.planning import plan_fit
from reelscore.render.video import render
from support.films import film
from support.seams import burst_db, harmony_distance, phase_error_s

CHORDS = {
    "A": [(57, 60, 64), (53, 57, 60)],
    "B": [(55, 59, 62), (62, 65, 69)],
    "C": [(60, 64, 67), (65, 69, 72)],
}
FORM = "AAAABBBBAAAABBBBCCAAAABBBBC"
"""Sections of one bar in 4/4; each chord lasts two beats."""


def beats_of(form: str) -> np.ndarray:
    """Return beat times at about 120 bpm with a drift of 2 % and errors of up to 4 ms."""
    rng = np.random.default_rng(5)
    count = 4 * len(form)
    intervals = 0.5 * (1 + 0.02 * np.sin(np.arange(count) / 9))
    return 0.3 + np.concatenate([[0], np.cumsum(intervals)[:-1]]) + rng.uniform(-0.004, 0.004, count)


def performance(form: str) -> np.ndarray:
    """Return chords, a bass and drums that follow the beats, and an end that decays."""
    rng = np.random.default_rng(1)
    times = beats_of(form)
    samples = np.zeros(round((times[-1] + 2.5) * RATE_HZ))
    hat = rng.standard_normal(RATE_HZ // 12)
    hat = np.diff(hat, prepend=0) * np.exp(-np.arange(len(hat)) / (0.012 * RATE_HZ))
    for number, at in enumerate(times):
        start = round(at * RATE_HZ)
        chord = CHORDS[form[number // 4]][number // 2 % 2]
        length = 0.55 if number + 1 < len(times) else 1.6
        time_s = np.arange(round(length * RATE_HZ)) / RATE_HZ
        notes = (*chord, chord[0] - 24)
        tone = sum(np.sin(2 * np.pi * 440 * 2 ** ((note - 69) / 12) * time_s + note) for note in notes)
        part = 0.06 * tone * np.clip(np.minimum(time_s, length - time_s) / 0.02, 0, 1) * np.exp(-1.5 * time_s)
        part += (
            0.25
            * (number % 4 == 0)
            * np.sin(60 * np.exp(-25 * time_s))
            * np.exp(-20 * time_s)
            * np.minimum(1, time_s / 0.005)
        )
        part[: len(hat)] += 0.0015 * hat
        samples[start : start + len(part)] += part[: len(samples) - start]
    return samples + 0.0004 * rng.standard_normal(len(samples))


@pytest.fixture(scope="module")
def track(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("music") / "song.wav"
    write_audio(path, performance(FORM), rate_hz=RATE_HZ)
    return path


@pytest.fixture(scope="module")
def beats(track):
    times = beats_of(FORM)
    return described(track, times)


def described(track: Path, times: np.ndarray):
    """Return the features of beats in 4/4."""
    frames = describe(audio_blocks(track, rate_hz=SPECTRUM_RATE_HZ))
    return describe_beats(frames, times, np.arange(len(times)) % 4 == 0)


LENGTHS_S = [
    Fraction("22.017"),
    Fraction("35.48"),
    Fraction("47.3"),
    Fraction("66.6"),
    Fraction("90.25"),
    Fraction(151),
]


@pytest.mark.parametrize("length_s", LENGTHS_S, ids=float)
def test_a_version_has_the_exact_length_the_ending_and_few_seams(beats, length_s):
    fit = fit_length(beats, length_s)
    assert sum((piece.end_s - piece.start_s for piece in fit.pieces), Fraction(0)) == length_s
    assert abs(float(fit.pieces[-1].end_s) - beats.end_s) < 1e-6
    assert 0 <= fit.pieces[0].start_s < 0.3 + 5 * 0.52
    assert len(fit.pieces) - 1 <= 1 + length_s // 20
    costs = [piece.seam_cost for piece in fit.pieces[1:]]
    assert all(0 <= cost <= MAX_COST for cost in costs)
    assert fit.pieces[0].seam_cost is None


def test_the_tracks_own_length_needs_no_seam(beats):
    fit = fit_length(beats, Fraction(round(1e6 * (beats.end_s - 0.05)), 1_000_000))
    assert len(fit.pieces) == 1
    assert fit.cost == 0


def test_jumps_keep_the_position_in_the_bar_and_land_on_beats(beats):
    for length_s in LENGTHS_S:
        for before, after in itertools.pairwise(fit_length(beats, length_s).pieces):
            here, there = (
                int(np.abs(beats.times_s - float(t)).argmin()) for t in (before.end_s, after.start_s)
            )
            assert abs(beats.times_s[here] - float(before.end_s)) < 1e-5
            assert abs(beats.times_s[there] - float(after.start_s)) < 1e-5
            assert beats.positions[here] == beats.positions[there]


def test_the_sum_of_costs_is_the_least(beats):
    # All versions with one seam, by enumeration.
    length_s = Fraction("40.7")
    fit = fit_length(beats, length_s)
    costs, times = seam_costs(beats), beats.times_s
    best = np.inf
    for start in range(5):
        room = times[start] - (times[start - 1] if start else 0)
        for last in range(start + 8, len(times)):
            for first in range(len(times) - 8):
                if beats.positions[last] != beats.positions[first] or abs(last - first) < 4:
                    continue
                lead = float(length_s) - (times[last] - times[start]) - (beats.end_s - times[first])
                if 0 <= lead <= room:
                    best = min(best, costs[last, first])
    assert len(fit.pieces) == 2
    assert fit.pieces[1].seam_cost == pytest.approx(best, abs=1e-3)


def test_costs_are_small_where_the_music_repeats(beats):
    costs = seam_costs(beats)
    assert np.abs(np.diagonal(costs)[4:-4]).max() < 1e-6
    # Bars 1 and 9 both begin four bars of A; bar 5 begins B.
    assert costs[8, 40] < 0.7
    assert costs[8, 24] > 1
    assert np.allclose(costs, costs.T)


@pytest.mark.parametrize("length_s", [Fraction(3), Fraction("0.5")])
def test_a_length_without_good_seams_names_the_nearest(beats, length_s):
    with pytest.raises(NoFitError, match="no good seam at this length") as caught:
        fit_length(beats, length_s)
    nearest = caught.value.nearest_s
    assert nearest
    for length in nearest:
        fit = fit_length(beats, Fraction(round(1000 * length + 1), 1000))
        assert all(piece.seam_cost <= MAX_COST for piece in fit.pieces[1:])


def test_music_that_never_returns_has_no_good_seam(tmp_path):
    # The pitch rises by an eighth of a tone with each beat, and the tone gets brighter.
    times = np.arange(0.2, 40, 0.5)
    samples = np.zeros(41 * RATE_HZ)
    time_s = np.arange(RATE_HZ // 2) / RATE_HZ
    for number, at in enumerate(times):
        start = round(at * RATE_HZ)
        for partial in range(1, 12):
            level = np.exp(-partial * (1.5 - number / 80)) * np.exp(-3 * time_s)
            samples[start : start + len(time_s)] += (
                0.3 * level * np.sin(2 * np.pi * 110 * 2 ** (number / 100) * partial * time_s)
            )
    write_audio(tmp_path / "free.wav", samples, rate_hz=RATE_HZ)
    free = described(tmp_path / "free.wav", times)
    with pytest.raises(NoFitError, match="no good seam at this length") as caught:
        fit_length(free, Fraction(20))
    assert caught.value.nearest_s[-1] > 24


def rendered(track, pieces, beats):
    """Return the mono mix of pieces, its seams, and its beats."""
    length_s = sum((piece.end_s - piece.start_s for piece in pieces), Fraction(0))
    plan = Plan(
        video=Video("film.mp4", length_s, Fraction(25)),
        track=Song(str(track), "ab", Fraction(round(1e6 * (beats.end_s + 1)), 1_000_000)),
        pieces=pieces,
    )
    heard = []
    for at, piece in zip(plan.starts_s, pieces, strict=False):
        # Alignment moves the starts of pieces by a few milliseconds.
        start, end = float(piece.start_s) - ALIGN_S, float(piece.end_s) - ALIGN_S
        inside = beats.times_s[(beats.times_s >= start) & (beats.times_s < end)]
        heard.append(float(at) + inside - float(piece.start_s))
    return (
        music_of(plan, track).mean(axis=0),
        [float(at) for at in plan.starts_s[1:-1]],
        np.concatenate(heard),
    )


def measures(track, beats, versions):
    """Return bursts in dB, phase errors in s and harmony distances of all seams."""
    source = performance(FORM)
    found = []
    for pieces in versions:
        samples, seams, heard = rendered(track, pieces, beats)
        for at, before in zip(seams, pieces, strict=False):
            harmony = harmony_distance(samples, source, RATE_HZ, at_s=at, source_s=float(before.end_s))
            found.append((burst_db(samples, RATE_HZ, at), phase_error_s(heard, at), harmony))
    return np.array(found).T


@pytest.fixture(scope="module")
def seams(track, beats):
    """Measures of the planner's seams and of hard cuts at random places."""
    samples = performance(FORM).astype(np.float32)
    good = [align_seams(fit_length(beats, length_s).pieces, samples, RATE_HZ) for length_s in LENGTHS_S]
    rng = np.random.default_rng(7)
    cuts = []
    for _ in range(12):
        end, start = (Fraction(round(1e6 * t), 1_000_000) for t in rng.uniform(3, beats.end_s - 4, 2))
        cuts.append((Piece(Fraction(0), end), Piece(start, Fraction(round(1e6 * beats.end_s), 1_000_000))))
    return measures(track, beats, good), measures(track, beats, cuts)


@pytest.mark.slow
def test_seams_have_the_beat_phase_of_natural_beats_and_hard_cuts_have_not(seams):
    good, cuts = seams[0][1], seams[1][1]
    assert np.percentile(good, 95) < 0.036
    assert not np.percentile(cuts, 95) < 0.036


@pytest.mark.slow
def test_seams_continue_the_harmony_and_hard_cuts_do_not(seams):
    good, cuts = seams[0][2], seams[1][2]
    assert np.percentile(good, 95) < 0.5
    assert not np.percentile(cuts, 95) < 0.5


@pytest.mark.slow
def test_seams_have_no_burst_and_hard_cuts_have(beats, seams):
    samples, rng = performance(FORM), np.random.default_rng(9)
    natural = np.percentile([burst_db(samples, RATE_HZ, at) for at in beats.times_s[2:-4]], 95)
    assert np.percentile(seams[0][0], 95) < natural + 3
    cuts = []
    for end, start in np.round(rng.uniform(3, beats.end_s - 4, (12, 2)) * RATE_HZ).astype(int):
        joined = np.concatenate([samples[end - RATE_HZ : end], samples[start : start + RATE_HZ]])
        cuts.append(burst_db(joined, RATE_HZ, 1.0))
    assert not np.percentile(cuts, 95) < natural + 3


def test_alignment_finds_the_shift_and_keeps_the_length():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(4 * RATE_HZ).astype(np.float32)
    samples = np.concatenate([noise, noise])
    late = Fraction(157, RATE_HZ)
    pieces = (Piece(Fraction(1), Fraction(2)), Piece(Fraction(6) + late, Fraction(7), 0.1))
    aligned = align_seams(pieces, samples, RATE_HZ)
    assert abs(aligned[1].start_s - 6) < Fraction(1, 500_000)
    assert aligned[0].end_s == 2
    assert sum(p.end_s - p.start_s for p in aligned) == sum(p.end_s - p.start_s for p in pieces)


@pytest.mark.parametrize("seconds", [21, pytest.param(83, marks=pytest.mark.slow)])
def test_a_film_gets_a_version_with_the_ending(tmp_path, track, seconds):
    path = film(tmp_path / "film.mp4", num_frames=25 * seconds + 7)
    plan, notes = plan_fit(path, track)
    assert all("bars of the track are uncertain" in note for note in notes)
    assert plan.music_s == plan.video.length_s == seconds + Fraction(7, 25)
    assert len(plan.pieces) > 1
    assert {marker.kind for marker in plan.markers} == {"beat"}
    done = render(plan, tmp_path / "out.mp4", video=path, track=track)
    assert done.notes == ()
    assert done.loudness.true_peak_db <= -1


def test_a_track_without_a_steady_beat_is_an_error(tmp_path):
    noise = np.random.default_rng(0).standard_normal(20 * RATE_HZ)
    write_audio(tmp_path / "noise.wav", 0.1 * noise, rate_hz=RATE_HZ)
    with pytest.raises(InputError, match="no steady beat"):
        plan_fit(film(tmp_path / "film.mp4"), tmp_path / "noise.wav")


def test_too_few_beats_are_an_error(track):
    with pytest.raises(InputError, match="has 9 beats, expected at least 16"):
        described(track, beats_of(FORM)[:9])
