"""Parts of a snapshot: files with the moments and facts of the tracks that one write added."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from .entry import Moments
from .facts import TrackFacts

PLACE = np.dtype(
    [
        ("part", "<i8"),
        ("first_moment", "<i8"),
        ("num_moments", "<i8"),
        ("moments_crc", "<i8"),
        ("first_byte", "<i8"),
        ("json_size", "<i8"),
        ("rhythm_size", "<i8"),
        ("facts_crc", "<i8"),
        ("vector", "<i8"),
    ]
)
"""Where moments, facts and vectors of one track are; the checksums are CRC-32."""

MOMENTS_PLACE = ("first_moment", "num_moments", "moments_crc")
FACTS_PLACE = ("first_byte", "json_size", "rhythm_size", "facts_crc")
"""Fields of a place that `Part.moments_at` and `Part.facts_at` take."""

SUFFIXES = (".f16", ".f64", ".facts")

ReadContents = Callable[[Sequence[str]], Iterable[tuple[Mapping[str, Moments], Mapping[str, TrackFacts]]]]
"""Yields the moments and facts of tracks, in parts and any order."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Memory-mapped files of one part.

    Attributes
    ----------
    moments : ndarray of float16, shape (R, D)
    spans_s : ndarray of float64, shape (R, 2)
        Starts and ends of the moments.
    facts : ndarray of uint8
        JSON and rhythm of each track.
    """

    moments: npt.NDArray[np.float16]
    spans_s: npt.NDArray[np.float64]
    facts: npt.NDArray[np.uint8]

    @classmethod
    def map(cls, folder: Path, entry: dict[str, Any], *, dim: int) -> Part:
        """Map the files of a part, given its entry in the list of parts; raise ValueError for a wrong size."""
        name, num = entry["name"], entry["num_moments"]
        return cls(
            _mapped(folder / f"{name}.f16", np.dtype(np.float16), (num, dim)),
            _mapped(folder / f"{name}.f64", np.dtype(np.float64), (num, 2)),
            _mapped(folder / f"{name}.facts", np.dtype(np.uint8), (entry["num_bytes"],)),
        )

    def moments_at(self, first: int, num: int, crc: int | None) -> Moments:
        """Return the moments at a place; raise ValueError if they differ from what was written, by their checksum."""
        values, spans = self.moments[first : first + num], self.spans_s[first : first + num]
        if crc is not None and _moments_crc(values, spans) != crc:
            raise ValueError("the moments")
        return values, spans[:, 0], spans[:, 1]

    def facts_at(self, first: int, json_size: int, rhythm_size: int, crc: int) -> TrackFacts:
        """Return the facts at a place; raise ValueError if they differ from what was written."""
        content = self.facts[first : first + json_size + rhythm_size].tobytes()
        if zlib.crc32(content) != crc:
            raise ValueError("the facts")
        return TrackFacts.from_json(content[:json_size], rhythm=content[json_size:])


def write_part(
    folder: Path, name: str, keys: Sequence[str], read: ReadContents
) -> tuple[dict[str, Any], npt.NDArray[Any]]:
    """Write moments and facts of tracks, and return the entry in the list of parts and the place of each track.

    The fields ``part`` and ``vector`` of the places are 0.
    """
    places = np.zeros(len(keys), PLACE)
    row_of = {key: row for row, key in enumerate(keys)}
    num_moments = num_bytes = 0
    with (
        (folder / f"{name}.f16").open("wb") as values_file,
        (folder / f"{name}.f64").open("wb") as spans_file,
        (folder / f"{name}.facts").open("wb") as facts_file,
    ):
        for moments, facts in read(keys):
            for key, (values, starts_s, ends_s) in moments.items():
                halves, spans = values.astype(np.float16), np.stack([starts_s, ends_s], axis=1)
                text, rhythm = facts[key].to_json().encode(), facts[key].rhythm
                places[row_of.pop(key)] = (
                    *(0, num_moments, len(halves), _moments_crc(halves, spans)),
                    *(num_bytes, len(text), len(rhythm), zlib.crc32(text + rhythm), 0),
                )
                num_moments += len(halves)
                num_bytes += len(text) + len(rhythm)
                values_file.write(halves.tobytes())
                spans_file.write(spans.tobytes())
                facts_file.write(text + rhythm)
        for file in (values_file, spans_file, facts_file):
            sync(file)
    assert not row_of
    return {"name": name, "num_moments": num_moments, "num_bytes": num_bytes}, places


def sync(file: IO[bytes]) -> None:
    """Write what the system has buffered to the disk."""
    file.flush()
    os.fsync(file.fileno())


def _moments_crc(values: npt.NDArray[np.float16], spans_s: npt.NDArray[np.float64]) -> int:
    return zlib.crc32(np.ascontiguousarray(spans_s).data, zlib.crc32(np.ascontiguousarray(values).data))


def _mapped(file: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Map a file without a header; raise ValueError unless its size is that of the shape."""
    size = dtype.itemsize * int(np.prod(shape))
    if file.stat().st_size != size:
        raise ValueError(f"{file.name} has {file.stat().st_size} bytes")
    return np.asarray(np.memmap(file, dtype=dtype, mode="r", shape=shape)) if size else np.empty(shape, dtype)
