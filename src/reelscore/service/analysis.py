"""Analysis of a video: what matching needs of it, computed once in a confined worker."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reelscore.encoders.cache import FeatureCache
from reelscore.errors import MediaError
from reelscore.files import write_bytes
from reelscore.media.cuts import VideoCuts
from reelscore.media.probe import probe
from reelscore.pipeline.pipeline import OpenPipeline, open_pipeline
from reelscore.pipeline.spec import Pipeline
from reelscore.types import FeatureSequence, FloatArray, MediaInfo, Segment

from .media_work import media_json

AnalysisItem = tuple[str, str]
"""Path of a video, and the folder for its features."""


def prepare_analysis(pipeline: Pipeline, cache_folder: str) -> Callable[[AnalysisItem], dict[str, Any]]:
    """Load a pipeline, and return the function that analyses a video and returns its fields of ``probe --json``."""
    opened = open_pipeline(pipeline, cache=FeatureCache(Path(cache_folder)))
    fingerprint = opened.embedder.fingerprint
    _ = opened.text_reader

    def analyse(item: AnalysisItem) -> dict[str, Any]:
        path, folder = item
        info = probe(path)
        if info.video is None:
            raise MediaError("has audio but no video stream; give a video file", path=path, stream="video")
        # Features of an upload are deleted with it, so they are not kept in the user's cache.
        opened.cache = FeatureCache(Path(folder) / "features")
        embedding, sequence = opened.video(path, info=info)
        cuts_s = opened.cuts(path).cuts_s
        write_bytes(analysis_file(folder, fingerprint), _pack(Analysed(embedding, sequence, cuts_s)))
        return media_json(info)

    return analyse


def analysis_file(folder: Path | str, fingerprint: str) -> Path:
    """Return the file of a video's embedding by one model."""
    return Path(folder) / f"embedding-{fingerprint}.npz"


@dataclass(frozen=True, slots=True)
class Analysed:
    """A video as a model sees it."""

    embedding: FloatArray
    sequence: FeatureSequence
    cuts_s: tuple[float, ...]


def read_analysis(file: Path) -> Analysed | None:
    """Return a video's analysis, or None where this model has not seen it."""
    try:
        with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError):
        return None
    segments = tuple(Segment(*map(float, row)) for row in arrays["segments"])
    columns = tuple(arrays["columns"].tolist()) or None
    sequence = FeatureSequence(arrays["values"], segments, str(arrays["encoder"]), columns)
    return Analysed(arrays["embedding"], sequence, tuple(arrays["cuts_s"].tolist()))


class AnalysedPipeline(OpenPipeline):
    """A pipeline that opens no video: it returns what the analysis has stored.

    Parameters
    ----------
    opened : OpenPipeline
    """

    def __init__(self, opened: OpenPipeline) -> None:
        _ = opened.embedder  # loaded before the copy, so that both share it
        self.__dict__.update(opened.__dict__)
        self._analyses: dict[str, Analysed] = {}

    def put(self, path: str, analysed: Analysed) -> None:
        """Make a video known."""
        self._analyses[path] = analysed

    def knows(self, path: str) -> bool:
        """Return whether a video is known."""
        return path in self._analyses

    def forget(self, path: str) -> None:
        """Drop a video."""
        self._analyses.pop(path, None)

    def video(
        self,
        path: Path | str,
        *,
        info: MediaInfo | None = None,  # noqa: ARG002  (the analysis has used it)
    ) -> tuple[FloatArray, FeatureSequence]:
        """Return the embedding of a video, shape (D,), and its features."""
        analysed = self._analyses[str(path)]
        return analysed.embedding, analysed.sequence

    def cuts(self, path: Path | str) -> VideoCuts:
        """Return the cuts of a video."""
        return VideoCuts(self._analyses[str(path)].cuts_s, (), ())


def _pack(analysed: Analysed) -> bytes:
    sequence = analysed.sequence
    buffer = io.BytesIO()
    np.savez(
        buffer,
        allow_pickle=False,
        embedding=analysed.embedding,
        values=sequence.values,
        segments=np.array([(s.start_s, s.end_s, s.instant_s) for s in sequence.segments], np.float64),
        encoder=np.array(sequence.encoder),
        columns=np.array(sequence.columns or (), dtype=np.str_),
        cuts_s=np.array(analysed.cuts_s, np.float64),
    )
    return buffer.getvalue()
