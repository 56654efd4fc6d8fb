"""Write mp4 and wav files."""

from __future__ import annotations

import wave
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import av
import numpy as np
import numpy.typing as npt

from reelscore.errors import InputError, MediaError
from reelscore.files import replace_file

from .container import libav_url
from .pixels import Pixels

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

DEFAULT_CRF = 23


def write_video(
    path: Path | str,
    frames: Iterable[Pixels],
    *,
    frame_rate_hz: float,
    gop_s: float | None = None,
    crf: int = DEFAULT_CRF,
    max_bit_rate: int | None = None,
) -> None:
    """Write frames as H.264 in mp4.

    Parameters
    ----------
    path : Path or str
        An existing file is replaced.
    frames : iterable of ndarray of uint8, shape (H, W, 3)
        RGB, all of one size. An odd side is padded by repeating its last line: players need even sides.
    frame_rate_hz : float
    gop_s : float, optional
        Largest distance between key frames. None keeps the encoder's default.
    crf : int
        Quality from 0 (lossless) to 51 (worst).
    max_bit_rate : int, optional
        Bits per second over any two seconds; the quality is lowered where it needs more.

    Raises
    ------
    InputError
        If there are no frames, or they differ in size or are not 8-bit RGB.
    MediaError
        If the file cannot be written.
    """
    if frame_rate_hz <= 0:
        raise InputError(f"frame_rate_hz must be positive, got {frame_rate_hz!r}")
    rate = Fraction(frame_rate_hz).limit_denominator(60_000)
    encoder: VideoStream | None = None
    with output_file(path) as file, av.open(libav_url(file.name), mode="w", format="mp4") as container:
        for number, pixels in enumerate(frames):
            if encoder is None:
                encoder = _encoder(container, pixels, rate, crf)
                if gop_s is not None:
                    encoder.gop_size = max(1, round(gop_s * frame_rate_hz))
                if max_bit_rate is not None:
                    limits = {"maxrate": str(max_bit_rate), "bufsize": str(2 * max_bit_rate)}
                    encoder.options = {**encoder.options, **limits}
            frame = _frame(pixels, encoder)
            frame.pts, frame.time_base = number, 1 / rate
            container.mux(encoder.encode(frame))
        if encoder is None:
            raise InputError("a video needs at least one frame, got none")
        container.mux(encoder.encode(None))


def write_audio(path: Path | str, samples: npt.NDArray[np.floating[Any]], *, rate_hz: int) -> None:
    """Write samples as 16-bit wav, clipped to -1 to 1.

    Parameters
    ----------
    path : Path or str
        An existing file is replaced.
    samples : ndarray of float, shape (n,) or (n, channels)
    rate_hz : int

    Raises
    ------
    InputError
        If the samples have another shape or are not finite.
    MediaError
        If the file cannot be written.
    """
    values = np.asarray(samples, dtype=np.float64)
    if values.ndim not in (1, 2) or 0 in values.shape[1:] or not np.isfinite(values).all():
        raise InputError(f"samples must be finite, shape (n,) or (n, channels), got shape {values.shape}")
    pcm = np.round(np.clip(values, -1.0, 1.0) * 32767.0).astype("<i2")
    with output_file(path) as file, wave.open(file, "wb") as out:
        out.setnchannels(1 if pcm.ndim == 1 else pcm.shape[1])
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes(pcm.tobytes())


@contextmanager
def output_file(path: Path | str) -> Iterator[IO[bytes]]:
    """Open a file that replaces `path` when it is complete; raise `MediaError` if it cannot be written.

    Give its name to libav: an interruption with Ctrl-C inside libav's call of a Python file's `write` would be lost.
    """
    try:
        with replace_file(path) as file:
            yield file
    except OSError as error:
        reason = error.strerror or str(error)
        raise MediaError(
            f"cannot be written ({reason}). Free disk space or choose another folder.", path=path
        ) from error


def _encoder(container: OutputContainer, pixels: Pixels, rate: Fraction, crf: int) -> VideoStream:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise InputError(f"a frame must be uint8, shape (H, W, 3), got {pixels.dtype} {pixels.shape}")
    # With AVX-512 x264's macroblock tree reads uninitialised memory, so its output would differ between runs.
    options = {"crf": str(crf), "preset": "veryfast", "x264-params": "mbtree=0"}
    encoder = container.add_stream("libx264", rate=rate, options=options)
    height, width = pixels.shape[:2]
    encoder.width, encoder.height = width + width % 2, height + height % 2
    encoder.pix_fmt = "yuv420p"
    return encoder


def _frame(pixels: Pixels, encoder: VideoStream) -> av.VideoFrame:
    height, width = pixels.shape[:2]
    even = pixels
    if height % 2 or width % 2:
        even = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    if even.shape != (encoder.height, encoder.width, 3):
        raise InputError(
            f"all frames must have one size, {encoder.width}x{encoder.height}, got {width}x{height}"
        )
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
