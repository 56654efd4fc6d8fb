"""The carriers that flow through reelscore: plain values enter, frozen and checked dataclasses leave."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from .errors import InputError

Modality = Literal["video", "music"]
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class VideoStream:
    """The picture stream that would be used.

    Attributes
    ----------
    index : int
        Number of the stream inside the container.
    codec, pixel_format : str
        Names as libav gives them.
    width_px, height_px : int
        Size as shown, after rotation.
    frame_rate_hz : float or None
        Average rate; None where the container does not say.
    rotation_deg : int
        Clockwise rotation that the frames get before anybody sees them: 0, 90, 180 or 270.
    """

    index: int
    codec: str
    pixel_format: str
    width_px: int
    height_px: int
    frame_rate_hz: float | None
    rotation_deg: int = 0


@dataclass(frozen=True, slots=True)
class AudioStream:
    """The sound stream that would be used: its container index, libav codec name, rate and channel count."""

    index: int
    codec: str
    sample_rate_hz: int
    num_channels: int


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What is inside a media file and what of it would be used.

    Attributes
    ----------
    path : str
        The file.
    container : str
        libav's name of the container format.
    duration_s : float
        Length in seconds; measured by reading packets where the container does not say. Positive.
    video : VideoStream or None
        None where there is no picture stream that can be decoded (cover art does not count).
    audio : AudioStream or None
        None where there is no sound stream that can be decoded.
    tags : Mapping[str, str]
        Container tags with lower-case keys (title, artist, album ...).
    notes : tuple of str
        What a user should know: unused streams, cover art, a missing decoder, a guessed duration.
    """

    path: str
    container: str
    duration_s: float
    video: VideoStream | None
    audio: AudioStream | None
    tags: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.duration_s) and self.duration_s > 0):
            raise InputError(
                f"duration_s must be positive and finite, got {self.duration_s!r} for {self.path}"
            )


@dataclass(frozen=True, slots=True)
class Segment:
    """One of the N equal parts of a source: [start_s, end_s) with the sampled instant inside, in seconds."""

    start_s: float
    end_s: float
    instant_s: float

    def __post_init__(self) -> None:
        if not 0 <= self.start_s <= self.instant_s <= self.end_s or not math.isfinite(self.end_s):
            raise InputError(
                "a segment needs 0 <= start_s <= instant_s <= end_s, all finite, got "
                f"({self.start_s!r}, {self.instant_s!r}, {self.end_s!r})"
            )


@dataclass(frozen=True, slots=True, eq=False)
class FeatureSequence:
    """What an encoder says about a source: one feature row for each segment.

    Attributes
    ----------
    values : ndarray of float32, shape (T, D)
        Finite; read-only.
    segments : tuple of Segment, length T
        Where each row comes from.
    encoder : str
        Fingerprint of the encoder that made it.
    columns : tuple of str, length D, or None
        Names of the columns where they mean something to people.
    """

    values: FloatArray
    segments: tuple[Segment, ...]
    encoder: str
    columns: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.float32, copy=True)
        if values.ndim != 2 or 0 in values.shape:
            raise InputError(f"values must have shape (T, D) with T, D >= 1, got {values.shape}")
        if len(self.segments) != len(values):
            raise InputError(f"{len(values)} rows need as many segments, got {len(self.segments)}")
        if self.columns is not None and len(self.columns) != values.shape[1]:
            raise InputError(f"{values.shape[1]} columns need as many names, got {len(self.columns)}")
        if not np.isfinite(values).all():
            row, col = np.argwhere(~np.isfinite(values))[0]
            raise InputError(f"values must be finite; row {row}, column {col} is {values[row, col]}")
        values.flags.writeable = False
        object.__setattr__(self, "values", values)

    def __len__(self) -> int:
        return len(self.segments)

    def column(self, name: str) -> FloatArray:
        """Return the named column, shape (T,), or raise `InputError` naming the columns there are."""
        if self.columns is None or name not in self.columns:
            known = "none" if self.columns is None else ", ".join(self.columns)
            raise InputError(f"no feature column {name!r}; this encoder's columns: {known}")
        column: FloatArray = self.values[:, self.columns.index(name)]
        return column


@dataclass(frozen=True, slots=True)
class Track:
    """One piece of music in a library; `key` is the hash of its content: a moved file stays the same."""

    key: str
    path: str
    title: str
    artist: str
    duration_s: float


@dataclass(frozen=True, slots=True)
class Match:
    """One result.

    Attributes
    ----------
    rank : int
        From 1.
    score : float
        Larger is better.
    track : Track
    start_s : float
        Where its best moment begins.
    reasons : tuple of str
        What query and track share, in words, the weightiest first; none where the model has no words.
    """

    rank: int
    score: float
    track: Track
    start_s: float
    reasons: tuple[str, ...] = ()
