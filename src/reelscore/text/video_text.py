"""Text of a video from files, tags and subtitles.

Each field comes from the first source that has it: the caller (a manifest's row), a file with the video's name next to
it (``film.json``, ``film.srt``, ``film.vtt``, ``film.ass``, ``film.txt``), and the video's tags and subtitle stream.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from reelscore.errors import MediaError
from reelscore.files import parse_json, read_file
from reelscore.media.probe import probe
from reelscore.media.subtitles import SUFFIXES, read_subtitles
from reelscore.types import MediaInfo

from .timed_lines import Line

MAX_CHARS = 1_000_000
"""A longer file is rejected as a mistake."""

_MAX_WORD_CHARS = 60  # scripts without spaces are cut here

_TAGS = {"title": ("title",), "description": ("description", "synopsis", "comment", "keywords")}


@dataclass(frozen=True, slots=True)
class VideoText:
    """The text of a video, cleaned; a field without text is empty.

    Attributes
    ----------
    title, description : str
    transcript : str
        Speech, from subtitles or a transcript.
    on_screen : str
        Text in the frames.
    """

    title: str = ""
    description: str = ""
    transcript: str = ""
    on_screen: str = ""

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))

    def chunks(self, *, max_words: int = 48, max_chunks: int = 64) -> tuple[str, ...]:
        """Split the text into chunks for a text encoder.

        Sentences that fit into a chunk are not split. Of more than `max_chunks` chunks, one is taken from the middle
        of each of `max_chunks` equal parts, as in Global Sparse sampling.

        Examples
        --------
        >>> VideoText(title="Storm", transcript="We set sail. The wind rose.").chunks(max_words=4)
        ('Storm', 'We set sail.', 'The wind rose.')
        """
        chunks: list[str] = []
        for field in fields(self):
            chunks += _split_chunks(getattr(self, field.name), max_words)
        if len(chunks) <= max_chunks:
            return tuple(chunks)
        return tuple(chunks[(2 * i + 1) * len(chunks) // (2 * max_chunks)] for i in range(max_chunks))


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


def read_video_text(video: Path | str, *, given: Mapping[str, str | None] | None = None) -> VideoText:
    """Return the text of a video, without OCR and speech recognition; see `find_text_sources`."""
    sources = find_text_sources(video, given=given)
    return VideoText(**{name: source.text for name, source in sources.items()})


def find_text_sources(
    video: Path | str,
    *,
    given: Mapping[str, str | None] | None = None,
    info: MediaInfo | None = None,
) -> dict[str, TextSource]:
    """Return each field of `VideoText` that is not empty, from its first source, in the order of `VideoText`.

    Parameters
    ----------
    video : path
    given : mapping of str, optional
        Fields that take precedence over every other source.
    info : MediaInfo, optional
        Result of `probe`, if known.

    Raises
    ------
    NotFoundError
        If the video does not exist.
    MediaError
        If the video cannot be read, or a file next to it is malformed.
    """
    path = Path(video)
    from_caller = {name: TextSource(clean(text), "given") for name, text in (given or {}).items() if text}
    candidates = (from_caller, _sidecar_text(path), _embedded_text(path, info or probe(path)))
    sources = {}
    for field in fields(VideoText):
        source = next((c[field.name] for c in candidates if field.name in c and c[field.name].text), None)
        if source is not None:
            sources[field.name] = source
    return sources


def clean(text: str) -> str:
    """Normalise text: composed Unicode (NFC), no control characters, single spaces between words.

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


def _sidecar_text(video: Path) -> dict[str, TextSource]:
    """Return the text in files with the video's name."""
    sources: dict[str, TextSource] = {}
    json_file = video.with_suffix(".json")
    if json_file.is_file():
        sources |= _read_json(json_file)
    for suffix in SUFFIXES:
        file = video.with_suffix(suffix)
        if file.is_file() and "transcript" not in sources:
            sources["transcript"] = _read_subtitle_file(file)
    text_file = video.with_suffix(".txt")
    if text_file.is_file():
        sources.setdefault("description", TextSource(clean(_read(text_file)), f"file {text_file.name}"))
    return sources


def _embedded_text(video: Path, info: MediaInfo) -> dict[str, TextSource]:
    """Return the text in the video's tags and subtitle stream."""
    tags = info.tags
    sources = {
        name: TextSource(clean(next((tags[key] for key in keys if tags.get(key)), "")), "tags")
        for name, keys in _TAGS.items()
    }
    return {**sources, "transcript": _subtitles(video, "subtitles")}


def _read_subtitle_file(file: Path) -> TextSource:
    try:
        return _subtitles(file, f"file {file.name}")
    except MediaError as error:
        if error.stream == "subtitle":
            raise
        raise MediaError(
            f"expected subtitles ({file.suffix} next to the video), got something else. Fix or remove the file.",
            path=file,
        ) from error


def _subtitles(file: Path, source: str) -> TextSource:
    lines: list[Line] = []
    for cue in read_subtitles(file):
        text = clean(cue.text)
        if text and not (lines and lines[-1].text == text):  # roll-up subtitles repeat their last line
            lines.append(Line(text, cue.start_s, cue.end_s))
    return TextSource(" ".join(line.text for line in lines), source, tuple(lines))


def _read_json(file: Path) -> dict[str, TextSource]:
    try:
        document = parse_json(_read(file))
    except ValueError as error:
        raise MediaError(
            f"expected JSON, got something else ({error}). Fix or remove the file.", path=file
        ) from error
    if not isinstance(document, dict):
        return {}  # not written for reelscore
    return {
        field.name: TextSource(clean(_text(document[field.name], field.name, file)), f"file {file.name}")
        for field in fields(VideoText)
        if document.get(field.name)
    }


def _text(value: Any, name: str, file: Path) -> str:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return " ".join(value)
    if isinstance(value, str):
        return value
    raise MediaError(
        f"{name} must be text or a list of texts, got {type(value).__name__}. Fix the file.", path=file
    )


def _read(file: Path) -> str:
    try:
        content = read_file(file)
        has_utf16_mark = content.startswith((b"\xff\xfe", b"\xfe\xff"))
        text = content.decode("utf-16" if has_utf16_mark else "utf-8-sig")
    except OSError as error:
        raise MediaError(f"cannot be read: {error.strerror}", path=file) from error
    except UnicodeDecodeError as error:
        raise MediaError(
            f"is neither UTF-8 nor UTF-16 (byte {error.start}). Save it as UTF-8: iconv -f WINDOWS-1252 -t UTF-8.",
            path=file,
        ) from error
    if len(text) > MAX_CHARS:
        raise MediaError(
            f"has {len(text)} characters, more than the limit of {MAX_CHARS}. Shorten it.",
            path=file,
        )
    return text


def _split_chunks(text: str, max_words: int) -> list[str]:
    chunks: list[str] = []
    current: list[str] = []
    for sentence in re.split(r"(?<=[.!?…。！？])\s*", text):
        words = re.findall(rf"\S{{1,{_MAX_WORD_CHARS}}}", sentence)
        while words:
            room = max_words - len(current)
            if current and len(words) > room:
                chunks.append(" ".join(current))
                current = []
                continue
            current, words = current + words[:room], words[room:]
    return [*chunks, " ".join(current)] if current else chunks
