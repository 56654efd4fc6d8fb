"""Key of a track with a confidence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reelscore.encoders.light.harmony import find_key
from reelscore.types import FloatArray

from .frames import CHROMA_HZ

TONICS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_WINDOW_S = 15.0
_NAME = re.compile(
    r"([A-Ga-g])\s*-?(#|b|is|es|(?<=[EAea])s|\s*sharp|\s*flat|)[\s-]*(m|M|maj|min|(?i:major|minor|dur|moll)|)"
)
_WHEEL = re.compile(r"0?(\d{1,2})\s*([ABabdm])")  # Camelot: A and B; Open Key: m and d


@dataclass(frozen=True, slots=True)
class TrackKey:
    """Tonic, mode and the share of the track's windows of 15 s that have this key on their own.

    Tools for key detection agree with each other on about half of all tracks: show it as an estimate.
    """

    tonic: str
    mode: Literal["major", "minor"]
    confidence: float


def parse_key(text: str) -> tuple[int, Literal["major", "minor"]] | None:
    """Return tonic (0 for C to 11) and mode of a key as tags and people write it, or None.

    Examples
    --------
    >>> parse_key("F# minor"), parse_key("Bbm"), parse_key("Es-Dur"), parse_key("8A"), parse_key("no key")
    ((6, 'minor'), (10, 'minor'), (3, 'major'), (9, 'minor'), None)
    """
    text = text.strip().replace("\u266f", "#").replace("\u266d", "b")
    if wheel := _WHEEL.fullmatch(text):
        number = int(wheel[1])
        if not 1 <= number <= 12:
            return None
        is_minor = wheel[2] in "Aam"
        # Neighbours on the wheel are a fifth apart. Camelot has A minor at 8A, Open Key at 1m.
        fifths = number - (8 if wheel[2] in "AaBb" else 1)
        return (7 * fifths + (9 if is_minor else 0)) % 12, "minor" if is_minor else "major"
    name = _NAME.fullmatch(text)
    if name is None:
        return None
    letter, accidental, mode = name.groups()
    flats = accidental.lower() in ("b", "es", "s", "flat")
    shift = 0 if not accidental else -1 if flats else 1
    tonic = (TONICS.index(letter.upper()) + shift) % 12
    return tonic, "minor" if mode.lower() in ("min", "minor", "moll") or mode == "m" else "major"


def estimate_key(chroma: FloatArray) -> TrackKey | None:
    """Estimate the key from chroma vectors of shape (G, 12); None without any tone."""
    whole = _name(chroma)
    if whole is None:
        return None
    count = max(1, round(len(chroma) / (CHROMA_HZ * _WINDOW_S)))
    windows = [_name(part) for part in np.array_split(chroma, count)]
    return TrackKey(*whole, confidence=round(windows.count(whole) / count, 3))


def _name(chroma: FloatArray) -> tuple[str, Literal["major", "minor"]] | None:
    key = find_key(chroma.mean(axis=0, dtype=np.float64).astype(np.float32)) if len(chroma) else None
    if key is None or key.clarity <= 0:
        return None
    return TONICS[key.tonic], "major" if key.mode >= 0 else "minor"
