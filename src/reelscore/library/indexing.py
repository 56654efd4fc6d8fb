"""Embed music files and read the facts about them, in worker processes."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from reelscore.encoders.cache import FeatureCache
from reelscore.errors import MediaError
from reelscore.files import content_hash
from reelscore.media.audio import keep_audio
from reelscore.media.probe import probe
from reelscore.pipeline.pipeline import TrackEmbedding, open_pipeline
from reelscore.pipeline.spec import Pipeline
from reelscore.text.stage import use_stage
from reelscore.types import FloatArray, Track
from reelscore.workers.serving import may_ask_parent

from .reading import Reading, read_track, read_track_again
from .storage.entry import TrackEntry


def prepare_track(pipeline: Pipeline, cache_folder: str, with_facts: bool) -> Callable[[str], TrackEntry]:
    """Open a pipeline in a worker and return its function from a music file to the file's entry."""
    cache = FeatureCache(Path(cache_folder))
    opened = open_pipeline(pipeline, cache=cache)
    if may_ask_parent():  # else the tagger is not loaded before the first file needs it
        use_stage(opened.encoders.music, opened.tagger.encoders.music if opened.tagger else None)

    def embed(path: str) -> TrackEntry:
        try:
            stat = Path(path).stat()
            info = probe(path)
            key = content_hash(path)
            with keep_audio(path):
                # First, since it needs all channels; the features then need no decoding at the same rate.
                reading = (
                    read_track(path, content=key, libav_tags=info.tags, cache=cache) if with_facts else None
                )
                embedding = opened.track(path, content=key, duration_s=info.length_s("music"))
        except OSError as error:
            raise MediaError(f"cannot be read: {error.strerror or error}", path=path) from error

        def tag(*names: str) -> str:
            return next((text for name in names if (text := _composed(info.tags.get(name, "")))), "")

        entry = TrackEntry(
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
        if reading is None:  # a library of an older format
            return entry
        notes = (*entry.repairs, reading.note) if reading.note else entry.repairs
        return replace(reading.with_terms(embedding.terms).apply(entry), repairs=notes)

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


def prepare_rebuild(
    pipeline: Pipeline, cache_folder: str
) -> Callable[[tuple[str, str, float]], tuple[Vectors, Reading]]:
    """Open a pipeline in a worker and return its function from a track (path, key, duration_s) to what is new."""
    cache = FeatureCache(Path(cache_folder))
    opened = open_pipeline(pipeline, cache=cache)

    def embed(item: tuple[str, str, float]) -> tuple[Vectors, Reading]:
        path, key, duration_s = item
        with keep_audio(path):
            reading = read_track_again(path, content=key, cache=cache)
            embedding = opened.track(path, content=key, duration_s=duration_s)
        return _vectors(embedding), reading.with_terms(embedding.terms)

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
