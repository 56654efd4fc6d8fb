"""Synthetic video follows its hidden point."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from reelscore.demo.world.video import draw, rgb

CALM, MIDDLE = -0.9, 0.0


def frames(valence: float, arousal: float, pace: float, seed: int) -> npt.NDArray[np.float64]:
    drawn = draw(
        (valence, arousal, pace), seed=seed, duration_s=5.0, width_px=96, height_px=72, frame_rate_hz=10
    )
    return np.stack(list(drawn)).astype(np.float64)


def test_the_same_seed_draws_the_same_bytes_and_another_seed_others() -> None:
    one, again, other = (frames(0.3, 0.1, 0.5, seed) for seed in (7, 7, 8))
    assert one.shape == (50, 72, 96, 3)
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("seed", range(4))
def test_happy_is_lighter_and_warmer_than_sad(seed: int) -> None:
    sad, happy = frames(-0.9, 0.0, 0.0, seed), frames(0.9, 0.0, 0.0, seed)
    assert happy.mean() > 1.3 * sad.mean()
    warmth = [(f[..., 0] - f[..., 2]).mean() for f in (sad, happy)]
    assert warmth[0] < 0 < warmth[1]


@pytest.mark.parametrize("seed", range(4))
def test_excited_is_more_saturated_than_calm(seed: int) -> None:
    def saturation(f: npt.NDArray[np.float64]) -> float:
        return float(((f.max(axis=3) - f.min(axis=3)) / np.maximum(f.max(axis=3), 1)).mean())

    assert saturation(frames(0.0, 0.9, 0.0, seed)) > 1.5 * saturation(frames(0.0, -0.9, 0.0, seed))


@pytest.mark.parametrize("seed", range(4))
def test_quick_moves_and_cuts_more_than_slow(seed: int) -> None:
    slow, quick = (
        np.abs(np.diff(frames(0.0, 0.0, p, seed), axis=0)).mean(axis=(1, 2, 3)) for p in (-0.9, 0.9)
    )
    assert quick.mean() > 1.5 * slow.mean()


def test_what_the_point_does_not_decide_varies() -> None:
    means = np.array([frames(0.0, 0.0, -0.9, seed).mean(axis=(0, 1, 2)) for seed in range(6)])
    assert (means.std(axis=0) > 3).all()


@pytest.mark.parametrize(
    ("hsv", "expected"),
    [
        ((0, 1, 1), (1, 0, 0)),
        ((1 / 3, 1, 1), (0, 1, 0)),
        ((2 / 3, 1, 0.5), (0, 0, 0.5)),
        ((0.4, 0, 0.7), (0.7,) * 3),
    ],
)
def test_rgb_of_known_colours(hsv: tuple[float, ...], expected: tuple[float, ...]) -> None:
    np.testing.assert_allclose(rgb(*hsv), expected, atol=1e-6)
