"""Matches start where the cuts fall on beats, end inside their track, and come first if they last."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from reelscore import Library, Matcher
from reelscore.analysis.frames import describe
from reelscore.analysis.rhythm import find_rhythm
from reelscore.analysis.track import analyse_track
from reelscore.errors import ArtifactError
from reelscore.library.storage.facts import TrackFacts
from reelscore.library.storage.store import Store
from reelscore.matching.alignment import align_start
from reelscore.matching.placement import LEAST_BEATS, TOO_SHORT, lasts, rhythm_of
from reelscore.media.cuts import find_cuts
from reelscore.media.writer import write_audio
from reelscore.pipeline import cuts as cuts_module
from reelscore.types import Track
from tests.support.edits import edited_film, error_modulo_beat_s, made_moment
from tests.support.films import sound_file
from tests.support.rhythms import PATTERNS, RATE_HZ, free_tempo, song

CLIP_S = 16.0
BPM = 100.0


def edited(path, cuts_s, length_s=CLIP_S):
    return edited_film(path, cuts_s, length_s=length_s)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A steady song, a song of free tempo, silence, a short loop with beats, and a short one without."""
    folder = tmp_path_factory.mktemp("placed")
    sounds = {
        "steady": song("rock", BPM, 40.0)[0],
        "free": free_tempo(40.0),
        "silence": np.zeros(40 * RATE_HZ),
        "loop": song("dance", 120.0, 12.0, tonic_hz=150.0)[0],
        "jingle": free_tempo(8.0, seed=1),
    }
    for name, samples in sounds.items():
        write_audio(folder / "music" / f"{name}.wav", samples, rate_hz=RATE_HZ)
    found = Library.open(folder / "lib", cache=folder / "cache")
    found.add(folder / "music", workers=1)
    with Store.open(folder / "lib") as store:
        rhythms = {t.key: analyse_track(t.path).rhythm.to_bytes() for t in found.tracks()}
        store.set_facts({key: TrackFacts(rhythm=rhythm) for key, rhythm in rhythms.items()})
        store.finish()
    return Library.open(folder / "lib", cache=folder / "cache")


def by_name(matches):
    return {match.track.title: match for match in matches}


def test_the_cuts_of_the_video_fall_on_beats(library, tmp_path):
    truth_s = 7.31
    _, beats_s, _ = song("rock", BPM, 40.0)
    inside = beats_s[(beats_s > truth_s + 0.5) & (beats_s < truth_s + CLIP_S - 0.5)] - truth_s
    video = edited(tmp_path / "a.mp4", inside[::2])
    report = Matcher(library).report(video)
    found = by_name(report.matches)
    steady = found["steady"]
    assert error_modulo_beat_s(steady.start_s, truth_s, BPM) <= 0.1
    assert steady.moment.is_on_beat
    assert steady.moment.num_on_beat == steady.moment.num_cuts == len(inside[::2])
    for name in ("free", "silence", "jingle"):
        assert (found[name].moment.is_on_beat, found[name].moment.gain) == (False, 0)
    for match in report.matches:
        assert match.end_s == min(match.start_s + CLIP_S, match.track.duration_s)
    entry = next(m for m in report.to_json()["matches"] if m["title"] == "steady")
    assert entry["end_s"] == pytest.approx(entry["start_s"] + CLIP_S, abs=0.001)
    assert entry["beat"] | {"gain": 0} == {
        "on_beat": True,
        "gain": 0,
        "cuts": len(inside[::2]),
        "cuts_on_beat": len(inside[::2]),
    }
    assert entry["beat"]["gain"] > 0.1
    assert json.dumps(Matcher(library).report(video).to_json()) == json.dumps(report.to_json())


def test_short_tracks_come_last_unless_they_can_be_extended(library, tmp_path):
    matches = Matcher(library).match(edited(tmp_path / "a.mp4", [4.0, 8.0]))
    assert matches[-1].track.title == "jingle"
    assert {m.track.title: m.violations for m in matches if m.violations} == {"jingle": (TOO_SHORT,)}
    assert by_name(matches)["loop"].end_s == pytest.approx(12.0, abs=0.01)
    assert not any(m.violations for m in Matcher(library).match(edited(tmp_path / "b.mp4", [], 4.0)))


@pytest.mark.parametrize("cuts_s", [(), (1.0, 2.0, 3.0, 4.0)], ids=["no cuts", "four cuts"])
def test_nothing_is_claimed_of_few_cuts(library, tmp_path, cuts_s):
    matches = Matcher(library).match(edited(tmp_path / "a.mp4", cuts_s))
    assert not any(match.moment.is_on_beat for match in matches)
    assert by_name(matches)["steady"].moment.num_cuts == len(cuts_s)


def test_cuts_are_looked_for_only_where_a_track_has_a_beat(library, tmp_path, monkeypatch):
    decoded = []
    real = cuts_module.find_cuts
    monkeypatch.setattr(cuts_module, "find_cuts", lambda path: decoded.append(path) or real(path))
    matcher = Matcher(library)
    video = edited(tmp_path / "a.mp4", [1.0, 2.0, 3.0])
    matcher.match(video)
    assert matcher.match(video) == matcher.match(video)
    assert len(decoded) == 1
    shutil.copytree(library.path, tmp_path / "lib")
    without = Library.open(tmp_path / "lib", cache=tmp_path / "cache")
    without.remove([t.path for t in without.tracks() if t.title in ("steady", "loop")])
    Matcher(without).match(edited(tmp_path / "b.mp4", [2.0]))
    assert len(decoded) == 1


def test_a_track_lasts_or_has_beats_to_repeat():
    steady = find_rhythm(describe([song("rock", 120.0, 12.0)[0]]))
    few = find_rhythm(describe([song("rock", 120.0, 6.0)[0]]))
    assert len(few.beats_ms) < LEAST_BEATS <= len(steady.beats_ms)
    track = Track("a", "/a", "a", "", 12.0)
    assert lasts(track, TrackFacts(), clip_s=12.0)
    assert not lasts(track, TrackFacts(), clip_s=12.1)
    assert lasts(track, TrackFacts(rhythm=steady.to_bytes()), clip_s=60.0)
    assert not lasts(track, TrackFacts(rhythm=few.to_bytes()), clip_s=60.0)
    assert rhythm_of(TrackFacts(rhythm=steady.to_bytes())).bpm == steady.bpm
    with pytest.raises(ArtifactError, match="reelscore rebuild"):
        rhythm_of(TrackFacts(rhythm=b"damaged"))


@pytest.mark.slow
def test_starts_of_made_files_are_right_modulo_a_beat(tmp_path):
    tracks = []
    for pattern, bpm, suffix, codec in (("rock", 104.0, "mp3", "libmp3lame"), ("waltz", 126.0, "m4a", "aac")):
        samples, beats_s, _ = song(pattern, bpm, 40.0)
        path = tmp_path / f"{pattern}.{suffix}"
        sound_file(path, np.stack([samples, samples]), RATE_HZ, codec=codec)
        tracks.append((bpm, PATTERNS[pattern][0], beats_s, analyse_track(path)))
    for trial in range(8):
        *known, track = tracks[trial % 2]
        video, truth_s, start_s = made_moment(tmp_path, known, seed=trial, clip_s=20.0)
        cuts_s = find_cuts(video).cuts_s
        found = align_start(start_s, cuts_s, track.rhythm, clip_s=20.0, duration_s=track.duration_s)
        assert error_modulo_beat_s(found.start_s, truth_s, known[0]) <= 0.1, trial
