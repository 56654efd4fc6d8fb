"""Colour features against known images and definitions."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reelscore.encoders.light.colour import COLUMNS, describe_colour, luma

NAMES = [column.name for column in COLUMNS]


def describe(pixels):
    return dict(zip(NAMES, describe_colour(pixels, luma(pixels)).tolist(), strict=True))


def plain(*rgb, size=(12, 16)):
    return np.full((*size, 3), rgb, np.uint8)


def random_picture(seed, size=(20, 30)):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def test_red_is_warm_and_blue_is_cold():
    red, blue, grey = describe(plain(255, 0, 0)), describe(plain(0, 0, 255)), describe(plain(128, 128, 128))
    assert (red["warmth"], grey["warmth"], blue["warmth"]) == (1, 0, -1)
    assert red["hue_cos"] == pytest.approx(1)
    assert red["hue_0"] == pytest.approx(1)
    assert blue["hue_8"] == pytest.approx(1)


def test_grey_has_no_colour():
    grey = describe(plain(90, 90, 90))
    assert grey["saturation"] == grey["colourfulness"] == 0
    assert grey["hue_spread"] == 1
    assert sum(grey[f"hue_{k}"] for k in range(12)) == 0


def test_black_and_white():
    black, white = describe(plain(0, 0, 0)), describe(plain(255, 255, 255))
    assert (black["brightness"], black["value_0"]) == (0, 1)
    assert white["brightness"] == pytest.approx(1)
    assert white["value_7"] == 1
    halves = np.concatenate([plain(0, 0, 0), plain(255, 255, 255)])
    assert describe(halves)["contrast"] == pytest.approx(0.5)
    assert describe(halves)["shadows"] == pytest.approx(0)
    assert describe(halves)["highlights"] == pytest.approx(1)


def test_against_the_standard_librarys_hsv():
    pixels = random_picture(4)
    hsv = np.array([colorsys.rgb_to_hsv(*(p / 255)) for p in pixels.reshape(-1, 3)])
    got = describe(pixels)
    assert got["value"] == pytest.approx(hsv[:, 2].mean(), abs=1e-5)
    assert got["saturation"] == pytest.approx(np.average(hsv[:, 1], weights=hsv[:, 2]), abs=1e-5)
    assert got["saturation_std"] == pytest.approx(hsv[:, 1].std(), abs=1e-5)
    for k in range(4):
        inside = (np.minimum((hsv[:, 1] * 4).astype(int), 3) == k).mean()
        assert got[f"saturation_{k}"] == pytest.approx(inside, abs=2e-3)


def test_colourfulness_against_its_definition():
    pixels = random_picture(5)
    r, g, b = (pixels[..., k].astype(float) for k in range(3))
    rg, yb = r - g, (r + g) / 2 - b
    expected = np.sqrt(rg.var() + yb.var()) + 0.3 * np.sqrt(rg.mean() ** 2 + yb.mean() ** 2)
    assert describe(pixels)["colourfulness"] == pytest.approx(expected, rel=1e-4)


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_turning_the_hue_turns_the_hue_alone(seed):
    pixels = random_picture(seed)
    before, after = describe(pixels), describe(np.roll(pixels, 1, axis=2))  # red becomes green: 120 degrees
    for name in ("saturation", "saturation_std", "value", "value_std", "hue_spread"):
        assert after[name] == pytest.approx(before[name], abs=1e-4), name
    turned = complex(before["hue_cos"], before["hue_sin"]) * np.exp(2j * np.pi / 3)
    assert (after["hue_cos"], after["hue_sin"]) == pytest.approx((turned.real, turned.imag), abs=1e-4)
    for k in range(12):
        # A pixel exactly between two sectors may fall to either side.
        assert after[f"hue_{(k + 4) % 12}"] == pytest.approx(before[f"hue_{k}"], abs=0.01)


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_moving_pixels_about_changes_nothing(seed):
    pixels = random_picture(seed)
    shuffled = np.random.default_rng(seed).permutation(pixels.reshape(-1, 3)).reshape(pixels.shape)
    np.testing.assert_allclose(list(describe(shuffled).values()), list(describe(pixels).values()), atol=1e-3)


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_mirrored_lightness(seed):
    pixels = random_picture(seed)
    before, after = describe(pixels), describe(255 - pixels)
    assert after["brightness"] == pytest.approx(1 - before["brightness"], abs=1e-4)
    assert after["contrast"] == pytest.approx(before["contrast"], abs=1e-4)
    assert after["warmth"] == pytest.approx(-before["warmth"], abs=1e-4)
