"""Onsets, tempo and beat strength, compared with known sounds and librosa."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reelscore.encoders.light.rhythm import USUAL_BPM, describe_rhythm, onset_envelope, pick_onsets, tempo
from reelscore.encoders.light.spectrum import FRAMES_HZ, HOP, MEL, RATE_HZ
from support.sounds import clicks, frames_of, noise, tone, tune


def mel_of(sound):
    return frames_of(sound)[:, MEL]


@pytest.mark.parametrize("bpm", [60, 75, 90, 100, 120, 128, 140, 160, 174])
def test_the_tempo_of_a_click_track(bpm):
    rhythm = describe_rhythm(mel_of(clicks(bpm, 12)))
    assert rhythm.tempo_bpm == pytest.approx(bpm, rel=0.02)
    assert rhythm.beat_strength > 0.5
    assert rhythm.onset_rate_hz == pytest.approx(bpm / 60, rel=0.15)


@pytest.mark.slow
def test_the_tempo_agrees_with_librosas_up_to_an_octave():
    agree = 0
    for seed in range(6):
        mel = mel_of(clicks(80 + 15 * seed, 12) + tone([220, 330], 12, 0.02))
        actual = tempo(onset_envelope(mel))[0]
        expected = librosa.feature.tempo(onset_envelope=onset_envelope(mel), sr=RATE_HZ, hop_length=HOP)[0]
        octaves = np.log2(actual / expected)
        agree += abs(octaves - round(octaves)) < 0.06
    assert agree == 6


def test_the_envelope_is_librosas():
    mel = mel_of(tune(4.0, seed=5))
    floored = np.maximum(mel, mel.max() - 80)
    expected = librosa.onset.onset_strength(S=floored.T, sr=RATE_HZ, hop_length=HOP, center=False)
    np.testing.assert_allclose(onset_envelope(mel), expected, atol=1e-4)


def test_onsets_against_a_loop():
    envelope = onset_envelope(mel_of(tune(6.0, seed=2)))
    near, wide = 2, 5
    expected = []
    for n, value in enumerate(envelope):
        peak = value >= envelope[max(0, n - near) : n + near + 1].max()
        mean = envelope[max(0, n - wide) : n + wide + 1].mean()
        stands_out = value >= mean + max(1.0, 0.07 * envelope.max())
        if peak and stands_out and (not expected or n - expected[-1] > near):
            expected.append(n)
    assert len(expected) > 5
    assert pick_onsets(envelope).tolist() == expected


@pytest.mark.parametrize(
    "sound",
    [np.zeros(RATE_HZ * 12, np.float32), tone([440], 12), np.zeros(2205, np.float32), clicks(120, 0.1)],
    ids=["silence", "one long tone", "0.1 s of silence", "0.1 s of sound"],
)
def test_no_beat_is_120_bpm_of_strength_0(sound):
    # A tone that starts at the first sample is an onset of its own; its middle has none.
    mel = mel_of(sound)
    rhythm = describe_rhythm(mel[20:-20] if len(mel) > 100 else mel)
    assert (rhythm.tempo_bpm, rhythm.beat_strength, rhythm.onset_rate_hz) == (USUAL_BPM, 0.0, 0.0)


def test_noise_has_hardly_a_beat():
    assert describe_rhythm(mel_of(noise(12))).beat_strength < 0.3


@given(gain_db=st.floats(-30, 10), seed=st.integers(0, 5))
@settings(max_examples=15, deadline=None)
def test_rhythm_does_not_know_the_level(gain_db, seed):
    mel = mel_of(tune(3.0, seed=seed))
    before, after = describe_rhythm(mel), describe_rhythm(mel + np.float32(gain_db))
    assert after.tempo_bpm == pytest.approx(before.tempo_bpm, rel=0.01)
    assert after.onset_mean_db == pytest.approx(before.onset_mean_db, abs=1e-3)
    assert abs(after.onset_rate_hz - before.onset_rate_hz) <= FRAMES_HZ / len(mel)
