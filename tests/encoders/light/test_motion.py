"""Motion features, cut rate and palettes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reelscore.encoders.light.motion import COLUMNS, describe_cuts, describe_motion, palette

GAP_S = 0.12


def describe(first, second, gap_s=GAP_S):
    return dict(zip([c.name for c in COLUMNS], describe_motion(first, second, gap_s).tolist(), strict=True))


def texture(seed=0, size=(96, 128)):
    """Smooth random luma, which optical flow can track."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]] / size[0]
    waves = sum(
        np.sin(2 * np.pi * (rng.uniform(1, 4) * x + rng.uniform(1, 4) * y) + rng.uniform(0, 6))
        for _ in range(6)
    )
    return (0.5 + waves / 14).astype(np.float32)


def square(at, size=(96, 128), side=32):
    picture = np.full(size, 0.2, np.float32)
    picture[32 : 32 + side, at : at + side] = 0.8
    return picture


def test_a_still_picture_does_not_move():
    assert not any(describe(texture(), texture()).values())


def test_without_a_following_frame_nothing_moves():
    assert not any(describe(texture(), None).values())
    assert not any(describe(texture(), texture(1), gap_s=0.0).values())


def test_a_moving_square_moves():
    slow, fast = describe(square(30), square(32)), describe(square(30), square(36))
    assert 0 < slow["motion_energy"] < fast["motion_energy"]
    assert 0 < slow["motion_flow"] < fast["motion_flow"]
    assert slow["motion_peak"] < fast["motion_peak"]


@pytest.mark.parametrize("shift_px", [1, 2, 4])
def test_the_speed_of_a_pan(shift_px):
    wide = texture(size=(96, 140))
    panned = describe(wide[:, 10:130], wide[:, 10 - shift_px : 130 - shift_px])
    assert panned["motion_flow"] == pytest.approx(shift_px / 96 / GAP_S, rel=0.3)
    assert panned["motion_unity"] > 0.9


def test_movers_against_each_other_are_not_one():
    picture = texture(size=(96, 140))
    left, right = picture[:, 10:130], np.concatenate([picture[:48, 8:128], picture[48:, 12:132]])
    assert describe(left, right)["motion_unity"] < 0.4


def test_brighter_light_is_no_movement():
    brighter = describe(texture(), texture() + np.float32(0.1))
    assert brighter["motion_flow"] < 1e-3
    assert brighter["motion_energy"] == pytest.approx(0.1 / GAP_S, rel=1e-3)


@given(gap_s=st.floats(0.05, 0.5), seed=st.integers(0, 20))
@settings(max_examples=20, deadline=None)
def test_rates_are_by_the_second(gap_s, seed):
    picture = texture(seed)
    moved = np.roll(picture, 2, axis=1)
    half, whole = describe(picture, moved, gap_s / 2), describe(picture, moved, gap_s)
    for name in ("motion_energy", "motion_flow", "motion_peak"):
        assert half[name] == pytest.approx(2 * whole[name], rel=1e-4)


def test_tiny_pictures_do_not_move():
    assert not any(describe(np.zeros((2, 3), np.float32), np.ones((2, 3), np.float32)).values())


def histograms(scenes):
    return np.eye(4, dtype=np.float32)[scenes]


def test_alternating_scenes_are_cut_at_each_step():
    np.testing.assert_allclose(describe_cuts(histograms([0, 1] * 8), 0.5)[:, 1], 2.0)


def test_one_scene_is_never_cut():
    assert not describe_cuts(histograms([2] * 8), 0.5).any()


def test_one_cut_shows_around_itself():
    distance, rate = describe_cuts(histograms([0] * 5 + [1] * 5), 1.0).T
    assert distance.tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert (rate > 0).tolist() == [False, False, False, True, True, True, True, False, False, False]
    assert rate.max() == pytest.approx(0.25)


@given(scenes=st.lists(st.integers(0, 3), min_size=1, max_size=20), step_s=st.floats(0.05, 20))
def test_the_cut_rate_is_bounded_by_the_sampling(scenes, step_s):
    cuts = describe_cuts(histograms(scenes), step_s)
    assert np.isfinite(cuts).all()
    assert cuts[:, 1].max() <= 1 / step_s * (1 + 1e-6)


def test_a_palette_against_a_loop():
    pixels = np.random.default_rng(2).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    expected = np.zeros((4, 4, 4))
    for colour in pixels[::4, ::4].reshape(-1, 3) / 255 * 3:
        for bin_ in np.ndindex(4, 4, 4):
            expected[bin_] += np.maximum(1 - np.abs(colour - bin_), 0).prod()
    np.testing.assert_allclose(palette(pixels), expected.ravel() / expected.sum(), atol=1e-6)


@given(level=st.integers(0, 250), by=st.integers(1, 5))
def test_a_slow_change_of_light_moves_the_palette_slowly(level, by):
    before, after = (palette(np.full((8, 8, 3), v, np.uint8)) for v in (level, level + by))
    assert 0.5 * np.abs(after - before).sum() <= 3 * by * 3 / 255 + 1e-6


def test_other_colours_of_equal_lightness_are_another_scene():
    red, blue = (np.full((8, 8, 3), rgb, np.uint8) for rgb in ((200, 30, 20), (20, 40, 210)))
    assert 0.5 * np.abs(palette(red) - palette(blue)).sum() > 0.8


def view(across=0.0, down=0.0, zoom=1.0, turn=0.0, size=(96, 128)):
    """Return what a camera sees of one large smooth picture."""
    y, x = (grid - (side - 1) / 2 for grid, side in zip(np.indices(size), size, strict=True))
    cosine, sine = np.cos(turn), np.sin(turn)
    u, v = (across + (cosine * x - sine * y) / zoom, down + (sine * x + cosine * y) / zoom)
    rng = np.random.default_rng(3)
    waves = sum(
        np.sin(rng.uniform(-0.4, 0.4) * u + rng.uniform(-0.4, 0.4) * v + rng.uniform(0, 6)) for _ in range(12)
    )
    return (0.5 + waves / 26).astype(np.float32)


CAMERAS = {
    "pan": {"across": 4},
    "fast pan": {"across": 14, "down": 5},
    "tilt": {"down": -6},
    "zoom": {"zoom": 1.06},
    "turn": {"turn": 0.05},
    "all": {"across": 5, "down": -3, "zoom": 1.04, "turn": 0.03},
}


@pytest.mark.parametrize("name", CAMERAS)
def test_the_camera_is_taken_off(name):
    found = describe(view(), view(**CAMERAS[name]))
    assert found["motion_flow"] > 0.15
    assert found["camera_speed"] > 0.15
    assert found["subject_flow"] < 0.15 * found["motion_flow"]
    assert found["subject_peak"] < 0.15 * found["motion_peak"]
    assert found["subject_energy"] < 0.3 * found["motion_energy"]


def test_a_subject_moves_before_a_still_and_before_a_turning_camera():
    def subject(picture, at):
        out = picture.copy()
        out[30:66, at : at + 36] = np.random.default_rng(5).random((9, 9)).repeat(4, 0).repeat(4, 1)
        return out

    still = describe(subject(view(), 40), subject(view(), 46))
    panned = describe(subject(view(), 40), subject(view(across=5), 46))
    alone = describe(view(), view(across=5))
    assert still["camera_speed"] < 0.02
    assert still["subject_flow"] == pytest.approx(still["motion_flow"], rel=0.3)
    assert panned["subject_flow"] > 0.5 * still["subject_flow"] > 3 * alone["subject_flow"]


def test_a_change_of_the_whole_picture_is_no_camera():
    assert describe(texture(1), texture(2))["subject_energy"] > 0.5
