"""Tests of reading subtitle files and streams."""

from __future__ import annotations

from pathlib import Path

import pytest

from reelscore.errors import MediaError, NotFoundError
from reelscore.media.subtitles import SubtitleCue, parse_subtitles, read_subtitles
from support.subtitled import subtitled

SRT = """1
00:00:03,000 --> 00:00:04,000
- Привет мир

2
00:00:01,000 --> 00:00:02,500
<i>Hello</i> there,
General {\\an8}Kenobi & co
"""
VTT = """WEBVTT

NOTE a comment

00:01.000 --> 00:02.500 align:start
<v Bob>Calm <c.loud>sea</c> &amp; wind
"""
CUES = (
    SubtitleCue(1.0, 2.5, "Hello there,\nGeneral Kenobi & co"),
    SubtitleCue(3.0, 4.0, "- Привет мир"),
)


ASS = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name
Style: Default

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,Calm {\\b1}sea
"""


def test_subrip_is_read_in_order_of_time_without_its_styles() -> None:
    assert parse_subtitles(SRT) == CUES


def test_webvtt_and_ass_are_read_without_their_marks() -> None:
    assert parse_subtitles(VTT) == (SubtitleCue(1.0, 2.5, "Calm sea & wind"),)
    assert parse_subtitles(ASS) == (SubtitleCue(1.0, 2.5, "Calm sea"),)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("00:00:01,000 --> 00:00:02,000\nHi\n", ["Hi"]),
        ("\n\nby someone\n\n1\n00:00:01,000 --> 00:00:02,000\nHi\n", ["Hi"]),
        ("1\n00:00:01,000 --> 00:00:02,000\nHi\n\n2\nx0:00:03,000 -> 0:04\nyou\n", ["Hi\nyou"]),
        ("1\n00:00:01,000 --> 00:00:02,000\nH\0i\n", ["Hi"]),
        ("1\n99:99:99,999 --> 999:00:00,000\nHi\n", ["Hi"]),
        ("", []),
        ("nothing here", []),
        ("#EXTM3U\nother.srt\n", []),
    ],
)
def test_damaged_subtitle_files_keep_what_can_be_read(text: str, lines: list[str]) -> None:
    cues = parse_subtitles(text)
    assert [cue.text for cue in cues] == lines
    assert all(cue.start_s <= cue.end_s for cue in cues)


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mkv", "srt"), (".mkv", "ass"), (".mp4", "mov_text"), (".webm", "webvtt")]
)
def test_a_stream_inside_a_film_is_read(tmp_path: Path, suffix: str, codec: str) -> None:
    film = subtitled(tmp_path / f"film{suffix}", ["Calm sea", "Wind"], codec=codec)
    assert [cue.text for cue in read_subtitles(film)] == ["Calm sea", "Wind"]


def test_a_film_without_subtitles_has_none(tmp_path: Path) -> None:
    film = subtitled(tmp_path / "film.mkv", [], codec="srt")
    assert read_subtitles(film) == ()


def test_a_file_that_is_no_video_raises(tmp_path: Path) -> None:
    file = tmp_path / "film.mp4"
    file.write_text("nothing here")
    with pytest.raises(MediaError):
        read_subtitles(file)
    with pytest.raises(NotFoundError):
        read_subtitles(tmp_path / "none.srt")
