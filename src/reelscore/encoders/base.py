"""What every encoder promises: a file and its segments enter, a `FeatureSequence` leaves."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from reelscore.types import FeatureSequence, FloatArray, Modality, Segment


class Encoder(Protocol):
    """Turns one medium into features: row i depends on the source around `segments[i].instant_s`.

    Attributes
    ----------
    name : str
        For people, such as ``"light-video"``.
    version : str
        Changes whenever the numbers for the same file change.
    modality : {"video", "music"}
    dim : int
        D, the number of columns.
    fingerprint : str
        Identity of the feature space: equal fingerprints give comparable rows.
    recipe : str
        Identity of the numbers themselves, for the cache: the fingerprint plus settings that move
        the numbers a little without leaving the space (such as fast or exact seeking).
    columns : tuple of str or None
        Column names where they mean something to people.
    """

    name: str
    version: str
    modality: Modality
    dim: int
    fingerprint: str
    recipe: str
    columns: tuple[str, ...] | None

    def encode(self, path: Path | str, segments: Sequence[Segment]) -> FeatureSequence:
        """Return one row for each segment, shape (T, D).

        Segments come in ascending order. Same file and segments, same bytes. Raises `MediaError`
        when the file cannot give the pictures or the sound.
        """
        ...


class TextEncoder(Protocol):
    """Turns texts into rows, one each, such as `pack_text.PackTextEncoder`.

    Attributes
    ----------
    dim : int
        D, the number of columns.
    fingerprint : str
        Identity of the feature space: equal fingerprints give comparable rows.
    recipe : str
        Identity of the numbers themselves, for the cache.
    """

    dim: int
    fingerprint: str
    recipe: str

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return one embedding for each text, shape (N, D)."""
        ...


@dataclass(frozen=True, slots=True)
class EncoderPair:
    """A video and a music encoder, with the licences of their weights."""

    video: Encoder
    music: Encoder
    video_licence: str | None = None
    music_licence: str | None = None


def fingerprint(name: str, version: str, *parts: str) -> str:
    """Return ``name-version-hash``: a short stable identity of an encoder and all that shapes its numbers."""
    digest = hashlib.blake2b("\0".join((name, version, *parts)).encode(), digest_size=6).hexdigest()
    return f"{name}-{version}-{digest}"
