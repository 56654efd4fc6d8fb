"""``match`` with filters, liked tracks, pages and several videos."""

from __future__ import annotations

import json

import pytest

from support.command import error_of, reelscore


def match(*arguments, library):
    return json.loads(reelscore("match", *arguments, "--library", library, "--json").stdout)


def titles(report):
    return [match["title"] for match in report["matches"]]


def test_filters_of_all_kinds_must_hold_together(library, video_file):
    every = titles(match(video_file, "--diversity", 0, library=library))
    assert len(every) == 6
    query = ("--diversity", 0, "--where", "title like '%2' or title = 'SONG 4'", "--length", "0:01-1:00")
    found = match(video_file, *query, library=library)
    assert titles(found) == [title for title in every if title in ("song 2", "song 4")]
    assert found["query"]["where"] == ["title like '%2' or title = 'SONG 4'", "length_s between 1 and 60"]


def test_a_filter_that_leaves_nothing_exits_with_5(library, video_file):
    options = ("--min-length", "10:00", "--where", "title like 'song%'")
    message = error_of(reelscore("match", video_file, "--library", library, *options, code=5))
    assert "no track of 6 passes the filter" in message
    assert "title like 'song%' (6), length_s >= 600 (0)" in message
    assert "Relax length_s >= 600: without it 6 pass" in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--where", "ttitlee = 'x'"), "at character 1: there is no column 'ttitlee', but 'title'"),
        (("--where", "title = 'x"), "a quote that does not end"),
        (("--bpm", "fast"), "--bpm 'fast' is no range"),
        (("--key", "X minor"), "'X minor' is no key"),
    ],
)
def test_a_bad_filter_exits_with_2(library, video_file, options, message):
    assert message in error_of(reelscore("match", video_file, "--library", library, *options, code=2))


def test_a_track_is_enough_for_a_query(library):
    found = match("--like", "song 1", "--not", "song 5", library=library)
    assert set(titles(found)) == {"song 0", "song 2", "song 3", "song 4"}
    assert (found["query"]["like"], found["query"]["not"]) == (["song 1"], ["song 5"])
    assert found["matches"][0]["explanation"][0]["text"].startswith("like 'song 1': ")
    assert "no track 'song 9'" in error_of(
        reelscore("match", "--like", "song 9", "--library", library, code=5)
    )
    assert "or a track with --like" in error_of(
        reelscore("match", "--not", "song 1", "--library", library, code=2)
    )


def test_pages_follow_each_other(library, video_file):
    whole = match(video_file, library=library)["matches"]
    pages = [match(video_file, "-k", 2, "--offset", i, library=library)["matches"] for i in (0, 2, 4, 6)]
    assert [one for page in pages for one in page] == whole


def test_several_videos_are_a_list_in_json_and_a_table_each(library, video_file, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    found = match(video_file, broken, video_file, "-k", 2, library=library)
    assert found[0] == found[2] == match(video_file, "-k", 2, library=library)
    assert set(found[1]) == {"query", "error"}
    assert str(broken) in found[1]["error"]
    printed = reelscore("match", video_file, broken, "-k", 2, "--library", library)
    lines = printed.stdout.splitlines()
    assert lines[0] == video_file.name
    assert lines[1].split()[:2] == ["rank", "title"]
    assert lines[-1] == broken.name
    assert f"failed  {broken}" in printed.stderr
    assert printed.stderr.count("untrained") == 1
    reelscore("match", broken, tmp_path / "gone.mp4", "--library", library, code=3)


def test_a_filter_fails_once_for_several_videos(library, video_file):
    query = ("match", video_file, video_file, "--library", library, "--artist", "nobody")
    message = error_of(reelscore(*query, code=5))
    assert "artist = 'nobody' (0). Relax it" in message
    assert "artist is known for 0 of 6 tracks" in message
