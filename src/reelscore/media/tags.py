"""Decode tags that are not UTF-8."""

from __future__ import annotations

import re

_INVALID = re.compile("[\udc80-\udcff]+")
_VALID = re.compile("[^\0-\x7f\udc80-\udcff]")
_C1 = re.compile("[\x80-\x9f]")


def tag_text(value: str) -> str:
    """Return a tag that libav read as UTF-8 with ``surrogateescape``, as valid text.

    Bytes that are not UTF-8 are read as cp1252, which most programs write in place of Latin-1. Where the rest of the
    tag has valid letters above 127, they come from a letter that was cut, as in ID3v1, and are dropped.

    Examples
    --------
    >>> tag_text("Tr\\udce4umerei")
    'Träumerei'
    """
    if _VALID.search(value):
        text = _INVALID.sub("", value)
    else:
        text = _INVALID.sub(lambda match: _cp1252(match[0].encode("utf-8", "surrogateescape")), value)
    return _C1.sub(lambda match: _cp1252(match[0].encode("latin-1")), text)


def _cp1252(content: bytes) -> str:
    """Decode cp1252; its five undefined bytes are dropped."""
    return content.decode("cp1252", errors="ignore")
