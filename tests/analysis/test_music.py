"""Music against speech-like sounds and noise."""

from __future__ import annotations

import numpy as np
import pytest

from reelscore.analysis.music import frequency_activation, has_music
from reelscore.media.audio import audio_blocks
from reelscore.media.probe import probe
from support import rhythms
from support.sounds import clicks, noise

RATE_HZ = rhythms.RATE_HZ


def gliding_voice(seconds: float, seed: int = 0) -> np.ndarray:
    """Return syllables of harmonics whose pitch glides, at uneven times."""
    rng = np.random.default_rng(seed)
    out = rng.normal(0, 0.001, round(seconds * RATE_HZ))
    at = 0
    while at < len(out):
        length = round(rng.uniform(0.12, 0.4) * RATE_HZ)
        pitch = rng.uniform(90, 240) * np.exp(np.linspace(0, rng.uniform(-0.35, 0.35), length))
        phase = 2 * np.pi * np.cumsum(pitch) / RATE_HZ
        wave = sum(np.sin(k * phase) / k for k in range(1, 20)) * np.hanning(length)
        part = out[at : at + length]
        part += 0.1 * wave[: len(part)]
        at += length + round(rng.uniform(0.02, 0.5) * RATE_HZ)
    return out.astype(np.float32)


@pytest.mark.parametrize(
    "sound",
    [
        rhythms.song("rock", 120, 20)[0],
        rhythms.song("waltz", 150, 20)[0],
        rhythms.held_chords(20),
        clicks(100, 20),
        0.25 * rhythms.song("ballad", 90, 20)[0] + gliding_voice(20),
    ],
    ids=["rock", "waltz", "held chords", "drums alone", "music under a voice"],
)
def test_music_is_found(sound):
    assert has_music(np.asarray(sound, np.float32))


@pytest.mark.parametrize("seed", range(4))
def test_voices_noise_and_random_hits_are_no_music(seed):
    for sound in (gliding_voice(20, seed), noise(20, seed=seed), rhythms.random_onsets(20, seed=seed)):
        assert not has_music(sound)


def test_silence_and_short_sounds_are_no_music():
    for sound in (np.zeros(20 * RATE_HZ, np.float32), np.empty(0, np.float32), noise(0.5)):
        assert not has_music(sound)
        assert frequency_activation(sound) == 0


def test_real_videos_and_tracks(shared):
    """Two of the videos have music; the others are of things, animals and people."""
    paths = sorted((shared / "media" / "videos").iterdir())
    sounds = {path.name: sound_of(path) for path in paths if probe(path).audio is not None}
    assert [name for name, sound in sounds.items() if has_music(sound)] == [
        "big-buck-bunny-30s.webm",
        "echo-hereweare.webm",
    ]


def sound_of(path):
    return np.concatenate([np.empty(0, np.float32), *audio_blocks(path, rate_hz=RATE_HZ)])
