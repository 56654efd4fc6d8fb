"""Cuts are found at their frame; motion, flashes and light are no cuts."""

from __future__ import annotations

import numpy as np
import pytest

from reelscore.errors import MediaError
from reelscore.media.cuts import _times_s, find_cuts
from tests.support.films import film
from tests.support.shots import SIZE, shot

RATE = 25


def write(path, pictures, **options):
    return film(path, pictures=pictures, rate=RATE, gop=50, size=SIZE, options={"crf": "23"}, **options)


def edited(seed, num_shots=12):
    """Return the frames of shots of 5 to 40 frames, and the first frame of each but the first."""
    rng = np.random.default_rng(seed)
    frames, firsts = [], []
    for number in range(num_shots):
        frames += shot(1000 * seed + number, int(rng.integers(5, 40)))
        firsts.append(len(frames))
    return frames, firsts[:-1]


def fades(frames, num, *, start):
    """Return frames that go to black over `num` frames and come back."""
    gain = np.ones(len(frames))
    gain[start : start + num] = np.linspace(1, 0, num)
    gain[start + num : start + 2 * num] = np.linspace(0, 1, num)
    return [(frame * g).astype(np.uint8) for frame, g in zip(frames, gain, strict=True)]


def test_hard_cuts_of_made_videos(tmp_path):
    found = missed = false = 0
    for seed in range(6):
        frames, firsts = edited(seed)
        cuts_s = np.array(find_cuts(write(tmp_path / f"{seed}.mp4", frames)).cuts_s)
        truth_s = np.array(firsts) / RATE
        hits = int((np.abs(truth_s[:, None] - cuts_s).min(axis=1) <= 0.001).sum())
        found, missed, false = found + hits, missed + len(truth_s) - hits, false + len(cuts_s) - hits
    assert 2 * found / (2 * found + missed + false) >= 0.95


@pytest.mark.parametrize("seed", range(4))
def test_one_shot_has_no_cut(tmp_path, seed):
    assert find_cuts(write(tmp_path / "a.mp4", shot(seed, 100))).cuts_s == ()


def test_a_flash_and_a_change_of_light_are_no_cuts(tmp_path):
    frames = shot(1, 100)
    frames[40] = np.full_like(frames[40], 255)
    frames[60:] = [np.clip(frame * 1.1, 0, 255).astype(np.uint8) for frame in frames[60:]]
    assert find_cuts(write(tmp_path / "a.mp4", frames)).cuts_s == ()


def test_repeated_frames_hide_no_cut(tmp_path):
    # 12.5 pictures per second at 25 frames per second.
    frames = [picture for seed in (1, 2, 3) for picture in shot(seed, 25) for _ in range(2)]
    assert find_cuts(write(tmp_path / "a.mp4", frames)).cuts_s == (2.0, 4.0)


def test_a_fade_and_a_dissolve_are_reported_apart(tmp_path):
    still = [shot(7, 1)[0]] * 100
    faded = find_cuts(write(tmp_path / "fade.mp4", fades(still, 20, start=30)))
    assert faded.cuts_s == ()
    assert {t.kind for t in faded.transitions} == {"fade"}
    assert faded.transitions[0].start_s < 2.0 < faded.transitions[-1].end_s + 0.5
    first, last = shot(8, 1)[0].astype(float), shot(9, 1)[0].astype(float)
    mix = np.clip((np.arange(100) - 40) / 20, 0, 1)
    dissolved = find_cuts(
        write(tmp_path / "dissolve.mp4", [((1 - m) * first + m * last).astype(np.uint8) for m in mix])
    )
    assert dissolved.cuts_s == ()
    (transition,) = dissolved.transitions
    assert transition.kind == "dissolve"
    assert 1.4 < transition.start_s < 2.0 < transition.end_s < 2.6


def test_motion_peaks_at_the_strongest_motion(tmp_path):
    calm = [shot(3, 1)[0]] * 50
    rng = np.random.default_rng(0)
    shaken = [np.roll(calm[0], rng.integers(-20, 20, 2), axis=(0, 1)) for _ in range(12)]
    (peak_s,) = find_cuts(write(tmp_path / "a.mp4", [*calm, *shaken, *calm])).motion_peaks_s
    assert peak_s == pytest.approx(56 / RATE, abs=0.3)
    assert find_cuts(write(tmp_path / "b.mp4", calm)).motion_peaks_s == ()


def test_times_are_those_of_the_frames_at_a_variable_rate(tmp_path):
    frames = [*shot(1, 30), *shot(2, 30), *shot(3, 30)]
    gaps_ms = np.random.default_rng(0).choice([20, 40, 100], len(frames))
    stamps = [int(s) for s in np.cumsum(gaps_ms)]
    cuts_s = find_cuts(write(tmp_path / "a.mkv", frames, stamps=stamps)).cuts_s
    assert cuts_s == pytest.approx([(stamps[30] - stamps[0]) / 1000, (stamps[60] - stamps[0]) / 1000])


@pytest.mark.parametrize("shift_ms", [3_600_000, -500])
def test_one_damaged_time_stamp_moves_no_cut(shift_ms):
    stamps_s = np.arange(100) / RATE
    damaged = stamps_s + 0.0
    damaged[[20, 70]] += shift_ms / 1000
    damaged[33] = np.nan
    np.testing.assert_allclose(_times_s(damaged), stamps_s, atol=1e-9)
    np.testing.assert_allclose(_times_s(np.full(3, np.nan)), [0, 0.04, 0.08])


def test_a_rotated_video_has_the_same_cuts(tmp_path):
    frames, firsts = edited(3, 5)
    upright = find_cuts(write(tmp_path / "a.mp4", frames))
    assert find_cuts(write(tmp_path / "b.mp4", frames, rotation_deg=90)) == upright
    assert upright.cuts_s == pytest.approx(np.array(firsts) / RATE)


@pytest.mark.parametrize("num_frames", [1, 2, 3])
def test_very_short_videos(tmp_path, num_frames):
    cuts = find_cuts(write(tmp_path / "a.mp4", shot(1, num_frames)))
    assert (cuts.cuts_s, cuts.transitions, cuts.motion_peaks_s) == ((), (), ())


def test_sound_without_pictures_is_an_error(tmp_path):
    from reelscore.media.writer import write_audio

    write_audio(tmp_path / "a.wav", np.zeros(1000), rate_hz=8000)
    with pytest.raises(MediaError, match="expected pictures"):
        find_cuts(tmp_path / "a.wav")


@pytest.mark.parametrize(
    "name", ["bottles", "cars", "cockatoo", "crystal", "fire", "frog", "monster", "rabbit320"]
)
def test_real_single_shots_have_no_cut(shared, name):
    assert find_cuts(shared / "media" / "videos" / f"{name}.mp4").cuts_s == ()
