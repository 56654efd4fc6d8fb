"""Find the text of a video in files next to it, its tags and its subtitles.

Each field comes from the first source that has it: the caller (a manifest's row), a file with the video's name next to
it, and the video's tags and subtitle stream. For ``film.mp4`` these files are, in this order, ``film.json``,
``film.info.json``, ``film[.LANGUAGE].srt`` (also ``.vtt``, ``.ass``, ``.ssa``), ``film.description`` and ``film.txt``.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from reelscore.errors import InputError
from reelscore.files import parse_json
from reelscore.media.probe import probe
from reelscore.media.subtitles import SUFFIXES, SubtitleCue, parse_subtitles, read_subtitles
from reelscore.types import MediaInfo

from .encoding import read_text
from .timed_lines import Line
from .video_text import VideoText, clean

MAX_CHARS = 1_000_000
"""The text of a field is cut here."""

_TAGS = {"title": ("title",), "description": ("description", "synopsis", "comment", "keywords")}
_JSON = (".json", ".info.json")
_DESCRIPTIONS = (".description", ".txt")
_LANGUAGE = re.compile(r"english|[a-z]{2,3}([-_][a-z0-9]{1,8})*", re.IGNORECASE)
_KINDS = {
    "cc",
    "default",
    "forced",
    "full",
    "hi",
    "orig",
    "sdh",
}  # of subtitles, as editors and players mark them


@dataclass(frozen=True, slots=True)
class TextSource:
    """The text of one field of `VideoText` and its source.

    Attributes
    ----------
    text : str
        Cleaned.
    source : str
        ``given``, ``file NAME``, ``tags``, ``subtitles``, ``pictures`` (OCR) or ``sound`` (speech recognition).
    lines : tuple of Line
        The timed lines of the text, if it has times.
    """

    text: str
    source: str
    lines: tuple[Line, ...] = ()


def read_video_text(
    video: Path | str, *, given: Mapping[str, str | None] | None = None, notes: list[str] | None = None
) -> VideoText:
    """Return the text of a video, without OCR and speech recognition; see `find_text_sources`."""
    sources = find_text_sources(video, given=given, notes=notes)
    return VideoText(**{name: source.text for name, source in sources.items()})


def find_text_sources(
    video: Path | str,
    *,
    given: Mapping[str, str | None] | None = None,
    info: MediaInfo | None = None,
    notes: list[str] | None = None,
) -> dict[str, TextSource]:
    """Return each field of `VideoText` that is not empty, from its first source, in the order of `VideoText`.

    Parameters
    ----------
    video : path
    given : mapping of str, optional
        Fields that take precedence over every other source.
    info : MediaInfo, optional
        Result of `probe`, if known.
    notes : list of str, optional
        Receives a message for each file next to the video that is not read, or not in full.

    Raises
    ------
    NotFoundError
        If the video does not exist.
    MediaError
        If the video cannot be read.
    """
    path = Path(video)
    info = info or probe(path)
    from_caller = {name: TextSource(clean(text), "given") for name, text in (given or {}).items() if text}
    candidates = (
        from_caller,
        _Sidecars(path, [] if notes is None else notes).read(),
        _embedded_text(path, info),
    )
    sources = {}
    for field in fields(VideoText):
        source = next((c[field.name] for c in candidates if field.name in c and c[field.name].text), None)
        if source is not None:
            sources[field.name] = source
    return sources


def _embedded_text(video: Path, info: MediaInfo) -> dict[str, TextSource]:
    """Return the text in the video's tags and subtitle stream."""
    tags = info.tags
    sources = {
        name: TextSource(clean(next((tags[key] for key in keys if tags.get(key)), "")), "tags")
        for name, keys in _TAGS.items()
    }
    return {**sources, "transcript": _transcript(read_subtitles(video), "subtitles")}


def _transcript(cues: tuple[SubtitleCue, ...], source: str) -> TextSource:
    lines: list[Line] = []
    for cue in cues:
        text = clean(cue.text)
        if text and not (lines and lines[-1].text == text):  # roll-up subtitles repeat their last line
            lines.append(Line(text, cue.start_s, cue.end_s))
    return TextSource(" ".join(line.text for line in lines)[:MAX_CHARS], source, tuple(lines))


class _Sidecars:
    """Files next to a video whose names begin with the video's name.

    A file that cannot be read adds a note, and the next source is used.
    """

    def __init__(self, video: Path, notes: list[str]) -> None:
        self._folder = video.parent
        self._notes = notes
        self._suffix = video.suffix.lower()
        self._stem = unicodedata.normalize("NFC", video.stem)
        try:
            names = os.listdir(video.parent)  # noqa: PTH208  (names alone)
        except OSError:
            names = []
        # File systems and programs differ in how they compose accents.
        self._files = {
            unicodedata.normalize("NFC", name)[len(self._stem) :].lower(): name
            for name in sorted(names)
            if unicodedata.normalize("NFC", name).startswith(f"{self._stem}.") and name != video.name
        }

    def read(self) -> dict[str, TextSource]:
        """Return the text of each field that a file has."""
        sources: dict[str, TextSource] = {}
        for ending in _JSON:
            for name, source in self._json(ending).items():
                sources.setdefault(name, source)
        subtitles = [] if "transcript" in sources else self._subtitles()
        for place, ending in enumerate(subtitles):
            source = self._subtitle_file(ending)
            if source.text:
                sources.setdefault("transcript", source)
                if others := [self._files[other] for other in subtitles[place + 1 :]]:
                    self._notes.append(
                        f"subtitles are read from {self._files[ending]}, not from {', '.join(others)}"
                    )
                break
        for ending in _DESCRIPTIONS:
            text = clean(self._text(ending))[:MAX_CHARS]
            if text:
                sources.setdefault("description", TextSource(text, f"file {self._files[ending]}"))
        return sources

    def _subtitles(self) -> list[str]:
        """Return the endings of subtitle files: English first, then without a language, then others."""
        found: list[tuple[bool, int, str, int, str]] = []
        for ending in self._files:
            head, _, suffix = ending.rpartition(".")
            if f".{suffix}" not in SUFFIXES:
                continue
            marks = [mark for mark in head.split(".") if mark]
            kinds = _KINDS.intersection(marks)
            languages = [mark for mark in marks if mark not in (*kinds, self._suffix[1:])]
            # "film.cut.srt" belongs to "film.cut.mp4", if that exists.
            another = head and f"{head}{self._suffix}" in self._files
            if len(languages) > 1 or another or not all(_LANGUAGE.fullmatch(mark) for mark in languages):
                continue
            language = languages[0] if languages else ""
            english = re.split("[-_]", language)[0] in ("en", "eng", "english")
            rank = 0 if english else 1 if not language else 2
            found.append(("forced" in kinds, rank, language, SUFFIXES.index(f".{suffix}"), ending))
        return [ending for *_, ending in sorted(found)]

    def _subtitle_file(self, ending: str) -> TextSource:
        content = self._text(ending)
        source = _transcript(parse_subtitles(content), f"file {self._files[ending]}")
        if content.strip() and not source.text:
            self._note(ending, "holds no subtitles that can be read; fix or remove it")
        return source

    def _json(self, ending: str) -> dict[str, TextSource]:
        content = self._text(ending)
        if not content.strip():
            return {}
        try:
            document = parse_json(content)
        except ValueError as error:
            self._note(ending, f"is not JSON ({error}); fix or remove it")
            return {}
        if not isinstance(document, dict):
            return {}  # not written for reelscore
        sources = {}
        for field in fields(VideoText):
            value = document.get(field.name)
            text = _text_of(value)
            if value is not None and not isinstance(value, str | list):
                effect = f"read as {text!r}" if text else "ignored"
                self._note(ending, f"{field.name} must be text, got {type(value).__name__}; {effect}")
            if text:
                sources[field.name] = TextSource(clean(text)[:MAX_CHARS], f"file {self._files[ending]}")
        return sources

    def _text(self, ending: str) -> str:
        """Return the text of a file, or nothing where there is none."""
        if ending not in self._files:
            return ""
        file = self._folder / self._files[ending]
        try:
            if not file.is_file():
                return ""
            decoded = read_text(file)
        except InputError as error:
            self._note(ending, f"{error} (ignored)")
            return ""
        except OSError as error:
            self._note(ending, f"cannot be read: {error.strerror}; check its permissions")
            return ""
        if decoded.note:
            self._note(ending, decoded.note)
        if not decoded.text.strip():
            self._note(ending, "is empty")
        if len(decoded.text) > MAX_CHARS and ending not in _JSON:
            self._note(ending, f"is cut after {MAX_CHARS} characters; shorten it")
            return decoded.text[:MAX_CHARS]
        return decoded.text

    def _note(self, ending: str, message: str) -> None:
        self._notes.append(f"{self._files[ending]}: {message}")


def _text_of(value: Any) -> str:
    """Return a JSON value as text: numbers as digits, lists joined, nothing for others."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, list):
        return " ".join(filter(None, (_text_of(one) for one in value if not isinstance(one, list))))
    return ""
