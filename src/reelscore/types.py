"""Data classes and protocols that several packages share."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from .errors import InputError

Modality = Literal["video", "music"]
FloatArray = npt.NDArray[np.float32]

END_S, END_SHARE = 0.5, 0.1
"""Streams whose ends differ by less, in seconds and as a share of the file's length, end together."""


class FileState(NamedTuple):
    """Size and times of a file, by which an unchanged one is recognised.

    A program that keeps the modification time, such as a tag editor, still changes `ctime_ns`.
    """

    size_bytes: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, path: str) -> FileState | None:
        """Return the state of a regular file, or None without one."""
        try:
            found = os.stat(path)  # noqa: PTH116
        except (OSError, ValueError):
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@dataclass(frozen=True, slots=True)
class VideoStream:
    """The video stream to decode.

    Attributes
    ----------
    index : int
        Index of the stream in the container.
    codec, pixel_format : str
        Names in libav.
    width_px, height_px : int
        Displayed size, after rotation.
    frame_rate_hz : float or None
        Average rate; None if the container has none.
    duration_s : float
        Length of the pictures.
    rotation_deg : int
        Clockwise rotation that decoding applies: 0, 90, 180 or 270.
    mirrored : bool
        Whether decoding mirrors the frames left to right, before it rotates them.
    """

    index: int
    codec: str
    pixel_format: str
    width_px: int
    height_px: int
    frame_rate_hz: float | None
    duration_s: float
    rotation_deg: int = 0
    mirrored: bool = False


@dataclass(frozen=True, slots=True)
class AudioStream:
    """The audio stream to decode.

    Attributes
    ----------
    index : int
        Index of the stream in the container.
    codec : str
        Name in libav.
    sample_rate_hz, num_channels : int
    duration_s : float
        End of the sound, in seconds after the first picture.
    start_s : float
        Start of the sound; above 0 where it starts later than the pictures.
    """

    index: int
    codec: str
    sample_rate_hz: int
    num_channels: int
    duration_s: float
    start_s: float = 0.0


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """Contents of a media file.

    Attributes
    ----------
    path : str
        Path of the file.
    container : str
        Name of the container format in libav.
    duration_s : float
        Duration of the longer stream in seconds, positive. Measured from the packets where the container states none
        or a wrong one.
    video : VideoStream or None
        None if there is no video stream that can be decoded; cover art does not count.
    audio : AudioStream or None
        None if there is no audio stream that can be decoded.
    tags : Mapping[str, str]
        Container tags with lower-case keys, such as title, artist and album.
    notes : tuple of str
        Remarks for the user: unused streams, cover art, a missing decoder, and all of `repairs`.
    repairs : tuple of str
        What the file states wrongly or lacks, and how it was read: a measured duration, a stream that cannot be
        decoded, timestamps that jump.
    """

    path: str
    container: str
    duration_s: float
    video: VideoStream | None
    audio: AudioStream | None
    tags: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()

    def length_s(self, modality: Modality) -> float:
        """Return the duration of the pictures (``"video"``) or of the sound (``"music"``), in seconds.

        Streams that end together, within padding, have one duration: that of the file.
        """
        stream = self.video if modality == "video" else self.audio
        if stream is None or self.duration_s - stream.duration_s <= min(END_S, END_SHARE * self.duration_s):
            return self.duration_s
        return stream.duration_s

    def __post_init__(self) -> None:
        if not (math.isfinite(self.duration_s) and self.duration_s > 0):
            raise InputError(
                f"duration_s must be positive and finite, got {self.duration_s!r} for {self.path}"
            )


@dataclass(frozen=True, slots=True)
class Segment:
    """Part [start_s, end_s) of a source with the sampled instant inside, in seconds."""

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
    """Features of a source: one row for each segment.

    Attributes
    ----------
    values : ndarray of float32, shape (T, D)
        Finite, read-only.
    segments : tuple of Segment, length T
        The segment of each row.
    encoder : str
        Fingerprint of the encoder.
    columns : tuple of str, length D, or None
        Names of the columns, if they are interpretable.
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

    @property
    def row_s(self) -> float:
        """Mean time from one row to the next, in seconds."""
        return (self.segments[-1].end_s - self.segments[0].start_s) / len(self.segments)

    def column(self, name: str) -> FloatArray:
        """Return a column by name, shape (T,), or raise `InputError` with the existing names."""
        if self.columns is None or name not in self.columns:
            known = "none" if self.columns is None else ", ".join(self.columns)
            raise InputError(f"no feature column {name!r}; this encoder's columns: {known}")
        column: FloatArray = self.values[:, self.columns.index(name)]
        return column


class TextEncoder(Protocol):
    """Encoder of texts, such as `PackTextEncoder`.

    Attributes
    ----------
    dim : int
        D, the number of columns.
    fingerprint : str
        Identity of the feature space: rows with equal fingerprints are comparable.
    recipe : str
        Identity of the numbers, for the cache.
    """

    dim: int
    fingerprint: str
    recipe: str

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return one embedding for each text, shape (N, D), norm 1."""
        ...


@dataclass(frozen=True, slots=True)
class Track:
    """One piece of music in a library; `key` is the content hash, so it does not change when the file moves."""

    key: str
    path: str
    title: str
    artist: str
    duration_s: float
