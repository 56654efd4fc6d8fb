"""What the name of a track may mean, as SQL conditions."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator

from reelscore.files import content_hash
from reelscore.types import FileState

from .filters import one_of, quoted


def conditions_of(name: str) -> Iterator[str]:
    """Yield what may identify a track, as SQL in order of precedence."""
    text, titles = quoted(name), _compositions(name.lower())
    yield f"{one_of('path', _paths(name))} OR key = {text}"
    yield one_of("lower(title)", titles)
    if content := _content(name):  # a file that was added by another path
        yield f"key = {quoted(content)}"
    yield " OR ".join(
        [f"starts_with(key, {text})", *(f"starts_with(lower(title), {quoted(t)})" for t in titles)]
    )


def _paths(name: str) -> list[str]:
    """Return the paths that a name may mean."""
    path = os.path.abspath(os.path.expanduser(name))  # noqa: PTH100, PTH111  (links are kept)
    return [form for one in (name, path, os.path.realpath(path)) for form in _compositions(one)]


def _compositions(text: str) -> list[str]:
    """Return a text as it is, and with composed and decomposed accents."""
    return list(dict.fromkeys([text, *(unicodedata.normalize(form, text) for form in ("NFC", "NFD"))]))


def _content(name: str) -> str:
    """Return the content hash of a file, or an empty text without one."""
    path = os.path.expanduser(name)  # noqa: PTH111
    try:
        return content_hash(path) if FileState.of(path) else ""
    except OSError:
        return ""
