"""Embed music files in worker processes."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from reelscore.encoders.cache import FeatureCache
from reelscore.errors import MediaError
from reelscore.files import content_hash
from reelscore.media.probe import probe
from reelscore.pipeline.pipeline import TrackEmbedding, open_pipeline
from reelscore.pipeline.spec import Pipeline
from reelscore.types import FloatArray, Track

from .storage.entry import TrackEntry


def prepare_track(pipeline: Pipeline, cache_folder: str) -> Callable[[str], TrackEntry]:
    """Open a pipeline in a worker and return its function from a music file to the file's entry."""
    opened = open_pipeline(pipeline, cache=FeatureCache(Path(cache_folder)))

    def embed(path: str) -> TrackEntry:
        try:
            stat = Path(path).stat()
            info = probe(path)
            key = content_hash(path)
            embedding = opened.track(path, content=key, duration_s=info.length_s("music"))
        except OSError as error:
            raise MediaError(f"cannot be read: {error.strerror or error}", path=path) from error

        def tag(*names: str) -> str:
            return next((text for name in names if (text := _composed(info.tags.get(name, "")))), "")

        return TrackEntry(
            track=Track(
                key=key,
                path=path,
                title=tag("title") or _composed(Path(path).stem),
                artist=tag("artist", "album_artist"),
                duration_s=info.length_s("music"),
            ),
            album=tag("album"),
            size_bytes=stat.st_size,
            mtime_ns=stat.st_mtime_ns,
            repairs=info.repairs,
            **_vectors(embedding),
        )

    return embed


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


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
