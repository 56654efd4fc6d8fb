"""The file that ``match`` writes of a match."""

from __future__ import annotations

import json
from pathlib import Path

import av
import pytest

from reelscore.media.writer import write_video
from reelscore.render.plan import load_plan
from reelscore.render.timelines import TIMELINES
from support import worlds
from support.command import error_of, reelscore
from support.shots import shot


@pytest.fixture(scope="module")
def ranked(library: Path, video_file: Path) -> list[dict]:
    return json.loads(reelscore("match", video_file, "--library", library, "--json").stdout)["matches"]


def match(video: Path, library: Path, *options: object, code: int = 0):
    return reelscore("match", video, "--library", library, *options, code=code)


def test_the_suffix_decides_what_is_written(tmp_path, library, video_file, ranked):
    best = ranked[0]
    for suffix in (".mp4", ".mov", ".mkv", *TIMELINES):
        out = tmp_path / f"out{suffix}"
        printed = match(video_file, library, "-o", out).stdout
        assert printed.splitlines()[-1].startswith(f"{out}: 3.000 s, music from {best['start_s']:.3f} s")
        if suffix in TIMELINES:
            assert Path(best["track"]).name in out.read_text()
        else:
            with av.open(str(out)) as container:
                assert container.streams.video[0].frames in (0, 36)  # Matroska counts no frames
                assert container.streams.audio[0].codec_context.name == "aac"


def test_pick_uses_another_track_of_the_list(tmp_path, library, video_file, ranked):
    out = tmp_path / "plan.json"
    result = match(video_file, library, "-o", out, "--pick", 3, "--top", 1, "--json")
    report = json.loads(result.stdout)
    assert [m["track"] for m in report["matches"]] == [m["track"] for m in ranked[:3]]
    assert (report["output"]["rank"], report["output"]["track"]) == (3, ranked[2]["track"])
    plan = load_plan(out)
    assert plan.track.path == ranked[2]["track"]
    assert float(plan.pieces[0].start_s) == pytest.approx(ranked[2]["start_s"], abs=1e-3)


def test_a_plan_has_markers_at_the_cuts_and_beats(tmp_path, library):
    video = tmp_path / "two shots.mp4"
    write_video(video, [*shot(1, 36), *shot(2, 36)], frame_rate_hz=12)
    reelscore("match", video, "--library", library, "-o", tmp_path / "plan.json")
    markers = load_plan(tmp_path / "plan.json").markers
    assert [float(m.at_s) for m in markers if m.kind == "cut"] == [3.0]
    assert len([m for m in markers if m.kind == "beat"]) > 2


def test_the_report_is_a_page_of_the_list(tmp_path, library, video_file, ranked):
    page = tmp_path / "page.html"
    report = json.loads(match(video_file, library, "--report", page, "--top", 2, "--json").stdout)
    assert report["report"] == str(page)
    html = page.read_text()
    assert html.count("<li><label>") == 2
    assert Path(ranked[0]["track"]).name in html
    failed = match(video_file, library, "--report", page, code=2)
    assert "--force" in error_of(failed)
    failed = match(video_file, library, "--report", tmp_path / "page.pdf", code=2)
    assert "ends in .html" in error_of(failed)
    match(video_file, library, "--report", page, "--top", 1, "--force")
    assert page.read_text().count("<li><label>") == 1


def test_the_output_is_checked_before_the_search(tmp_path, video_file):
    existing = tmp_path / "existing.mp4"
    existing.write_bytes(b"precious")
    (tmp_path / "file").write_bytes(b"")
    for options, message in (
        (("-o", existing), "exists already; choose another name with -o, or replace it with --force"),
        (("-o", tmp_path / "out.avi"), "the suffix decides what is written"),
        (("-o", tmp_path / "file" / "out.mp4"), "is a file, expected a folder"),
        (("-o", tmp_path / "out.mp4", "--sound", "loud"), "--sound must be one of"),
        (("-o", video_file, "--force"), "is also an input"),
        (("--fit",), "name it with -o FILE"),
        (("--pick", 2), "name it with -o FILE"),
    ):
        # No library is there: an error of it would come later.
        failed = match(video_file, tmp_path / "none", *options, code=2)
        assert message in error_of(failed)
    assert existing.read_bytes() == b"precious"
    for query in (("--text", "calm"), (video_file, video_file)):
        failed = reelscore("match", *query, "--library", tmp_path / "none", "-o", existing, code=2)
        assert "give one video" in error_of(failed)


def test_a_rank_that_is_not_in_the_list_is_an_error(tmp_path, library, video_file):
    failed = match(video_file, library, "-o", tmp_path / "out.mp4", "--pick", 7, code=2)
    assert "--pick 7: the list has ranks 1 to 6; give one of its ranks" in failed.stderr
    assert not (tmp_path / "out.mp4").exists()


def test_the_best_of_a_page_is_its_first(tmp_path, library, video_file, ranked):
    result = match(video_file, library, "-o", tmp_path / "a.json", "--offset", 2, "--top", 1, "--json")
    assert json.loads(result.stdout)["output"]["track"] == ranked[2]["track"]
    failed = match(video_file, library, "-o", tmp_path / "b.json", "--offset", 2, "--pick", 1, code=2)
    assert "--pick 1: the list has ranks 3 to 6" in failed.stderr


def test_a_track_that_is_gone_is_an_error(tmp_path, video_file):
    songs = worlds.songs(tmp_path / "music", 1)
    reelscore("add", songs, "--library", tmp_path / "lib", "--workers", 1)
    (songs / "song 0.wav").unlink()
    failed = match(video_file, tmp_path / "lib", "-o", tmp_path / "out.mp4", code=5)
    assert "the track of rank 1, does not exist any more" in failed.stderr


def test_a_track_shorter_than_the_video_fades_out_and_is_noted(tmp_path, library):
    video = worlds.film(tmp_path / "long.mp4", seconds=6)
    result = match(video, library, "-o", tmp_path / "out.mp4")
    assert (
        "the track ends 2.0 s before the video; it fades out there. Lengthen it with --fit" in result.stderr
    )
