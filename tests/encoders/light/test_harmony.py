"""Key detection."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reelscore.encoders.light.harmony import find_key
from reelscore.encoders.light.spectrum import CHROMA
from support.sounds import frames_of, tone

C, E_FLAT, E, G = 261.63, 311.13, 329.63, 392.0


def chroma_of(pitches):
    return frames_of(tone(pitches, 2.0))[5:-5, CHROMA].mean(axis=0)


def test_a_c_major_chord():
    chroma = chroma_of([C, E, G])
    assert set(np.argsort(chroma)[-3:].tolist()) == {0, 4, 7}
    key = find_key(chroma)
    assert key.tonic == 0
    assert key.mode > 0.05
    assert key.clarity > 0.6


def test_a_c_minor_chord():
    key = find_key(chroma_of([C, E_FLAT, G]))
    assert key.tonic == 0
    assert key.mode < -0.05


@pytest.mark.parametrize("level", [0.0, 0.3])
def test_a_flat_chroma_has_no_key(level):
    assert find_key(np.full(12, level, np.float32)) == find_key(np.zeros(12, np.float32))
    assert find_key(np.zeros(12, np.float32)).mode == 0


@given(chroma=arrays(np.float32, 12, elements=st.floats(0, 1, width=16)), semitones=st.integers(0, 11))
def test_transposing_moves_the_tonic_alone(chroma, semitones):
    here, there = find_key(chroma), find_key(np.roll(chroma, semitones))
    assert there.mode == pytest.approx(here.mode, abs=1e-6)
    assert there.clarity == pytest.approx(here.clarity, abs=1e-6)
