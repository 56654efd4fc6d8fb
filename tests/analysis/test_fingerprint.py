"""Recordings are recognised after lossy coding, cutting and clipping; other tracks are not."""

from __future__ import annotations

import numpy as np
import pytest

from reelscore.analysis.fingerprint import FINGERPRINT_HZ, find_overlap, fingerprint
from reelscore.demo.world.music import compose
from reelscore.media.audio import audio_blocks
from tests.support.films import encode_sound
from tests.support.rhythms import RATE_HZ


def track(seed, duration_s=40.0):
    point = tuple(np.random.default_rng(seed).uniform(-0.8, 0.8, 3))
    return compose(point, seed=seed, duration_s=duration_s)


@pytest.fixture(scope="module")
def recording():
    return track(1)


def coded(path, samples, codec, bit_rate):
    """Return the fingerprint after a lossy codec at 48 kHz."""
    import av

    (resampled,) = av.AudioResampler("fltp", "mono", 48_000, frame_size=0).resample(_frame(samples))
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=48_000, layout="mono")
        stream.bit_rate = bit_rate
        encode_sound(container, stream, resampled.to_ndarray(), 48_000, "mono")
    return fingerprint(audio_blocks(path, rate_hz=RATE_HZ))


def _frame(samples):
    import av

    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None]), format="fltp", layout="mono")
    frame.sample_rate = RATE_HZ
    return frame


@pytest.mark.parametrize(
    ("name", "codec", "bit_rate"), [("a.mp3", "libmp3lame", 64_000), ("a.opus", "libopus", 48_000)]
)
def test_a_lossy_copy_is_the_same_recording(recording, tmp_path, name, codec, bit_rate):
    overlap = find_overlap(fingerprint([recording]), coded(tmp_path / name, recording, codec, bit_rate))
    assert overlap is not None
    assert abs(overlap.offset_s) < 0.1
    assert overlap.length_s > 38


def test_an_excerpt_of_20_s_is_found_at_its_place(recording):
    part = recording[round(11.3 * RATE_HZ) :][: 20 * RATE_HZ]
    overlap = find_overlap(fingerprint([recording]), fingerprint([part]))
    assert overlap is not None
    assert overlap.offset_s == pytest.approx(11.3, abs=0.05)
    reverse = find_overlap(fingerprint([part]), fingerprint([recording]))
    assert reverse is not None
    assert reverse.offset_s == pytest.approx(-11.3, abs=0.05)


def test_clipping_and_level_do_not_hide_a_recording(recording):
    clipped = np.clip(2 * recording / np.abs(recording).max(), -1, 1)
    assert find_overlap(fingerprint([recording]), fingerprint([clipped])) is not None
    assert find_overlap(fingerprint([recording]), fingerprint([0.05 * recording])) is not None


def test_other_tracks_share_nothing():
    prints = [fingerprint([track(seed, 25.0)]) for seed in range(8)]
    assert not [1 for i, a in enumerate(prints) for b in prints[:i] if find_overlap(a, b)]


def test_silence_and_short_sounds_match_nothing(recording):
    silence = fingerprint([np.zeros(30 * RATE_HZ, np.float32)])
    short = fingerprint([recording[: 5 * RATE_HZ]])
    whole = fingerprint([recording])
    assert find_overlap(silence, silence) is None
    assert find_overlap(silence, whole) is None
    assert find_overlap(whole, short) is None
    assert len(fingerprint([recording[:2_000]])) == len(fingerprint([])) == 0


def test_a_second_takes_115_bytes_and_blocks_change_no_bit(recording):
    whole = fingerprint([recording])
    assert whole.nbytes == pytest.approx(40 * 4 * FINGERPRINT_HZ, rel=0.02)
    np.testing.assert_array_equal(whole, fingerprint(np.array_split(recording, 7)))
