"""A music file enters, what the library keeps about it leaves: the work of one worker, and finding the files.

A worker opens its pipeline once and then embeds one track after another; `reelscore.library.library` hands out
the files and stores what comes back.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from reelscore.encoders.cache import FeatureCache
from reelscore.encoders.factory import load_encoders
from reelscore.files import content_hash
from reelscore.library.storage.entry import TrackEntry
from reelscore.library.storage.meta import LibraryMeta
from reelscore.media.probe import probe
from reelscore.models.base import Embedder
from reelscore.pipeline.pipeline import Pipeline, TrackEmbedding, load_model
from reelscore.types import FloatArray, Track

MUSIC_SUFFIXES = frozenset(
    f".{ending}"
    for ending in (
        "aac", "ac3", "aif", "aiff", "alac", "ape", "flac", "m4a", "m4b", "mka", "mp2", "mp3",
        "mpc", "oga", "ogg", "opus", "tta", "wav", "weba", "wma", "wv",
    )
)  # fmt: skip
"""Endings that a folder is searched for; a file named outright is read whatever its ending."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that is not in the library, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class AddSummary:
    """What an `add` or `rebuild` did; each tuple holds paths in order, `failed` has the reason for each."""

    added: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    duplicates: tuple[str, ...] = ()
    failed: tuple[Failure, ...] = ()


@dataclass(slots=True)
class AddCounts:
    """The summary while it grows."""

    added: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)

    def place(self, entry: TrackEntry, *, by_key: dict[str, str], batch: list[TrackEntry]) -> None:
        """Decide what a freshly embedded file is: new or changed, touched, moved, or a second copy."""
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
        by_key[key] = path
        batch.append(entry)

    def summary(self) -> AddSummary:
        """Return the frozen summary, each part in order of path."""
        return AddSummary(
            tuple(sorted(self.added)),
            tuple(sorted(self.unchanged)),
            tuple(sorted(self.moved)),
            tuple(sorted(self.duplicates)),
            tuple(sorted(self.failed, key=lambda f: f.path)),
        )


def music_files(paths: Iterable[Path | str]) -> tuple[list[str], list[Failure]]:
    """Return absolute paths of the music files at and below `paths`, sorted, and what could not be listed."""
    found: set[str] = set()
    problems: list[Failure] = []
    for given in paths:
        path = Path(given).expanduser().absolute()
        if not path.exists():
            problems.append(Failure(str(given), "it does not exist; check the spelling"))
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
    problems += [Failure(f, "it is a link to nothing") for f in sorted(found.difference(present))]
    return present, problems


def prepare_track(pipeline: Pipeline, cache_folder: str) -> Callable[[str], TrackEntry]:
    """Return what a worker does with one music file: read its tags, embed it, make its entry."""
    opened = pipeline.open(cache=FeatureCache(Path(cache_folder)))

    def work(path: str) -> TrackEntry:
        stat = Path(path).stat()
        info = probe(path)
        key = content_hash(path)
        seen = opened.track(path, content=key, duration_s=info.duration_s)
        tags = info.tags
        return TrackEntry(
            track=Track(
                key=key,
                path=path,
                title=tags.get("title", "").strip() or Path(path).stem,
                artist=tags.get("artist", "").strip() or tags.get("album_artist", "").strip(),
                duration_s=info.duration_s,
            ),
            album=tags.get("album", "").strip(),
            size_bytes=stat.st_size,
            mtime_ns=stat.st_mtime_ns,
            **_vectors(seen),
        )

    return work


class Vectors(TypedDict):
    """What a model adds to a track's entry: see `TrackEntry`."""

    embedding: FloatArray
    moments: FloatArray
    moment_starts_s: npt.NDArray[np.float64]
    moment_ends_s: npt.NDArray[np.float64]


def prepare_rebuilt(pipeline: Pipeline, cache_folder: str) -> Callable[[tuple[str, str, float]], Vectors]:
    """Return what a worker does with one track (path, key, duration_s) of a library that is embedded again."""
    opened = pipeline.open(cache=FeatureCache(Path(cache_folder)))

    def work(item: tuple[str, str, float]) -> Vectors:
        path, key, duration_s = item
        return _vectors(opened.track(path, content=key, duration_s=duration_s))

    return work


def _vectors(seen: TrackEmbedding) -> Vectors:
    segments = seen.sequence.segments
    return {
        "embedding": seen.embedding,
        "moments": seen.moments,
        "moment_starts_s": np.array([s.start_s for s in segments]),
        "moment_ends_s": np.array([s.end_s for s in segments]),
    }


def library_meta(pipeline: Pipeline, cache_folder: Path) -> LibraryMeta:
    """Return what a new library says it was built with."""
    encoders = load_encoders(pipeline.encoder)
    embedder: Embedder = load_model(pipeline, encoders, cache=FeatureCache(cache_folder))
    return LibraryMeta(
        model=embedder.name,
        model_fingerprint=embedder.fingerprint,
        model_path=pipeline.model,
        encoder_kind=pipeline.encoder.name,
        encoder_folder=pipeline.encoder.folder,
        vocabulary=pipeline.vocabulary,
        video_licence=encoders.video_licence,
        music_licence=encoders.music_licence,
        video_encoder=encoders.video.fingerprint,
        music_encoder=encoders.music.fingerprint,
        dim=embedder.dim,
        num_segments=embedder.num_segments,
    )


def check_built(pipeline: Pipeline, built: LibraryMeta, library: Path, *, cache_folder: Path) -> None:
    """Raise `ArtifactError` with the mending command unless a library was built with what is in use.

    Parameters
    ----------
    pipeline : Pipeline
        In use.
    built : LibraryMeta
        What the library was built with.
    library : Path
    cache_folder : Path
        Keeps the bridge's words.
    """
    now = library_meta(pipeline, cache_folder)
    built.check(
        now.model_fingerprint,
        library,
        options=pipeline.options,
        video_encoder=now.video_encoder,
        music_encoder=now.music_encoder,
    )
