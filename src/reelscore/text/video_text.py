"""A video enters, what is said of it in words leaves: title, description, transcript and on-screen text.

Words lie in many places. For each field the first that has any is taken: what the caller gives (a manifest's row), a
file beside the video with its name (``film.json``, ``film.srt``, ``film.vtt``, ``film.ass``, ``film.txt``), and the
video's own tags and subtitle stream.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from reelscore.errors import MediaError
from reelscore.media.probe import probe
from reelscore.media.subtitles import SUFFIXES, captions
from reelscore.types import MediaInfo

from .timed_lines import Line

MAX_CHARS = 1_000_000
"""A field longer than this is no text of a video but a mistake."""

_LONGEST_WORD = 60  # characters; scripts without blanks are cut here

_TAGS = {"title": ("title",), "description": ("description", "synopsis", "comment", "keywords")}


@dataclass(frozen=True, slots=True)
class VideoText:
    """What is said of a video, cleaned; empty where nothing is.

    Attributes
    ----------
    title, description : str
    transcript : str
        What is spoken, as subtitles or a transcript have it.
    on_screen : str
        What is to be read in the pictures.
    """

    title: str = ""
    description: str = ""
    transcript: str = ""
    on_screen: str = ""

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))

    def pieces(self, *, max_words: int = 48, max_pieces: int = 64) -> tuple[str, ...]:
        """Cut all words into pieces that a text encoder takes in one.

        Sentences stay together while they fit. Where there are more pieces than `max_pieces`, as many are taken from
        equal parts of the whole, as Global Sparse sampling takes frames.

        Examples
        --------
        >>> Words(title="Storm", transcript="We set sail. The wind rose.").pieces(max_words=4)
        ('Storm', 'We set sail.', 'The wind rose.')
        """
        found: list[str] = []
        for field in fields(self):
            found += _pieces(getattr(self, field.name), max_words)
        if len(found) <= max_pieces:
            return tuple(found)
        return tuple(found[(2 * i + 1) * len(found) // (2 * max_pieces)] for i in range(max_pieces))


@dataclass(frozen=True, slots=True)
class Said:
    """What one field of `VideoText` says, and where it stood.

    Attributes
    ----------
    text : str
        Cleaned, not empty.
    source : str
        ``given``, ``file NAME``, ``tags``, ``subtitles``, or what read it from the medium.
    lines : tuple of Line
        Its timed lines, where it has times.
    """

    text: str
    source: str
    lines: tuple[Line, ...] = ()


def read_video_text(video: Path | str, *, given: Mapping[str, str | None] | None = None) -> VideoText:
    """Gather the words of a video from all their places; see `said_of`."""
    return VideoText(**{name: said.text for name, said in said_of(video, given=given).items()})


def said_of(
    video: Path | str,
    *,
    given: Mapping[str, str | None] | None = None,
    info: MediaInfo | None = None,
) -> dict[str, Said]:
    """Return each non-empty field of `VideoText`, from the first source that has it.

    Parameters
    ----------
    video : path
    given : mapping of str, optional
        Fields of `VideoText` that are known already; they come before any other place.
    info : MediaInfo, optional
        Result of `probe`, if known.

    Raises
    ------
    NotFoundError
        When the video is absent.
    MediaError
        When it cannot be read, or a file beside it is not what its name says; the message says what to do.
    """
    path = Path(video)
    known = {name: Said(clean(text), "given") for name, text in (given or {}).items() if text}
    places = (known, _beside(path), _inside(path, info or probe(path)))
    said = {}
    for field in fields(VideoText):
        one = next((p[field.name] for p in places if field.name in p and p[field.name].text), None)
        if one is not None:
            said[field.name] = one
    return said


def clean(text: str) -> str:
    """Return text in Unicode's composed form, without control characters, with single blanks between words.

    Examples
    --------
    >>> clean("  calm\\x00\\tsea\\r\\nwind ")
    'calm sea wind'
    """
    visible = "".join(
        " " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c
        for c in unicodedata.normalize("NFC", text)
        if unicodedata.category(c) not in ("Cf", "Cs", "Co", "Cn") or c in "\u200c\u200d"
    )
    return " ".join(visible.split())


def _beside(video: Path) -> dict[str, Said]:
    found: dict[str, Said] = {}
    notes = video.with_suffix(".json")
    if notes.is_file():
        found |= _from_json(notes)
    for suffix in SUFFIXES:
        file = video.with_suffix(suffix)
        if file.is_file() and "transcript" not in found:
            found["transcript"] = _spoken(file)
    plain = video.with_suffix(".txt")
    if plain.is_file():
        found.setdefault("description", Said(clean(_read(plain)), f"file {plain.name}"))
    return found


def _inside(video: Path, info: MediaInfo) -> dict[str, Said]:
    tags = info.tags
    found = {
        name: Said(clean(next((tags[key] for key in keys if tags.get(key)), "")), "tags")
        for name, keys in _TAGS.items()
    }
    return {**found, "transcript": _subtitles(video, "subtitles")}


def _spoken(file: Path) -> Said:
    try:
        return _subtitles(file, f"file {file.name}")
    except MediaError as error:
        if error.stream == "subtitle":
            raise
        raise MediaError(
            f"expected subtitles ({file.suffix} beside the video), got something else; mend or remove the file",
            path=file,
        ) from error


def _subtitles(file: Path, source: str) -> Said:
    lines: list[Line] = []
    for caption in captions(file):
        text = clean(caption.text)
        if text and not (lines and lines[-1].text == text):  # rolling subtitles repeat their last line
            lines.append(Line(text, caption.start_s, caption.end_s))
    return Said(" ".join(line.text for line in lines), source, tuple(lines))


def _from_json(file: Path) -> dict[str, Said]:
    try:
        document = json.loads(_read(file))
    except ValueError as error:
        raise MediaError(
            f"expected JSON, got something else ({error}); mend or remove the file", path=file
        ) from error
    if not isinstance(document, dict):
        return {}  # some other program's list, none of our fields
    return {
        field.name: Said(clean(_text(document[field.name], field.name, file)), f"file {file.name}")
        for field in fields(VideoText)
        if document.get(field.name)
    }


def _text(value: Any, name: str, file: Path) -> str:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return " ".join(value)
    if isinstance(value, str):
        return value
    raise MediaError(
        f"{name} must be text or a list of texts, got {type(value).__name__}; mend the file", path=file
    )


def _read(file: Path) -> str:
    try:
        content = file.read_bytes()
        marked = content.startswith((b"\xff\xfe", b"\xfe\xff"))
        text = content.decode("utf-16" if marked else "utf-8-sig")
    except OSError as error:
        raise MediaError(f"cannot be read: {error.strerror}", path=file) from error
    except UnicodeDecodeError as error:
        raise MediaError(
            f"is neither UTF-8 nor UTF-16 (byte {error.start}); save it as UTF-8, such as with "
            "iconv -f WINDOWS-1252 -t UTF-8",
            path=file,
        ) from error
    if len(text) > MAX_CHARS:
        raise MediaError(
            f"holds {len(text)} characters, more than the {MAX_CHARS} that are read; give the words that matter",
            path=file,
        )
    return text


def _pieces(text: str, max_words: int) -> list[str]:
    found: list[str] = []
    held: list[str] = []
    for sentence in re.split(r"(?<=[.!?…。！？])\s*", text):
        words = re.findall(rf"\S{{1,{_LONGEST_WORD}}}", sentence)
        while words:
            room = max_words - len(held)
            if held and len(words) > room:
                found.append(" ".join(held))
                held = []
                continue
            held, words = held + words[:room], words[room:]
    return [*found, " ".join(held)] if held else found
