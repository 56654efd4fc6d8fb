"""Analysis of a video: what matching needs of it, computed once in a confined worker."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reelscore.encoders.cache import FeatureCache
from reelscore.encoders.pack.session import onnx_runtime
from reelscore.errors import MediaError
from reelscore.files import read_arrays, write_bytes
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
    if pipeline.encoder.folder is not None:
        onnx_runtime()

    def analyse(item: AnalysisItem) -> dict[str, Any]:
        path, folder = item
        info = probe(path)
        if info.video is None:
            raise MediaError("has audio but no video stream; give a video file", path=path, stream="video")
        # Features of an upload are deleted with it, so they are not kept in the user's cache.
        opened.cache = FeatureCache(Path(folder) / "features")
        embedding, _ = opened.video(path, info=info)
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, embedding=embedding, cuts_s=np.array(opened.cuts(path).cuts_s))
        write_bytes(analysis_file(folder, fingerprint), content.getvalue())
        return media_json(info)

    return analyse


def analysis_file(folder: Path | str, fingerprint: str) -> Path:
    """Return the file of a video's embedding by one model."""
    return Path(folder) / f"embedding-{fingerprint}.npz"


@dataclass(frozen=True, slots=True)
class Analysed:
    """What matching needs of a video: its embedding (D,), and its cuts in seconds."""

    embedding: FloatArray
    cuts_s: tuple[float, ...]


def read_analysis(file: Path) -> Analysed | None:
    """Return a video's analysis, or None where this model has not seen it."""
    try:
        stored = read_arrays(file.read_bytes())
        return Analysed(stored["embedding"], tuple(stored["cuts_s"].tolist()))
    except (OSError, ValueError, KeyError):
        return None


class AnalysedPipeline(OpenPipeline):
    """A pipeline that opens no video, since the server opens no media: it returns what `use` was given.

    Parameters
    ----------
    opened : OpenPipeline
    """

    def __init__(self, opened: OpenPipeline) -> None:
        _ = opened.embedder  # loaded before the copy, so that both share it
        self.__dict__.update(opened.__dict__)
        self._local = threading.local()

    def use(self, analysed: Analysed | None) -> None:
        """Set the analysis of the video that this thread matches."""
        self._local.analysed = analysed

    def video(
        self,
        path: Path | str,  # noqa: ARG002
        *,
        info: MediaInfo | None = None,  # noqa: ARG002
    ) -> tuple[FloatArray, FeatureSequence]:
        """Return the embedding of the video, shape (D,), and a sequence without its features."""
        embedding: FloatArray = self._local.analysed.embedding
        return embedding, FeatureSequence(embedding[None], (Segment(0.0, 0.0, 0.0),), "none")

    def cuts(self, path: Path | str) -> VideoCuts:  # noqa: ARG002
        """Return the cuts of the video."""
        return VideoCuts(self._local.analysed.cuts_s, (), ())
