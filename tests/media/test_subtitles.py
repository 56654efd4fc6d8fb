"""Tests of reading subtitle files and streams."""

from __future__ import annotations

from pathlib import Path

import pytest

from reelscore.errors import MediaError, NotFoundError
from reelscore.media.subtitles import SubtitleCue, read_subtitles
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


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_subrip_is_read_in_order_of_time_without_its_styles(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "film.srt"
    file.write_text(SRT, encoding=encoding)
    assert read_subtitles(file) == CUES


def test_webvtt_is_read_without_its_marks(tmp_path: Path) -> None:
    file = tmp_path / "film.vtt"
    file.write_text(VTT, encoding="utf-8")
    assert read_subtitles(file) == (SubtitleCue(1.0, 2.5, "Calm sea & wind"),)


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mkv", "srt"), (".mkv", "ass"), (".mp4", "mov_text"), (".webm", "webvtt")]
)
def test_a_stream_inside_a_film_is_read(tmp_path: Path, suffix: str, codec: str) -> None:
    film = subtitled(tmp_path / f"film{suffix}", ["Calm sea", "Wind"], codec=codec)
    assert [cue.text for cue in read_subtitles(film)] == ["Calm sea", "Wind"]


def test_a_film_without_subtitles_has_none(tmp_path: Path) -> None:
    film = subtitled(tmp_path / "film.mkv", [], codec="srt")
    assert read_subtitles(film) == ()


def test_another_encoding_is_named_with_its_cure(tmp_path: Path) -> None:
    file = tmp_path / "film.srt"
    file.write_bytes("1\n00:00:01,000 --> 00:00:02,000\nCafé noir\n".encode("cp1252"))
    with pytest.raises(MediaError, match=r"at 1\.00 s: the subtitles are neither UTF-8 nor UTF-16\. .*iconv"):
        read_subtitles(file)


def test_what_is_no_subtitle_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "film.srt"
    file.write_text("nothing here")
    with pytest.raises(MediaError):
        read_subtitles(file)
    with pytest.raises(NotFoundError):
        read_subtitles(tmp_path / "none.srt")
