"""Decode text files of unknown encoding."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from reelscore.errors import InputError
from reelscore.files import open_file

MAX_BYTES = 16_000_000
"""A larger text file is rejected as a mistake."""

_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
# Encodings that editors and subtitle programs write. Between more candidates, short texts cannot be distinguished.
_LATIN = ("cp1252", "cp1250", "cp1254")
_OTHER_SCRIPTS = (
    "cp1251", "koi8_r", "cp1253", "cp1255", "cp1256", "cp932", "euc_jp", "gb18030", "big5", "cp949",
)  # fmt: skip
_HIGH_SHARE = 0.45  # of the letters; below it, the letters above 127 are accents of Latin text
_SAMPLE_BYTES = 64_000


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded text.

    Attributes
    ----------
    text : str
        With ``\\n`` line ends and without a byte order mark.
    note : str or None
        How the text was decoded, for the user; None for intact UTF-8, UTF-16 and UTF-32.
    """

    text: str
    note: str | None = None


def read_text(path: Path, *, max_bytes: int = MAX_BYTES) -> Decoded:
    """Read a text file; see `decode`.

    Raises
    ------
    InputError
        If the file has more than `max_bytes`, or is not a regular file.
    OSError
        If it cannot be read.
    """
    with open_file(path) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise InputError(f"is larger than {max_bytes // 1_000_000} MB; shorten it")
    return decode(content)


def decode(content: bytes) -> Decoded:
    """Decode UTF-8, UTF-16 or UTF-32, or else text in an encoding that charset-normalizer detects.

    In damaged UTF-8, lines with invalid bytes are emptied.
    """
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), None) or _without_mark(
        content
    )
    try:
        return Decoded(_lines(content.decode(encoding)))
    except UnicodeDecodeError:
        pass
    if encoding.startswith(("utf-16", "utf-32")):
        return Decoded(_lines(content.decode(encoding, errors="ignore")), f"damaged {encoding.upper()}")
    text = content.decode("utf-8-sig", errors="surrogateescape")
    invalid = len(re.findall("[\udc80-\udcff]", text))
    if len(re.findall("[^\0-\x7f\udc80-\udcff]", text)) <= invalid and (detected := _detect(content)):
        return Decoded(
            _lines(content.decode(detected)),
            f"not UTF-8, read as {detected}; if letters are wrong, save it as UTF-8",
        )
    lines = _lines(text).split("\n")
    valid = ["" if re.search("[\udc80-\udcff]", line) else line for line in lines]
    damaged = sum(line != kept for line, kept in zip(lines, valid, strict=True))
    what = "1 line is not UTF-8 and was" if damaged == 1 else f"{damaged} lines are not UTF-8 and were"
    return Decoded("\n".join(valid), f"{what} skipped")


def _without_mark(content: bytes) -> str:
    """Return the encoding of text without a byte order mark: UTF-8, or UTF-16 where NUL bytes suggest it."""
    sample = content[:_SAMPLE_BYTES]
    if b"\0" not in sample or len(content) % 2:
        return "utf-8"

    texts = {name: sample.decode(name, errors="replace") for name in ("utf-16-le", "utf-16-be")}
    # Blanks and line ends are ASCII only in the right byte order.
    best = max(
        texts, key=lambda name: sum((c.isascii() and c.isprintable()) or c == "\n" for c in texts[name])
    )
    is_text = sum(c.isprintable() or c.isspace() for c in texts[best]) > 0.9 * len(texts[best])
    return best if is_text else "utf-8"


def _detect(content: bytes) -> str | None:
    """Return the most likely encoding that decodes all of `content`."""
    from charset_normalizer import from_bytes

    # Time stamps and markup say nothing about the script.
    lines = [line for line in content.splitlines() if any(byte > 127 for byte in line)]
    sample = b"\n".join(lines)[:_SAMPLE_BYTES]
    high = sum(byte > 127 for byte in sample)
    letters = high + sum(chr(byte).isalpha() for byte in sample if byte <= 127)
    candidates = _LATIN if high < _HIGH_SHARE * letters else _OTHER_SCRIPTS
    matches = from_bytes(sample, cp_isolation=list(candidates), enable_fallback=False)
    found = {
        name: (match.chaos, -match.coherence) for match in matches for name in match.could_be_from_charset
    }
    ranked = sorted(candidates, key=lambda name: (found.get(name, (9.0, 0.0)), candidates.index(name)))
    return next((name for name in ranked if _decodes(content, name)), None)


def _decodes(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _lines(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
