"""Small previews of videos and sounds for a web page, as the bytes of files."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from reelscore.types import FloatArray

from .frames import frames_at
from .levels import limit_peaks, loudness_of
from .loudness import SILENT_LUFS
from .remux import encode_aac, read_pictures, write_sound
from .writer import write_video

SHORT_SIDE_PX = 270
_VIDEO_BIT_RATE = 500_000
_VIDEO_CRF = 28
_MAX_RATE_HZ = 30
_SOUND_BIT_RATE = 96_000
_LUFS, _CEILING_DB = -16.0, -1.5
_MAX_GAIN_DB = 20.0  # a preview may be limited more than a render
_JPEG_QUALITY = 72


def video_preview(path: Path | str, *, length_s: float) -> bytes:
    """Return the first `length_s` seconds of a video as a silent mp4, at most 270 pixels on the shorter side.

    Raises
    ------
    NotFoundError, MediaError
        If the video cannot be read, or the temporary folder is full.
    """
    pictures = read_pictures(path)
    rate_hz = float(pictures.frame_rate_hz)
    rate_hz /= max(1, -(-rate_hz // _MAX_RATE_HZ))  # every frame, or every second one: others would jerk
    count = max(1, int(min(length_s, float(pictures.length_s)) * rate_hz))
    # The middle of each step: an instant between two frames would round to either.
    instants = ((np.arange(count) + 0.5) / rate_hz).tolist()
    frames = frames_at(path, instants, mode="exact", short_side_px=SHORT_SIDE_PX)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "preview.mp4"
        write_video(
            file,
            (frame.pixels for frame in frames),
            frame_rate_hz=rate_hz,
            gop_s=1,
            crf=_VIDEO_CRF,
            max_bit_rate=_VIDEO_BIT_RATE,
        )
        return file.read_bytes()


def sound_preview(samples: FloatArray, rate_hz: int) -> bytes:
    """Return a sound, shape (2, n), as an .m4a at -16 LUFS and at most -1.5 dBTP before encoding.

    Raises
    ------
    MediaError
        If the temporary folder is full.
    """
    lufs = loudness_of(samples, rate_hz, peak=False).integrated_lufs
    gain_db = min(_LUFS - lufs, _MAX_GAIN_DB) if lufs > SILENT_LUFS else 0.0
    levelled = limit_peaks(samples * np.float32(10 ** (gain_db / 20)), rate_hz, ceiling_db=_CEILING_DB)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "excerpt.m4a"
        write_sound(encode_aac(levelled, rate_hz, bit_rate=_SOUND_BIT_RATE, fast=True), file)
        return file.read_bytes()


def thumbnails(path: Path | str, instants_s: Sequence[float], *, short_side_px: int) -> list[bytes]:
    """Return the frames nearest to ascending instants as JPEG files."""
    found = []
    for frame in frames_at(path, instants_s, short_side_px=short_side_px):
        out = io.BytesIO()
        Image.fromarray(frame.pixels).save(out, "JPEG", quality=_JPEG_QUALITY, optimize=True)
        found.append(out.getvalue())
    return found
