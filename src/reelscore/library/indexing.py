"""Find music files and embed them in worker processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from reelscore.encoders.cache import FeatureCache
from reelscore.files import content_hash
from reelscore.media.probe import probe
from reelscore.pipeline.pipeline import TrackEmbedding, open_pipeline
from reelscore.pipeline.spec import Pipeline
from reelscore.types import FloatArray, Track

from .storage.entry import TrackEntry

MUSIC_SUFFIXES = frozenset(
    f".{ending}"
    for ending in (
        "aac", "ac3", "aif", "aiff", "alac", "ape", "flac", "m4a", "m4b", "mka", "mp2", "mp3",
        "mpc", "oga", "ogg", "opus", "tta", "wav", "weba", "wma", "wv",
    )
)  # fmt: skip
"""Suffixes of music files in a folder; a file given by name may have any suffix."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be added, and the reason."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class AddSummary:
    """Paths by outcome of `add` or `rebuild`, each tuple in order of path, and notes for the user."""

    added: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    duplicates: tuple[str, ...] = ()
    failed: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class AddCounts:
    """Paths by outcome, collected while an `add` runs."""

    added: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def place(self, entry: TrackEntry, *, by_key: dict[str, str], batch: list[TrackEntry]) -> None:
        """Classify an embedded file, and append it to `batch` unless it is a duplicate."""
        path, key = entry.track.path, entry.track.key
        elsewhere = by_key.get(key)
        if elsewhere is None:
            self.added.append(path)
        elif elsewhere == path:
            self.unchanged.append(path)
        elif Path(elsewhere).is_file() and content_hash(elsewhere) == key:
            self.duplicates.append(path)
            return
        else:
            self.moved.append(path)
        self.notes += [f"{path}: {message}" for message in entry.repairs]
        by_key[key] = path
        batch.append(entry)

    def summary(self) -> AddSummary:
        """Return the summary."""
        return AddSummary(
            tuple(sorted(self.added)),
            tuple(sorted(self.unchanged)),
            tuple(sorted(self.moved)),
            tuple(sorted(self.duplicates)),
            tuple(sorted(self.failed, key=lambda f: f.path)),
            tuple(sorted(self.notes)),
        )


def music_files(paths: Iterable[Path | str]) -> tuple[list[str], list[Failure]]:
    """Return the sorted absolute paths of music files at and below `paths`, and the paths that cannot be listed."""
    found: set[str] = set()
    problems: list[Failure] = []
    for given in paths:
        path = Path(given).expanduser().absolute()
        if not path.exists():
            problems.append(Failure(str(given), "it does not exist. Check the spelling"))
        elif path.is_dir():
            for folder, folders, names in os.walk(
                path, onerror=lambda e: problems.append(Failure(str(e.filename), f"{e.strerror}"))
            ):
                folders[:] = sorted(f for f in folders if not f.startswith("."))
                found.update(
                    str(Path(folder, n))
                    for n in names
                    if Path(n).suffix.lower() in MUSIC_SUFFIXES and not n.startswith(".")
                )
        else:
            found.add(str(path))
    present = sorted(f for f in found if Path(f).exists())
    problems += [Failure(f, "it is a broken link") for f in sorted(found.difference(present))]
    return present, problems


def prepare_track(pipeline: Pipeline, cache_folder: str) -> Callable[[str], TrackEntry]:
    """Open a pipeline in a worker and return its function from a music file to the file's entry."""
    opened = open_pipeline(pipeline, cache=FeatureCache(Path(cache_folder)))

    def embed(path: str) -> TrackEntry:
        stat = Path(path).stat()
        info = probe(path)
        key = content_hash(path)
        duration_s = info.length_s("music")
        embedding = opened.track(path, content=key, duration_s=duration_s)
        tags = info.tags
        return TrackEntry(
            track=Track(
                key=key,
                path=path,
                title=tags.get("title", "").strip() or Path(path).stem,
                artist=tags.get("artist", "").strip() or tags.get("album_artist", "").strip(),
                duration_s=duration_s,
            ),
            album=tags.get("album", "").strip(),
            size_bytes=stat.st_size,
            mtime_ns=stat.st_mtime_ns,
            repairs=info.repairs,
            **_vectors(embedding),
        )

    return embed


class Vectors(TypedDict):
    """Fields of a `TrackEntry` that depend on the model."""

    embedding: FloatArray
    moments: FloatArray
    moment_starts_s: npt.NDArray[np.float64]
    moment_ends_s: npt.NDArray[np.float64]
    tag_scores: FloatArray | None


def prepare_rebuild(pipeline: Pipeline, cache_folder: str) -> Callable[[tuple[str, str, float]], Vectors]:
    """Open a pipeline in a worker and return its function from a track (path, key, duration_s) to its vectors."""
    opened = open_pipeline(pipeline, cache=FeatureCache(Path(cache_folder)))

    def embed(item: tuple[str, str, float]) -> Vectors:
        path, key, duration_s = item
        return _vectors(opened.track(path, content=key, duration_s=duration_s))

    return embed


def _vectors(track: TrackEmbedding) -> Vectors:
    segments = track.sequence.segments
    return {
        "embedding": track.embedding,
        "moments": track.moments,
        "moment_starts_s": np.array([s.start_s for s in segments]),
        "moment_ends_s": np.array([s.end_s for s in segments]),
        "tag_scores": track.tag_scores,
    }
