"""Matching: the same video and library give the same ranked list, with starts inside the tracks."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from reelscore import InputError, Library, Matcher, MediaError


@pytest.fixture(scope="module")
def library(tmp_path_factory, music_folder):
    folder = tmp_path_factory.mktemp("matching")
    opened = Library.open(folder / "lib", cache=folder / "cache")
    opened.add(music_folder)
    return opened


def test_matches_are_ranked_and_begin_inside_their_tracks(library, video_file):
    matches = Matcher(library).match(video_file, k=4)
    assert [m.rank for m in matches] == [1, 2, 3, 4]
    assert [m.score for m in matches] == sorted((m.score for m in matches), reverse=True)
    assert all(0 <= m.start_s < m.track.duration_s for m in matches)
    assert len(Matcher(library).match(video_file, k=99)) == 6


def test_the_json_shape_is_kept_and_byte_equal(library, video_file):
    reports = [json.dumps(Matcher(library).report(video_file, k=3).to_json()) for _ in range(2)]
    assert reports[0] == reports[1]
    found = json.loads(reports[0])
    assert set(found) == {"query", "model", "matches"}
    assert found["model"]["trained"] is False
    assert set(found["matches"][0]) == {"rank", "track", "title", "artist", "score", "start_s", "duration_s"}


def test_a_path_is_as_good_as_a_library(library, video_file):
    assert Matcher(library.path).match(video_file) == Matcher(library).match(video_file)


def test_matching_loads_neither_torch_nor_lancedb(library, video_file):
    code = (
        "import sys; from reelscore import Matcher\n"
        f"Matcher({str(library.path)!r}).match({str(video_file)!r})\n"
        "print([m for m in ('torch', 'lancedb', 'pandas', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_bad_questions_are_answered_clearly(library, video_file, music_folder):
    with pytest.raises(InputError, match="at least 1"):
        Matcher(library).match(video_file, k=0)
    with pytest.raises(MediaError, match="picture"):
        Matcher(library).match(music_folder / "song 0.wav")


def test_an_empty_library_says_how_to_fill_it(tmp_path, video_file, music_folder):
    opened = Library.open(tmp_path / "lib")
    opened.add(music_folder / "song 0.wav")
    opened.remove(["song 0"])
    with pytest.raises(InputError, match="reelscore add"):
        Matcher(opened).match(video_file)
