"""Synthetic music follows its hidden point."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from reelscore.demo.world import music
from reelscore.demo.world.music import SAMPLE_RATE_HZ, compose, tempo_bpm


def test_the_same_seed_composes_the_same_bytes_and_another_seed_others() -> None:
    one, again, other = (compose((0.2, 0.4, -0.1), seed=seed, duration_s=6.0) for seed in (7, 7, 8))
    assert one.dtype == np.float32
    assert one.shape == (6 * SAMPLE_RATE_HZ,)
    assert np.abs(one).max() <= 1
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def spectrum(samples: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    power = np.abs(np.fft.rfft(samples)) ** 2
    return np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE_HZ), power


@pytest.mark.parametrize("seed", range(4))
def test_excited_is_louder_and_brighter_than_calm(seed: int) -> None:
    calm, excited = (compose((0.0, a, 0.0), seed=seed, duration_s=8.0) for a in (-0.9, 0.9))
    assert np.sqrt((excited**2).mean()) > 2 * np.sqrt((calm**2).mean())
    above = []
    for samples in (calm, excited):
        hz, power = spectrum(samples)
        above.append(power[hz > 1500].sum() / power.sum())
    assert above[1] > 2 * above[0]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("pace", [-0.8, 0.0, 0.8])
def test_the_tempo_follows_the_pace(seed: int, pace: float) -> None:
    samples = compose((0.0, 0.8, pace), seed=seed, duration_s=16.0)
    hop = 220
    power = (samples[: len(samples) // hop * hop].reshape(-1, hop) ** 2).mean(axis=1)
    onset = np.maximum(np.diff(np.log(power + 1e-7)), 0)
    onset = onset - onset.mean()
    correlation = np.correlate(onset, onset, mode="full")[len(onset) - 1 :]
    wanted = 60 / tempo_bpm(pace) * SAMPLE_RATE_HZ / hop
    near = correlation[round(0.82 * wanted) : round(1.2 * wanted) + 1].max()
    # Half-way between two pulses of the half beat there is none.
    between = correlation[round(0.68 * wanted) : round(0.80 * wanted) + 1].max()
    assert near > 1.5 * between


def test_tempo_spans_slow_to_quick() -> None:
    assert tempo_bpm(-1) == pytest.approx(62)
    assert tempo_bpm(1) == pytest.approx(148, abs=1)


@pytest.mark.parametrize("seed", range(6))
def test_happy_has_the_major_third_and_sad_the_minor(seed: int) -> None:
    def third(valence: float) -> int:
        score = music._score((valence, 0.0, 0.0), 12.0, np.random.default_rng([seed, 2]))
        return score.scale[2]

    assert third(0.9) == 4
    assert third(-0.9) == 3


def test_a_track_shorter_than_a_bar_is_composed() -> None:
    assert len(compose((0.0, 0.0, 0.0), seed=1, duration_s=0.5)) == round(0.5 * SAMPLE_RATE_HZ)
