"""Synthetic music at 22,050 Hz with known beats, downbeats, key and sections."""

from __future__ import annotations

import numpy as np

RATE_HZ = 22_050

# Beats in a bar, then the eighths of kick, snare and hi-hat.
PATTERNS = {
    "rock": (4, (0, 4), (2, 6), range(8)),
    "dance": (4, (0, 2, 4, 6), (2, 6), (1, 3, 5, 7)),
    "ballad": (4, (0,), (4,), (0, 2, 4, 6)),
    "waltz": (3, (0,), (2, 4), (0, 2, 4)),
}


def song(pattern, bpm, seconds, *, seed=0, start_s=0.2, tonic_hz=110.0, chords=(0, 5, 7, 0)):
    """Return samples, beat times and downbeat times of drums with a major chord in each bar."""
    rng = np.random.default_rng(seed)
    in_bar, kicks, snares, hats = PATTERNS[pattern]
    beat_s = 60 / bpm
    out = np.zeros(round(seconds * RATE_HZ))
    for bar, bar_s in enumerate(np.arange(start_s, seconds, in_bar * beat_s)):
        root_hz = tonic_hz * 2 ** (chords[bar % len(chords)] / 12)
        _add(out, bar_s, 0.12 * _chord(root_hz, in_bar * beat_s))
        for eighth in range(2 * in_bar):
            at_s = bar_s + eighth * beat_s / 2
            _add(out, at_s, 0.8 * _kick() * (eighth in kicks))
            _add(out, at_s, 0.4 * _hit(0.15, 25.0) * (eighth in snares))
            _add(out, at_s, 0.2 * _hit(0.04, 80.0) * (eighth in hats))
    out += rng.normal(0, 0.002, len(out))
    beats_s = np.arange(start_s, seconds, beat_s)
    return out.astype(np.float32), beats_s, beats_s[::in_bar]


def random_onsets(seconds, *, seed=0):
    """Return hits at random times (a Poisson process)."""
    rng = np.random.default_rng(seed)
    out = rng.normal(0, 0.001, round(seconds * RATE_HZ))
    for at_s in np.cumsum(rng.exponential(0.35, round(4 * seconds))):
        _add(out, at_s, 0.5 * _hit(0.05, 80.0))
    return out.astype(np.float32)


def free_tempo(seconds, *, seed=0):
    """Return chords whose lengths have no common unit."""
    rng = np.random.default_rng(seed)
    out = rng.normal(0, 0.001, round(seconds * RATE_HZ))
    at_s = 0.0
    while at_s < seconds:
        _add(out, at_s, 0.15 * _chord(220 * 2 ** (rng.integers(0, 24) / 12), 1.2))
        at_s += rng.choice([0.25, 0.5, 1, 1.5]) * rng.uniform(0.6, 1.7)
    return out.astype(np.float32)


def held_chords(seconds, *, seed=0):
    """Return chords of some seconds that fade in and out."""
    rng = np.random.default_rng(seed)
    out = rng.normal(0, 0.001, round(seconds * RATE_HZ))
    at_s = 0.0
    while at_s < seconds:
        length_s = rng.uniform(3, 7)
        chord = _chord(110 * 2 ** (rng.integers(0, 24) / 12), length_s, decay=0)
        edge = np.minimum(np.arange(len(chord)), np.arange(len(chord))[::-1])
        _add(out, at_s, 0.1 * chord * np.minimum(1, edge / (1.2 * RATE_HZ)))
        at_s += 0.7 * length_s
    return out.astype(np.float32)


def _chord(root_hz, seconds, *, steps=(0, 4, 7), decay=1.0):
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    waves = [
        np.sin(2 * np.pi * root_hz * 2 ** (step / 12) * k * time_s) / k**1.6
        for step in steps
        for k in range(1, 6)
    ]
    return np.sum(waves, axis=0) * np.minimum(1, time_s / 0.01) * np.exp(-decay * time_s)


def _kick():
    time_s = np.arange(round(0.2 * RATE_HZ)) / RATE_HZ
    swept = np.sin(2 * np.pi * (50 * time_s + 3 * (1 - np.exp(-30 * time_s))))
    return swept * np.exp(-15 * time_s)


def _hit(seconds, decay):
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    noise = np.random.default_rng(3).normal(0, 0.5, len(time_s))
    return np.diff(noise, prepend=0.0) * np.exp(-decay * time_s)


def _add(out, start_s, sound):
    start = round(start_s * RATE_HZ)
    part = out[start : start + len(sound)]
    part += sound[: len(part)]
