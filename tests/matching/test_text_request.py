"""Text queries with tempo, key, excluded terms and words of titles."""

from __future__ import annotations

import json
import shutil

import av
import numpy as np
import pytest

from reelscore.errors import InputError
from reelscore.library.library import Library
from reelscore.matching.matcher import Matcher
from reelscore.matching.text_request import HAS_TERM, parse_conditions, tempo_and_key
from support.tiny_pack import sha256, write_tiny_pack

RATE_HZ = 22_050


@pytest.mark.parametrize(
    ("text", "low", "high", "rest"),
    [
        ("120 bpm", 115, 125, ""),
        ("calm, 120bpm", 115, 125, "calm"),
        ("around 90 BPM piano", 81, 99, "piano"),
        ("~ 90 bpm", 81, 99, ""),
        ("between 100 and 120 bpm, happy", 100, 120, "happy"),
        ("100-120 bpm", 100, 120, ""),
        ("from 120 to 100 beats per minute", 100, 120, ""),
    ],
)
def test_a_tempo_is_parsed(text, low, high, rest):
    request = parse_conditions(text)
    assert request.tempo_bpm == pytest.approx((low, high), abs=0.6)
    assert request.rest == rest


@pytest.mark.parametrize(
    ("text", "tonic", "major", "rest"),
    [
        ("in A minor", 9, False, ""),
        ("calm in a minor", 9, False, "calm"),
        ("C# major", 1, True, ""),
        ("sad, F sharp minor", 6, False, "sad"),
        ("Bb major", 10, True, ""),
        ("E-flat major piano", 3, True, "piano"),
        ("key of D", 2, None, ""),
        ("Am", None, None, "Am"),
        ("a major theme", None, None, "a major theme"),
        ("minor key", None, None, "minor key"),
    ],
)
def test_a_key_is_parsed(text, tonic, major, rest):
    request = parse_conditions(text)
    assert (request.tonic, request.major, request.rest) == (tonic, major, rest)


def clicks(bpm, tonic, *, third, seconds=24):
    """Return a triad that is struck at every beat."""
    t = np.arange(seconds * RATE_HZ) / RATE_HZ
    since = t % (60 / bpm)
    notes = [tonic, tonic + third, tonic + 7, tonic + 12]
    chord = sum(np.sin(2 * np.pi * 261.63 * 2 ** (note / 12) * t) for note in notes)
    return (0.2 * chord * np.exp(-6 * since)).astype(np.float32)


SONGS = {
    "Quick Airship": (120, 0, 4, "Ann Rowe"),  # C major
    "Slow Lantern": (80, 9, 3, "Bo Tann"),  # A minor
    "Third": (96, 7, 4, "Ann Rowe"),  # G major
}


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """A zero-shot library of three songs with known tempo and key."""
    folder = tmp_path_factory.mktemp("songs")
    (folder / "music").mkdir()
    for name, (bpm, tonic, third, artist) in SONGS.items():
        with av.open(str(folder / "music" / f"{name}.flac"), "w") as container:
            container.metadata.update({"title": name, "artist": artist})
            stream = container.add_stream("flac", rate=RATE_HZ, layout="mono")
            samples = (clicks(bpm, tonic, third=third) * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
            frame.sample_rate = RATE_HZ
            for packet in (*stream.encode(frame), *stream.encode(None)):
                container.mux(packet)
    pack = write_tiny_pack(folder / "pack")
    (pack / "colours.csv").write_text("id,name\n0,sea\n1,car\n2,sea car\n", encoding="utf-8")
    manifest = json.loads((pack / "MANIFEST.json").read_text())
    manifest["encoders"]["video"]["outputs"][1]["labels"]["sha256"] = sha256(pack / "colours.csv")
    (pack / "MANIFEST.json").write_text(json.dumps(manifest))
    words = folder / "words.toml"
    words.write_text(
        "[[terms]]\nname = 'calm'\nkind = 'mood'\narousal = -1.0\npace = -1.0\n"
        "[[terms]]\nname = 'fast'\nkind = 'mood'\narousal = 1.0\npace = 1.0\n"
        "[[terms]]\nname = 'sea'\nkind = 'scene'\nsuggests = ['calm']\n"
    )
    library = Library.open(folder / "lib", pack=pack, vocabulary=words, cache=folder / "cache")
    library.add(folder / "music", workers=1)
    return library


def titles(report):
    return [match.track.title for match in report.matches]


def test_tempo_and_key_of_a_track(songs):
    for track in songs.tracks():
        bpm, tonic, third, _ = SONGS[track.title]
        found_bpm, found_tonic, major = tempo_and_key(track, songs.pipeline)
        assert found_bpm == pytest.approx(bpm, rel=0.03)
        assert (found_tonic, major) == (tonic, third == 4)


def test_a_tempo_comes_first_and_other_tracks_say_theirs(songs):
    report = Matcher(songs).report(text="120 bpm")
    assert titles(report)[0] == "Quick Airship"
    assert report.matches[0].violations == ()
    assert all(match.violations[0].endswith(" bpm") for match in report.matches[1:])
    assert report.understood == "tempo: 115 to 125 bpm"
    found = report.to_json()
    assert found["query"]["understood"] == report.understood
    assert [m["violations"] for m in found["matches"]] == [list(m.violations) for m in report.matches]


def test_a_key_with_a_mood(songs):
    report = Matcher(songs).report(text="fast, in A minor", k=2)
    assert titles(report)[0] == "Slow Lantern"
    assert report.matches[1].violations[0] in ("in C major", "in G major")
    assert report.understood == "fast; key: A minor"


def test_words_of_titles_and_artists(songs):
    report = Matcher(songs).report(text="lantern")
    assert titles(report)[0] == "Slow Lantern"
    assert report.understood == "in titles, artists or albums: lantern"
    assert set(titles(Matcher(songs).report(text="fast by Rowe", k=2))) == {"Quick Airship", "Third"}


def test_negation_is_honoured_or_named(songs):
    report = Matcher(songs).report(text="sea, not fast")
    fast = songs.pipeline.embedder.vocabulary.names.index("fast")
    found = songs.searcher().embeddings([m.track.key for m in report.matches])
    for match in report.matches:
        assert match.violations == (("has fast",) if found[match.track.key][fast] >= HAS_TERM else ())
    assert [bool(m.violations) for m in report.matches] == sorted(bool(m.violations) for m in report.matches)
    assert report.understood == "sea; without: fast"


def test_nonsense_is_an_error_with_a_way_out(songs):
    for text in ("blorf", "грустная музыка", "no blorf", "!!!"):
        with pytest.raises(InputError, match=r"English only.*such as calm, fast"):
            Matcher(songs).report(text=text)


def test_what_was_not_understood_is_said(songs):
    assert "not understood: blorf (English only)" in Matcher(songs).report(text="calm blorf").understood


def test_the_text_next_to_a_video(songs, video_file):
    report = Matcher(songs).report(video_file, text="120 bpm")
    assert titles(report)[0] == "Quick Airship"
    assert titles(Matcher(songs).report(video_file, text="lantern"))[0] == "Slow Lantern"


def test_without_the_cache_the_files_are_read(songs, tmp_path):
    copy = shutil.copytree(songs.path, tmp_path / "lib")
    meta = songs.meta
    opened = Library.open(
        copy, pack=meta.encoder_folder, vocabulary=meta.vocabulary, cache=tmp_path / "empty"
    )
    assert titles(Matcher(opened).report(text="80 bpm"))[0] == "Slow Lantern"
