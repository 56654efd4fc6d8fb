"""Tests of the text sources of a video, their order, cleaning and errors."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from reelscore.errors import MediaError, NotFoundError
from reelscore.text.video_text import MAX_CHARS, VideoText, clean, read_video_text
from support.subtitled import subtitled

SRT = "1\n00:00:01,000 --> 00:00:02,000\n{}\n"


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return subtitled(
        tmp_path / "film.mp4",
        ["Set sail", "Set sail", "now"],
        codec="mov_text",
        tags={"title": "Storm", "comment": "A ship"},
    )


def test_tags_and_the_subtitle_stream_speak_where_nothing_else_does(film: Path) -> None:
    assert read_video_text(film) == VideoText("Storm", "A ship", "Set sail now", "")


def test_files_beside_come_first_and_what_is_given_before_them(film: Path) -> None:
    film.with_suffix(".txt").write_text("\ufeffA sailing ship\nin a storm", encoding="utf-8")
    film.with_suffix(".srt").write_text(SRT.format("Land ahoy"), encoding="utf-8")
    assert read_video_text(film) == VideoText("Storm", "A sailing ship in a storm", "Land ahoy", "")
    film.with_suffix(".json").write_text(json.dumps({"on_screen": ["1492", "Genoa"], "title": "Sea", "x": 3}))
    assert read_video_text(film) == VideoText("Sea", "A sailing ship in a storm", "Land ahoy", "1492 Genoa")
    given = read_video_text(film, given={"description": "calm", "title": None})
    assert (given.description, given.title) == ("calm", "Sea")


def test_no_words_are_no_error(tmp_path: Path) -> None:
    bare = subtitled(tmp_path / "film.mkv", [], codec="srt")
    bare.with_suffix(".json").write_text("[1, 2]")  # some other program's
    words = read_video_text(bare)
    assert not words
    assert words.chunks() == ()


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("  calm\x00\tsea\r\nwind ", "calm sea wind"),
        ("e\u0301te\u0301", "été"),
        ("\u202eevil\u200b mark\ufeff", "evil mark"),
        ("海は静か", "海は静か"),
        ("\x07\x1b", ""),
    ],
)
def test_cleaning(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


def test_long_text_is_cut_into_pieces_from_the_whole_of_it() -> None:
    words = VideoText(description=" ".join(f"w{i}" for i in range(20_000)))
    pieces = words.chunks(max_words=40, max_chunks=10)
    assert len(pieces) == 10
    assert all(len(piece.split()) == 40 for piece in pieces)
    starts = [int(piece.split()[0][1:]) for piece in pieces]
    assert starts[0] == 1000
    assert all(b - a == 2000 for a, b in itertools.pairwise(starts))
    assert words.chunks() == words.chunks()
    assert max(len(piece) for piece in VideoText(title="海" * 100_000).chunks()) <= 48 * 61


def test_sentences_stay_together_while_they_fit() -> None:
    text = VideoText(transcript="We set sail. The wind rose! And then nothing was heard of us for a year")
    assert text.chunks(max_words=6) == (
        "We set sail. The wind rose!",
        "And then nothing was heard of",
        "us for a year",
    )


def test_bad_files_beside_are_named_with_what_to_do(film: Path) -> None:
    cases = {
        ".srt": (b"no subtitles", "expected subtitles .*Fix or remove"),
        ".txt": ("Café".encode("cp1252"), "neither UTF-8 nor UTF-16 .byte 3"),
        ".json": (b"{", "expected JSON"),
    }
    for suffix, (content, message) in cases.items():
        film.with_suffix(suffix).write_bytes(content)
        with pytest.raises(MediaError, match=message):
            read_video_text(film)
        film.with_suffix(suffix).unlink()
    film.with_suffix(".json").write_text('{"title": 3}')
    with pytest.raises(MediaError, match="title must be text or a list of texts, got int"):
        read_video_text(film)
    film.with_suffix(".json").unlink()
    film.with_suffix(".txt").write_text("x" * (MAX_CHARS + 1))
    with pytest.raises(MediaError, match="more than the limit"):
        read_video_text(film)
    with pytest.raises(NotFoundError):
        read_video_text(film.parent / "none.mp4")
