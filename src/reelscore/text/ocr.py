"""Read the on-screen text of a video with the PP-OCR models of rapidocr."""

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

from .ocr_tracking import Reading, track_lines
from .timed_lines import Line
from .video_text import clean

VERSION = "1"
"""Increased whenever the same video gives other lines."""

MAX_FRAMES = 32
FRAME_INTERVAL_S = 1.0
"""One frame per second, at most `MAX_FRAMES`: a 45 s lyric video needs that many, and a frame costs up to 0.2 s."""

MIN_CONFIDENCE = 0.8
"""Readings in frames without text lie below."""

# Text is detected in a small frame and recognised in a larger one: small letters stay legible at little extra cost.
DETECTION_PX = 960
RECOGNITION_PX = 1080

_MIN_LETTERS = 2  # a single letter or digit is more often an edge than text
_MIN_FRAME_PX = 32
_TOLERANCE_S = 0.5
_MODELS = ("PP-OCRv6_det_small.onnx", "PP-OCRv6_rec_small.onnx")


class OcrReader:
    """`LineReader` for on-screen text. The models are part of the rapidocr wheel, so nothing is downloaded.

    Attributes
    ----------
    recipe : str
        Identity of everything that shapes the lines, for the cache.

    Raises
    ------
    NotFoundError
        If the extra ``ocr`` or one of its models is missing.
    """

    def __init__(self) -> None:
        self._files = _model_files()
        hashes = [hashlib.sha256(file.read_bytes()).hexdigest() for file in self._files]
        settings = (MAX_FRAMES, FRAME_INTERVAL_S, MIN_CONFIDENCE, DETECTION_PX, RECOGNITION_PX)
        self.recipe = fingerprint(
            "on-screen", VERSION, importlib.metadata.version("rapidocr"), *hashes, repr(settings)
        )
        self._engine: Any = None

    def read(self, video: Path | str) -> tuple[Line, ...]:
        """Return the lines in the order in which they appear; text that stays over several frames is one line.

        Raises
        ------
        NotFoundError
            If the video does not exist.
        MediaError
            If no frame can be decoded.
        """
        duration_s = probe(video).length_s("video")
        segments = global_sparse(duration_s, num_segments=num_frames(duration_s))
        return track_lines([(s, self._read_frame(video, s, p)) for s, p in _frames(video, segments)])

    def _read_frame(self, video: Path | str, segment: Segment, pixels: Pixels) -> list[Reading]:
        if min(pixels.shape[:2]) < _MIN_FRAME_PX:
            return []
        if self._engine is None:
            self._engine = _load_engine(self._files)
        try:
            result = self._engine(np.ascontiguousarray(pixels[..., ::-1]))  # OpenCV's channel order is BGR
        except Exception as error:  # rapidocr, OpenCV and ONNX Runtime share no base class
            raise MediaError(
                f"rapidocr cannot read the frame ({type(error).__name__}: {error}). Disable on-screen text.",
                path=video,
                stream="video",
                time_s=segment.instant_s,
            ) from error
        readings = []
        boxes = () if result.boxes is None else np.asarray(result.boxes, np.float64)
        for raw, score, box in zip(result.txts or (), result.scores or (), boxes, strict=True):
            text = clean(raw)
            if score >= MIN_CONFIDENCE and sum(c.isalnum() for c in text) >= _MIN_LETTERS:
                (left, top), (right, bottom) = box.min(axis=0).tolist(), box.max(axis=0).tolist()
                readings.append(Reading(text, round(min(1.0, float(score)), 4), left, top, right, bottom))
        return readings


def num_frames(duration_s: float) -> int:
    """Return how many frames of a video are read.

    Examples
    --------
    >>> num_frames(0.4), num_frames(7.2), num_frames(600)
    (1, 8, 32)
    """
    return min(MAX_FRAMES, math.ceil(duration_s / FRAME_INTERVAL_S))


def _frames(video: Path | str, segments: Sequence[Segment]) -> Iterator[tuple[Segment, Pixels]]:
    instants = [segment.instant_s for segment in segments]
    frames = frames_at(video, instants, tolerance_s=_TOLERANCE_S, short_side_px=RECOGNITION_PX)
    return ((segment, frame.pixels) for segment, frame in zip(segments, frames, strict=True))


def _model_files() -> tuple[Path, ...]:
    # Importing rapidocr takes longer than reading cached lines.
    spec = importlib.util.find_spec("rapidocr")
    if spec is None or spec.origin is None:
        raise NotFoundError(
            "reading on-screen text needs the library rapidocr, which is not installed; install it: "
            "python -m pip install 'reelscore[ocr]'"
        )
    files = tuple(Path(spec.origin).parent / "models" / name for name in _MODELS)
    missing = next((file for file in files if not file.is_file()), None)
    if missing is not None:
        raise NotFoundError(
            f"rapidocr {importlib.metadata.version('rapidocr')} lacks its model {missing.name}; install a "
            "version that has it: python -m pip install --force-reinstall 'reelscore[ocr]'"
        )
    return files


def _load_engine(files: Sequence[Path]) -> Any:
    from rapidocr import RapidOCR

    detection, recognition = map(str, files)
    return RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.use_cls": False,
            "Global.text_score": 0.0,
            "Global.max_side_len": 1_000_000,  # frames come in the recognition size
            "Det.model_path": detection,  # a given path is never downloaded
            "Det.limit_type": "max",
            "Det.limit_side_len": DETECTION_PX,
            "Rec.model_path": recognition,
            "Rec.rec_batch_num": 1,  # a line's result must not depend on its neighbours
            # The number of threads can change the last bit, and with it a reading.
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )
