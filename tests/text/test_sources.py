"""Tests of the text sources of a video: their order, file names, encodings and faults."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from reelscore.errors import NotFoundError
from reelscore.text.sources import MAX_CHARS, find_text_sources, read_video_text
from reelscore.text.video_text import VideoText
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


def test_files_next_to_the_video_come_first_and_what_is_given_before_them(film: Path) -> None:
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


def write_next_to(film: Path, ending: str, content: str | bytes) -> Path:
    file = film.parent / f"{film.stem}{ending}"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


@pytest.mark.parametrize(
    ("ending", "content", "field", "text"),
    [
        (
            ".info.json",
            '{"title": "A title", "description": "Words", "formats": [{"url": "x"}]}',
            "title",
            "A title",
        ),
        (".description", "Words of a description", "description", "Words of a description"),
        (".en.srt", SRT.format("Land ahoy"), "transcript", "Land ahoy"),
        (".en-orig.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\nLand ahoy\n", "transcript", "Land ahoy"),
        (".pt-BR.forced.srt", SRT.format("Terra"), "transcript", "Terra"),
        (".English.SRT", SRT.format("Land ahoy"), "transcript", "Land ahoy"),
        (".mp4.srt", SRT.format("Land ahoy"), "transcript", "Land ahoy"),
        (".srt", "WEBVTT\n\n00:01.000 --> 00:02.000\nLand ahoy\n", "transcript", "Land ahoy"),
        (".srt", "00:00:01,000 --> 00:00:02,000\nLand ahoy\n", "transcript", "Land ahoy"),
    ],
)
def test_names_of_downloaders_and_editors_are_read(
    film: Path, ending: str, content: str, field: str, text: str
) -> None:
    file = write_next_to(film, ending, content)
    source = find_text_sources(film)[field]
    assert (source.text, source.source) == (text, f"file {file.name}")


def test_english_subtitles_come_first_then_those_without_a_language(film: Path) -> None:
    for ending in (".de.srt", ".srt", ".en.forced.srt", ".eng.vtt"):
        write_next_to(film, ending, SRT.format(ending[1:]))
    write_next_to(film, ".eng.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\neng.vtt\n")
    for expected in ("eng.vtt", "srt", "de.srt", "en.forced.srt"):
        notes: list[str] = []
        assert find_text_sources(film, notes=notes)["transcript"].text == expected
        (film.parent / f"film.{expected}").unlink()
        assert [
            n for n in notes if f"are read from film.{expected}, not from" in n
        ] or expected == "en.forced.srt"


def test_the_subtitles_of_another_film_are_not_read(film: Path) -> None:
    write_next_to(film, ".cut.mp4", film.read_bytes())
    write_next_to(film, ".cut.srt", SRT.format("cut"))
    write_next_to(film, ".part two.srt", SRT.format("part two"))
    assert find_text_sources(film)["transcript"].source == "subtitles"


def test_names_are_compared_as_they_are_composed(film: Path) -> None:
    composed = film.rename(film.with_name("\u00e9t\u00e9.mp4"))
    (film.parent / "e\u0301te\u0301.srt").write_text(SRT.format("Summer"))
    assert read_video_text(composed).transcript == "Summer"


CYRILLIC = "Привет, мир. Как дела"


@pytest.mark.parametrize(
    ("content", "text", "message"),
    [
        (SRT.format(CYRILLIC).encode("utf-16"), CYRILLIC, None),
        (SRT.format(CYRILLIC).encode("utf-16-le"), CYRILLIC, None),
        (SRT.format(CYRILLIC).encode("utf-8-sig"), CYRILLIC, None),
        (SRT.format(CYRILLIC).encode("cp1251"), CYRILLIC, "read as cp1251"),
        (SRT.format(CYRILLIC).encode("koi8-r"), CYRILLIC, "read as koi8_r"),
        (SRT.format("Café noir").encode("cp1252"), "Café noir", "read as cp1252"),
        (
            SRT.format("Nie wiem, dlaczego przyszedłeś tak późno").encode("cp1250"),
            "Nie wiem, dlaczego przyszedłeś tak późno",
            "read as cp1250",
        ),
        (SRT.format("こんにちは世界").encode("shift_jis"), "こんにちは世界", "read as cp932"),
        (SRT.format(f"{CYRILLIC}\n").encode() + b"bad \xff line\n", CYRILLIC, "1 line is not UTF-8"),
    ],
)
def test_encodings_are_detected_and_a_bad_line_costs_a_line(
    film: Path, content: bytes, text: str, message: str | None
) -> None:
    write_next_to(film, ".srt", content)
    notes: list[str] = []
    assert read_video_text(film, notes=notes).transcript == text
    assert [note for note in notes if message is None or message not in note] == []
    assert len(notes) == (message is not None)


@pytest.mark.parametrize(
    ("ending", "content", "message"),
    [
        (".srt", b"", "is empty"),
        (".srt", b"no subtitles", "holds no subtitles"),
        (".srt", bytes(range(256)) * 9, "holds no subtitles"),
        (".json", b"{", "is not JSON"),
        (".json", b"[" * 200_000, "is not JSON"),
        (".json", b'{"title": {"en": "x"}}', "title must be text, got dict; ignored"),
        (".json", b'{"title": null, "description": [1, ["x"], null]}', None),
        (".json", b"[1, 2]", None),
        (".txt", b"x " * MAX_CHARS, "is cut after"),
        (".description", b"x" * 17_000_000, "is larger than 16 MB"),
    ],
)
def test_a_broken_file_costs_a_note_never_the_video(
    film: Path, ending: str, content: bytes, message: str | None
) -> None:
    write_next_to(film, ending, content)
    notes: list[str] = []
    text = read_video_text(film, notes=notes)
    assert (text.title, text.transcript) == ("Storm", "Set sail now")
    assert bool(notes) == (message is not None)
    assert all(note.startswith(f"film{ending}: ") for note in notes)
    assert message is None or message in notes[-1]


def test_numbers_are_text(film: Path) -> None:
    write_next_to(film, ".json", '{"title": 2024, "description": ["calm", 7]}')
    notes: list[str] = []
    assert read_video_text(film, notes=notes) == VideoText("2024", "calm 7", "Set sail now")
    assert notes == ["film.json: title must be text, got int; read as '2024'"]


def test_only_regular_files_are_read(film: Path) -> None:
    os.mkfifo(film.with_suffix(".srt"))
    film.with_suffix(".txt").mkdir()
    notes: list[str] = []
    assert read_video_text(film, notes=notes) == VideoText("Storm", "A ship", "Set sail now")
    assert notes == []


def test_a_missing_video_raises(film: Path) -> None:
    with pytest.raises(NotFoundError):
        read_video_text(film.parent / "none.mp4")
