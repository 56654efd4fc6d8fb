"""Key of a track with a confidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from reelscore.encoders.light.harmony import find_key
from reelscore.types import FloatArray

from .frames import CHROMA_HZ

TONICS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_WINDOW_S = 15.0


@dataclass(frozen=True, slots=True)
class TrackKey:
    """Tonic, mode and the share of the track's windows of 15 s that have this key on their own.

    Tools for key detection agree with each other on about half of all tracks: show it as an estimate.
    """

    tonic: str
    mode: Literal["major", "minor"]
    confidence: float


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
