"""Tests of reading on-screen text, on drawn captions."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
from difflib import SequenceMatcher
from pathlib import Path

import matplotlib
import pytest

from reelscore.errors import MediaError, NotFoundError
from reelscore.text.ocr import MIN_CONFIDENCE, OcrReader
from reelscore.text.ocr_tracking import Reading, is_same_line, reading_order, track_lines
from reelscore.text.timed_lines import Line, join_lines
from reelscore.types import Segment
from support.captioned import captioned
from support.films import sound_file, tone

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def reader() -> OcrReader:
    pytest.importorskip("rapidocr")
    return OcrReader()


def accuracy(said: str, read: str) -> float:
    return SequenceMatcher(None, said, read, autojunk=False).ratio()


@pytest.mark.parametrize("noisy", [False, True], ids=["plain", "noisy"])
def test_captions_that_stay_and_change_are_read_once_with_their_times(
    reader: OcrReader, tmp_path: Path, noisy: bool
) -> None:
    said = [(0.0, 4.0, "The wind rose over the sea"), (4.0, 6.0, "Chapter 2"), (6.0, 8.0, "Chapter 3")]
    lines = reader.read(captioned(tmp_path / "film.mp4", said, noisy=noisy))
    assert len(lines) == len(said)
    for line, (start_s, end_s, text) in zip(lines, said, strict=True):
        assert accuracy(text, line.text) > 0.9
        assert (line.start_s, line.end_s) == (start_s, end_s)
        assert line.confidence is not None
        assert MIN_CONFIDENCE <= line.confidence <= 1


@pytest.mark.parametrize("size", [(320, 240), (640, 360), (1280, 720), (1920, 1080)], ids=str)
@pytest.mark.parametrize("part", [20, 30])
def test_small_letters_of_pictures_of_any_size_are_read(
    reader: OcrReader, tmp_path: Path, size: tuple[int, int], part: int
) -> None:
    text = "We set sail at dawn"
    film = captioned(
        tmp_path / "film.mp4", [(0, 1, text)], seconds=1, size=size, letters_px=max(9, size[1] // part)
    )
    (line,) = reader.read(film)
    assert accuracy(text, line.text) > 0.9


def test_letters_of_many_languages_are_read(reader: OcrReader, tmp_path: Path) -> None:
    face = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    text = "Déjà vu à Kraków, übermorgen Ωμέγα"
    film = captioned(tmp_path / "film.mp4", [(0, 1, text)], seconds=1, letters_px=28, face=face)
    assert accuracy(text, join_lines(reader.read(film))) > 0.85


def test_two_rows_are_read_from_the_top(reader: OcrReader, tmp_path: Path) -> None:
    film = captioned(tmp_path / "film.mp4", [(0, 2, "First we sail"), (0, 2, "then we rest")], seconds=2)
    assert [line.text for line in reader.read(film)] == ["First we sail", "then we rest"]


@pytest.mark.parametrize("noisy", [False, True], ids=["plain", "noisy"])
def test_pictures_without_text_say_nothing(reader: OcrReader, tmp_path: Path, noisy: bool) -> None:
    assert reader.read(captioned(tmp_path / "film.mp4", [], seconds=4, noisy=noisy)) == ()


@pytest.mark.parametrize("size", [(16, 16), (64, 48), (1024, 16)], ids=str)
def test_pictures_too_small_for_text_say_nothing(
    reader: OcrReader, tmp_path: Path, size: tuple[int, int]
) -> None:
    assert reader.read(captioned(tmp_path / "film.mp4", [(0, 1, "sea")], seconds=1, size=size)) == ()


def test_the_same_film_gives_the_same_lines(reader: OcrReader, tmp_path: Path) -> None:
    film = captioned(
        tmp_path / "film.mp4", [(0, 2, "The wind rose"), (1, 3, "Part 2")], seconds=3, noisy=True
    )
    assert reader.read(film) == OcrReader().read(film)


def test_reading_is_silent_and_fetches_nothing(tmp_path: Path, reader: OcrReader) -> None:
    film = captioned(tmp_path / "film.mp4", [(0, 1, "Calm sea")], seconds=1)
    empty = captioned(tmp_path / "empty.mp4", [], seconds=1)
    code = (
        "import socket, sys\n"
        "def refused(*_): raise AssertionError('asked the network')\n"
        "socket.socket.connect = socket.getaddrinfo = refused\n"
        "from reelscore.text.ocr import OcrReader\n"
        "reader = OcrReader()\n"
        f"assert [line.text for line in reader.read({str(film)!r})] == ['Calm sea']\n"
        f"assert reader.read({str(empty)!r}) == ()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert socket.getaddrinfo is not None


def test_what_is_missing_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(NotFoundError, match=r"python -m pip install 'reelscore\[ocr\]'"):
            OcrReader()


def test_a_file_without_pictures_is_an_error(reader: OcrReader, tmp_path: Path) -> None:
    song = sound_file(tmp_path / "song.wav", tone(1.0, 8000), 8000, codec="pcm_s16le")
    with pytest.raises(MediaError, match="picture"):
        reader.read(song)


def reading(text: str, confidence: float = 0.9, *, left: float = 0, top: float = 0) -> Reading:
    return Reading(text, confidence, left, top, left + 100, top + 20)


def test_readings_are_put_in_reading_order() -> None:
    mixed = [
        reading("d", top=43),
        reading("b", left=200, top=4),
        reading("c", top=40, left=-50),
        reading("a"),
    ]
    assert "".join(r.text for r in reading_order(mixed)) == "abcd"


def test_a_line_keeps_its_best_reading_and_its_whole_span() -> None:
    frames = [
        [reading("Tne wind rose", 0.8)],
        [reading("The wind rose", 0.99), reading("echo", top=50)],
        [],  # missed once
        [reading("The wind rse", 0.7)],
        [],
        [],  # gone
        [reading("The wind rose", 0.95)],
    ]
    lines = track_lines([(Segment(i, i + 1, i + 0.5), found) for i, found in enumerate(frames)])
    assert lines == (
        Line("The wind rose", 0, 4, 0.99),
        Line("echo", 1, 2, 0.9),
        Line("The wind rose", 6, 7, 0.95),
    )
    assert join_lines(lines) == "The wind rose echo"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Chapter 2", "Chapter 3", False),
        ("DON'T LOOK", "Don't look", True),
        ("We are here", "We are there", True),
        ("calm", "sea", False),
        ("海は静か", "海は静か", True),
        ("海は静か", "山は高い", False),
        ("!!", "??", True),
    ],
)
def test_what_counts_as_one_line(one: str, other: str, same: bool) -> None:
    assert is_same_line(one, other) is same


@pytest.mark.slow
def test_real_videos_say_what_is_written_in_them(reader: OcrReader, shared: Path) -> None:
    videos = shared / "media" / "videos"
    lyrics = join_lines(reader.read(videos / "echo-hereweare.webm"))
    assert {"the alpha", "with our lives", "of our hands"} <= _phrases(lyrics)
    assert "THE PEACH OPEN MOVIE PROJECT" in join_lines(reader.read(videos / "big-buck-bunny-30s.webm"))
    assert reader.read(videos / "elf.webm") == ()


def _phrases(text: str) -> set[str]:
    words = text.split()
    return {" ".join(words[i : i + n]) for i in range(len(words)) for n in (2, 3)}
