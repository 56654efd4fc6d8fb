"""The encoder protocol, pairs of encoders and fingerprints."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from reelscore.types import FeatureSequence, Modality, Segment


class Encoder(Protocol):
    """Encoder of files of one modality; row i describes the source around ``segments[i].instant_s``.

    Attributes
    ----------
    name : str
        Readable name, such as ``"light-video"``.
    version : str
        Changes whenever the numbers for the same file change.
    modality : {"video", "music"}
    dim : int
        D, the number of columns.
    fingerprint : str
        Identity of the feature space: rows with equal fingerprints are comparable.
    recipe : str
        Identity of the numbers, for the cache: the fingerprint plus settings that change numbers slightly within the
        same space, such as fast or exact seeking.
    columns : tuple of str or None
        Names of the columns, if they are interpretable.
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

        Segments are in ascending order. The same file and segments give the same bytes.

        Raises
        ------
        MediaError
            When the file has no video or no audio that can be decoded.
        """
        ...


@dataclass(frozen=True, slots=True)
class EncoderPair:
    """A video and a music encoder, with the licences of their weights."""

    video: Encoder
    music: Encoder
    video_licence: str | None = None
    music_licence: str | None = None


def fingerprint(name: str, version: str, *parts: str) -> str:
    """Return ``name-version-hash``, where the hash covers every part that determines an encoder's numbers."""
    digest = hashlib.blake2b("\0".join((name, version, *parts)).encode(), digest_size=6).hexdigest()
    return f"{name}-{version}-{digest}"
