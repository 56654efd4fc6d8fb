"""The built-in music encoder."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reelscore.encoders.light.music import COLUMNS, LightMusic, describe_instants, describe_window
from reelscore.encoders.light.spectrum import FRAMES_HZ, RATE_HZ
from reelscore.features.sampling import global_sparse
from reelscore.media.writer import write_audio
from reelscore.types import FeatureSequence
from support.sounds import clicks, frames_of, noise, tone, tune

NAMES = [column.name for column in COLUMNS]
LEVEL_COLUMNS = {"loudness_db"}


def rows_of(sound, instants, block=RATE_HZ):
    blocks = (sound[i : i + block] for i in range(0, len(sound), block))
    return np.stack(list(describe_instants(blocks, instants)))


def value(row, name):
    return float(row[NAMES.index(name)])


@pytest.fixture(scope="module")
def song():
    return tune(40.0, seed=7)


@pytest.fixture(scope="module")
def song_file(song, tmp_path_factory):
    path = tmp_path_factory.mktemp("music") / "song.wav"
    write_audio(path, song, rate_hz=RATE_HZ)
    return path


def test_every_column_is_named_once_and_explained():
    assert len(set(NAMES)) == len(NAMES) == LightMusic.dim
    assert all(column.unit and column.meaning for column in COLUMNS)


def test_a_file_gives_one_finite_row_a_segment(song_file):
    segments = global_sparse(40.0, num_segments=8)
    sequence = LightMusic().encode(song_file, segments)
    assert isinstance(sequence, FeatureSequence)
    assert sequence.values.shape == (8, LightMusic.dim)
    assert sequence.segments == segments
    assert sequence.encoder == LightMusic.fingerprint
    assert sequence.columns == tuple(NAMES)


def test_the_same_file_gives_the_same_bytes(song_file):
    segments = global_sparse(40.0, num_segments=5)
    first, second = (LightMusic().encode(song_file, segments) for _ in range(2))
    assert first.values.tobytes() == second.values.tobytes()


@given(
    num_segments=st.integers(1, 12),
    factor=st.sampled_from([3, 5, 7]),
    num_samples=st.integers(1, 40 * RATE_HZ),
)
@settings(max_examples=15, deadline=None)
def test_a_row_depends_on_its_instant_alone(song, num_segments, factor, num_samples):
    sound = song[:num_samples]
    coarse, fine = (
        [s.instant_s for s in global_sparse(num_samples / RATE_HZ, num_segments=n)]
        for n in (num_segments, factor * num_segments)
    )
    rows, all_rows = rows_of(sound, coarse), rows_of(sound, fine)
    assert rows.tobytes() == np.ascontiguousarray(all_rows[factor // 2 :: factor]).tobytes()


@given(block=st.integers(1_000, 400_000))
@settings(max_examples=6, deadline=None)
def test_the_blocks_do_not_matter(song, block):
    instants = [2.0, 17.5, 31.0]
    assert rows_of(song, instants, block).tobytes() == rows_of(song, instants).tobytes()


def test_streaming_is_the_whole_at_once(song):
    frames = frames_of(song)
    for instant, row in zip([3.0, 20.0, 38.5], rows_of(song, [3.0, 20.0, 38.5]), strict=True):
        centre, near, wide = round(instant * FRAMES_HZ), round(3 * FRAMES_HZ), round(6 * FRAMES_HZ)
        expected = describe_window(
            frames[max(0, centre - near) : centre + near + 1],
            frames[max(0, centre - wide) : centre + wide + 1],
        )
        np.testing.assert_allclose(row, expected, rtol=1e-3, atol=1e-2)


@given(power_of_two=st.integers(-4, 0))
@settings(max_examples=5, deadline=None)
def test_the_level_changes_the_loudness_alone(song, power_of_two):
    before = rows_of(song, [20.0])[0]
    after = rows_of(song * np.float32(2.0**power_of_two), [20.0])[0]
    assert value(after, "loudness_db") - value(before, "loudness_db") == pytest.approx(
        20 * np.log10(2.0**power_of_two), abs=1e-3
    )
    for name in set(NAMES) - LEVEL_COLUMNS:
        assert value(after, name) == pytest.approx(value(before, name), rel=2e-3, abs=2e-2), name


def test_shifted_sound_gives_shifted_rows(song):
    hops = 100
    shifted = np.concatenate([np.zeros(hops * 512, np.float32), song])
    before = rows_of(song, [15.0, 25.0])
    after = rows_of(shifted, [15.0 + hops * 512 / RATE_HZ, 25.0 + hops * 512 / RATE_HZ])
    np.testing.assert_allclose(after, before, rtol=2e-3, atol=2e-2)


def test_known_answers():
    clicked, chord = (
        rows_of(clicks(120, 20), [10.0])[0],
        rows_of(tone([261.63, 329.63, 392.0], 20), [10.0])[0],
    )
    assert value(clicked, "tempo_bpm") == pytest.approx(120, rel=0.01)
    assert value(clicked, "onset_rate_hz") == pytest.approx(2, abs=0.2)
    assert value(clicked, "beat_strength") > 0.7
    assert value(chord, "mode") > 0.03
    assert min(value(chord, f"chroma_{p}") for p in "ceg") > 3 * value(chord, "chroma_d")
    assert value(chord, "beat_strength") == 0
    assert value(chord, "loudness_db") == pytest.approx(10 * np.log10(3 * 0.2**2 / 2), abs=0.05)


def test_bright_loud_noise_against_a_dark_soft_tone():
    loud, soft = rows_of(noise(10, 0.3), [5.0])[0], rows_of(tone([110], 10, 0.01), [5.0])[0]
    for name in ("loudness_db", "centroid_hz", "rolloff_hz", "bandwidth_hz", "flatness_db"):
        assert value(loud, name) > value(soft, name), name


@pytest.mark.parametrize("seconds", [1 / RATE_HZ, 0.1, 1.0, 13.0])
@pytest.mark.parametrize(
    "make", [lambda s: np.zeros(max(1, round(s * RATE_HZ)), np.float32), lambda s: noise(s)]
)
def test_silence_and_snippets_are_finite(seconds, make):
    rows = rows_of(make(seconds), [s.instant_s for s in global_sparse(seconds, num_segments=4)])
    assert rows.shape == (4, len(COLUMNS))
    assert np.isfinite(rows).all()


def test_silence_says_so():
    row = rows_of(np.zeros(RATE_HZ * 10, np.float32), [5.0])[0]
    assert value(row, "loudness_db") == -100
    assert value(row, "tempo_bpm") == 120
    quiet = ("beat_strength", "onset_rate_hz", "mode", "centroid_hz", "chroma_c", "mel_std_0")
    assert [value(row, name) for name in quiet] == [0.0] * len(quiet)


def test_past_the_end_of_the_sound_is_silence(song):
    row = rows_of(song[: 5 * RATE_HZ], [2.0, 30.0])[1]
    silent = rows_of(np.zeros(RATE_HZ, np.float32), [0.5])[0]
    np.testing.assert_allclose(row, silent, atol=1e-3)


def test_no_samples_no_rows():
    assert list(describe_instants(iter([]), [1.0])) == []
