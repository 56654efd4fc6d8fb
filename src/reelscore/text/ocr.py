"""A video enters, the text that is to be read in its pictures leaves as timed lines.

The pictures of Global Sparse sampling are read by the PP-OCR models of rapidocr, which lie in its wheel: nothing is
ever fetched. Text is sought in a picture of `DETECTION_PX` and read in one of `READING_PX`, so that small letters of a
large picture are kept and a large picture costs little more than a small one.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reelscore.encoders.base import fingerprint
from reelscore.errors import MediaError, NotFoundError
from reelscore.features.sampling import global_sparse
from reelscore.media.frames import frames_at
from reelscore.media.pixels import Pixels
from reelscore.media.probe import probe
from reelscore.types import Segment

from .ocr_tracking import Reading, lasting
from .timed_lines import Line
from .video_text import clean

VERSION = "1"
"""Changes whenever the same video gives other lines."""

MAX_FRAMES = 32
EVERY_S = 1.0
"""One picture a second, and no more than `MAX_FRAMES` of a video: of a lyric video of 45 s, 32 gave 43 words where 16
gave 24 and 8 gave 18, at 0.05 s (270 lines) to 0.2 s (720 lines) of a processor each, decoding and all."""

FLOOR = 0.8
"""Readings that are less sure are left out; in pictures without text they lie below."""

DETECTION_PX = 960
READING_PX = 1080

_LETTERS = 2  # a lone letter or digit is more often an edge than a word
_SMALLEST_PX = 32
_TOLERANCE_S = 0.5
_MODELS = ("PP-OCRv6_det_small.onnx", "PP-OCRv6_rec_small.onnx")


class OcrReader:
    """Reads the text in the pictures of videos.

    Attributes
    ----------
    recipe : str
        Identity of all that shapes the lines, for the cache.

    Raises
    ------
    NotFoundError
        When the extra ``ocr`` is not installed, or not whole.
    """

    def __init__(self) -> None:
        self._files = _model_files()
        told = [hashlib.sha256(file.read_bytes()).hexdigest() for file in self._files]
        settings = (MAX_FRAMES, EVERY_S, FLOOR, DETECTION_PX, READING_PX)
        self.recipe = fingerprint(
            "on-screen", VERSION, importlib.metadata.version("rapidocr"), *told, repr(settings)
        )
        self._engine: Any = None

    def read(self, video: Path | str) -> tuple[Line, ...]:
        """Return the lines, in the order in which they appear; a caption over several pictures is one.

        Raises
        ------
        NotFoundError
            When the video is absent.
        MediaError
            When it has no pictures that can be decoded.
        """
        duration_s = probe(video).duration_s
        segments = global_sparse(duration_s, num_segments=num_frames(duration_s))
        return lasting([(s, self._readings(video, s, p)) for s, p in _pictures(video, segments)])

    def _readings(self, video: Path | str, segment: Segment, pixels: Pixels) -> list[Reading]:
        if min(pixels.shape[:2]) < _SMALLEST_PX:
            return []
        if self._engine is None:
            self._engine = _engine(self._files)
        try:
            found = self._engine(np.ascontiguousarray(pixels[..., ::-1]))  # OpenCV's order: blue first
        except Exception as error:  # rapidocr, OpenCV and ONNX Runtime share no base class
            raise MediaError(
                f"rapidocr cannot read the picture ({type(error).__name__}: {error}); leave the on-screen text out",
                path=video,
                stream="video",
                time_s=segment.instant_s,
            ) from error
        readings = []
        for text, score, box in zip(found.txts or (), found.scores or (), _boxes(found.boxes), strict=True):
            said = clean(text)
            if score >= FLOOR and sum(c.isalnum() for c in said) >= _LETTERS:
                (left, top), (right, bottom) = box.min(axis=0).tolist(), box.max(axis=0).tolist()
                readings.append(Reading(said, round(min(1.0, float(score)), 4), left, top, right, bottom))
        return readings


def num_frames(duration_s: float) -> int:
    """Return how many pictures of a video are read.

    Examples
    --------
    >>> num_frames(0.4), num_frames(7.2), num_frames(600)
    (1, 8, 32)
    """
    return min(MAX_FRAMES, math.ceil(duration_s / EVERY_S))


def _pictures(video: Path | str, segments: Sequence[Segment]) -> Iterator[tuple[Segment, Pixels]]:
    instants = [segment.instant_s for segment in segments]
    frames = frames_at(video, instants, tolerance_s=_TOLERANCE_S, short_side_px=READING_PX)
    return ((segment, frame.pixels) for segment, frame in zip(segments, frames, strict=True))


def _boxes(boxes: Any) -> Any:
    return () if boxes is None else np.asarray(boxes, np.float64)


def _model_files() -> tuple[Path, ...]:
    # Looked for without an import, which takes longer than to read what the cache holds.
    found = importlib.util.find_spec("rapidocr")
    if found is None or found.origin is None:
        raise NotFoundError(
            "reading on-screen text needs the library rapidocr, which is not installed; install it: "
            "python -m pip install 'reelscore[ocr]'"
        )
    files = tuple(Path(found.origin).parent / "models" / name for name in _MODELS)
    absent = next((file for file in files if not file.is_file()), None)
    if absent is not None:
        raise NotFoundError(
            f"rapidocr {importlib.metadata.version('rapidocr')} lacks its model {absent.name}; install a "
            "version that has it: python -m pip install --force-reinstall 'reelscore[ocr]'"
        )
    return files


def _engine(files: Sequence[Path]) -> Any:
    from rapidocr import RapidOCR

    detection, recognition = map(str, files)
    return RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.use_cls": False,
            "Global.text_score": 0.0,
            "Global.max_side_len": 1_000_000,  # pictures come in the size that they are read in
            "Det.model_path": detection,  # a path that is given is never fetched
            "Det.limit_type": "max",
            "Det.limit_side_len": DETECTION_PX,
            "Rec.model_path": recognition,
            "Rec.rec_batch_num": 1,  # a line's bytes must not depend on its neighbours
            # The number of threads can move the last bit, and with it a reading.
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )
