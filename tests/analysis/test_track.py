"""The analysis of whole files: key, sections, energy, summary."""

from __future__ import annotations

import json

import numpy as np
import pytest

from reelscore.analysis.frames import describe
from reelscore.analysis.key import TONICS, estimate_key
from reelscore.analysis.sections import find_sections
from reelscore.analysis.track import analyse_track, cached_analysis, read_analysis
from reelscore.demo.world.music import compose
from reelscore.encoders.cache import FeatureCache
from reelscore.errors import MediaError, NotFoundError
from reelscore.media.loudness import measure_loudness
from reelscore.media.writer import write_audio
from tests.support.films import film
from tests.support.rhythms import RATE_HZ, song
from tests.support.sounds import noise


@pytest.mark.parametrize("semitones", [0, 3, 10])
def test_the_key_of_tonic_subdominant_and_dominant(semitones):
    samples, _, _ = song("ballad", 110.0, 30.0, tonic_hz=110 * 2 ** (semitones / 12))
    key = estimate_key(describe([samples]).chroma)
    assert (key.tonic, key.mode) == (TONICS[(9 + semitones) % 12], "major")
    assert key.confidence == 1.0


def test_a_track_that_changes_its_key_has_a_low_confidence():
    parts = [song("ballad", 110.0, 15.0, tonic_hz=110 * 2 ** (k / 12))[0] for k in (0, 6, 1, 8)]
    assert estimate_key(describe([np.concatenate(parts)]).chroma).confidence <= 0.5


def test_silence_has_no_key():
    assert estimate_key(describe([np.zeros(RATE_HZ, np.float32)]).chroma) is None
    assert estimate_key(describe([]).chroma) is None


def test_a_change_of_band_and_chord_starts_a_section():
    loud, _, _ = song("rock", 120.0, 40.2)
    calm, _, _ = song("ballad", 120.0, 30.2, tonic_hz=155.0, chords=(0, 9))
    samples = np.concatenate([loud[4_410:], calm[4_410:], loud[4_410:]])
    sections_s = find_sections(describe([samples]))
    assert sections_s[0] == 0
    assert sections_s[1:] == pytest.approx([40, 70], abs=2)


def test_uniform_music_is_one_section():
    assert find_sections(describe([song("rock", 120.0, 60.0, chords=(0,))[0]])) == (0.0,)
    assert find_sections(describe([noise(60)])) == (0.0,)
    assert find_sections(describe([noise(3)])) == (0.0,)


def test_energy_follows_the_arousal_of_synthetic_tracks(tmp_path):
    energies = []
    arousals = np.linspace(-1, 1, 7)
    for seed, arousal in enumerate(arousals):
        write_audio(
            tmp_path / "a.wav", compose((0.2, arousal, 0), seed=seed, duration_s=20.0), rate_hz=RATE_HZ
        )
        energies.append(analyse_track(tmp_path / "a.wav").energy)
    assert np.corrcoef(arousals, energies)[0, 1] > 0.9
    assert 0 <= min(energies) < 0.4 < max(energies) <= 1


def test_a_file_gives_the_same_analysis_twice(tmp_path):
    write_audio(tmp_path / "a.wav", song("rock", 120.0, 20.0)[0], rate_hz=RATE_HZ)
    first, second = (analyse_track(tmp_path / "a.wav") for _ in range(2))
    assert first.rhythm.to_bytes() == second.rhythm.to_bytes()
    assert first.fingerprint.tobytes() == second.fingerprint.tobytes()
    assert first.summary() == second.summary()
    assert first.duration_s == pytest.approx(20.0)
    values = json.loads(json.dumps(first.summary(), allow_nan=False))
    assert values["bpm"] == pytest.approx(120, abs=0.5)
    assert values["meter"] == 4
    assert (values["tonic"], values["mode"], values["key"]) == (9, "major", "A major")


def test_an_analysis_is_cached_by_content(tmp_path):
    path, cache = tmp_path / "a.wav", FeatureCache(tmp_path / "cache")
    write_audio(path, song("rock", 120.0, 20.0)[0], rate_hz=RATE_HZ)
    assert read_analysis("content", cache) is None
    first = cached_analysis(path, content="content", cache=cache)
    path.unlink()
    second = cached_analysis(path, content="content", cache=cache)
    for name, array in first.to_arrays().items():
        assert array.tobytes() == second.to_arrays()[name].tobytes()
    assert second.summary() == first.summary()
    with pytest.raises(NotFoundError):
        cached_analysis(path, content="other", cache=cache)


def test_loudness_and_peaks_come_from_the_same_pass(tmp_path):
    path = tmp_path / "a.wav"
    samples = np.concatenate([noise(2) * 0.1, noise(1.05)])
    write_audio(path, samples, rate_hz=RATE_HZ)
    analysis = analyse_track(path)
    assert analysis.loudness == measure_loudness(path)
    peaks = np.frombuffer(analysis.peaks, np.uint8)
    expected = [np.abs(samples[i : i + 2205]).max() for i in range(0, len(samples), 2205)]
    assert peaks / 255 == pytest.approx(np.minimum(expected, 1), abs=0.004)


def test_silence_has_no_tempo_no_meter_and_no_key(tmp_path):
    write_audio(tmp_path / "a.wav", np.zeros(5 * RATE_HZ), rate_hz=RATE_HZ)
    values = json.loads(json.dumps(analyse_track(tmp_path / "a.wav").summary(), allow_nan=False))
    assert set(values) == {"beat_strength", "lufs", "true_peak", "lra", "energy"}
    assert (values["lufs"], values["true_peak"], values["energy"]) == (-70, -100, 0)


def test_a_video_without_sound_is_an_error(tmp_path):
    with pytest.raises(MediaError, match="expected sound"):
        analyse_track(film(tmp_path / "a.mp4"))
