"""Facts in the tags of a music file: ISRC, licence, explicit, tempo, key, genre and mood."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from reelscore.analysis.key import TONICS, parse_key
from reelscore.files import open_file
from reelscore.media.tags import tag_text

from .storage.facts import Value

T = TypeVar("T")

SLOWEST_BPM, FASTEST_BPM = 30.0, 300.0
"""A tag outside is a mistake; many programs write 0 for an unknown tempo."""

# By tinytag and by libav, in lower case.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "isrc": ("isrc", "tsrc"),
    "licence": ("license", "licence", "wcop"),
    "copyright": ("copyright", "cprt", "tcop"),
    "explicit": ("itunesadvisory", "rtng", "explicit"),
    "bpm": ("bpm", "tbpm", "tmpo", "tempo"),
    "key": ("initial_key", "initialkey", "tkey", "key"),
    "genre": ("genre", "tcon"),
    "mood": ("mood", "tmoo"),
}
_EXPLICIT = {"1": True, "4": True, "yes": True, "true": True, "2": False, "no": False, "false": False}
_OPEN_LICENCE = re.compile(r"creative\s*commons|\bcc[ -](by|0|zero)|\bcc0\b|public domain", re.IGNORECASE)
_ISRC = re.compile(r"[A-Z]{2}[A-Z0-9]{3}\d{7}")


def read_facts(path: str, libav_tags: Mapping[str, str]) -> dict[str, Value]:
    """Return the facts in the tags of a music file; a tag that is absent or implausible gives none.

    Parameters
    ----------
    path : str
    libav_tags : Mapping of str to str
        `MediaInfo.tags`, which fill in where tinytag does not know the format.
    """
    found = _tinytag(path)
    texts = {
        name: [
            *(text for tag in tags for text in found.get(tag, ())),
            *(libav_tags.get(tag, "") for tag in tags),
        ]
        for name, tags in _NAMES.items()
    }
    return facts_of_tags(
        {name: [text for text in map(clean, values) if text] for name, values in texts.items()}
    )


def facts_of_tags(texts: Mapping[str, Sequence[str]]) -> dict[str, Value]:
    """Return facts of tags by name; the first plausible text of a name counts, and all genres and moods."""
    values: dict[str, Value | None] = {
        "isrc": _first(parse_isrc(text) for text in texts["isrc"]),
        "licence": _first(
            [*texts["licence"], *(text for text in texts["copyright"] if _OPEN_LICENCE.search(text))]
        ),
        "explicit": _first(_EXPLICIT.get(text.lower()) for text in texts["explicit"]),
        "bpm": _first(parse_bpm(text) for text in texts["bpm"]),
        "genre": terms(texts["genre"]) or None,
        "mood": terms(texts["mood"]) or None,
    }
    key = _first(parse_key(text) for text in texts["key"])
    facts = {name: value for name, value in values.items() if value is not None}
    return facts if key is None else facts | key_facts(*key)


def key_facts(tonic: int, mode: str) -> dict[str, Value]:
    """Return the three columns of a key."""
    return {"key": f"{TONICS[tonic]} {mode}", "tonic": tonic, "mode": mode}


def parse_bpm(text: str) -> float | None:
    """Return a tempo, or None unless it is plausible.

    Examples
    --------
    >>> [parse_bpm(text) for text in ("128", "97,5", "0", "fast")]
    [128.0, 97.5, None, None]
    """
    try:
        bpm = float(text.replace(",", "."))
    except ValueError:
        return None
    return bpm if math.isfinite(bpm) and SLOWEST_BPM <= bpm <= FASTEST_BPM else None


def parse_isrc(text: str) -> str | None:
    """Return an ISRC without hyphens, or None unless it has the form of one."""
    code = re.sub(r"[\s-]", "", text).upper()
    return code if _ISRC.fullmatch(code) else None


def terms(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the terms of texts in lower case, each once; semicolons and vertical bars separate terms.

    Examples
    --------
    >>> terms(["Rock; Indie Rock", "rock", "Hip-Hop/Rap"])
    ('rock', 'indie rock', 'hip-hop/rap')
    """
    found = (term.strip().lower() for text in texts for term in re.split(r"[;|\0]", text))
    return tuple(dict.fromkeys(term for term in found if term))


def clean(text: str) -> str:
    """Return a tag as valid, composed text on one line, by the rule of `media.tags.tag_text`."""
    return " ".join(unicodedata.normalize("NFC", tag_text(text.replace("\0", ";"))).split()).strip(" ;")


def _tinytag(path: str) -> Mapping[str, Sequence[str]]:
    from tinytag import TinyTag

    try:
        with open_file(path) as file:
            tag = TinyTag.get(Path(path).name, file_obj=file, duration=False)
    except Exception:  # what it raises for a damaged file is not documented, and libav has read the file
        return {}
    fields: dict[str, list[str]] = {name.lower(): list(texts) for name, texts in tag.other.items()}
    if tag.genre:
        fields["genre"] = [tag.genre, *fields.get("genre", [])]
    return fields


def _first(values: Iterable[T | None]) -> T | None:
    return next((value for value in values if value is not None), None)
