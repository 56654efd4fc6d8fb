"""The text of a video, its cleaning and its split into chunks."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, fields

_MAX_WORD_CHARS = 60  # scripts without spaces are cut here


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
