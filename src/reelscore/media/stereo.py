"""Decode part of a file's sound as stereo at a fixed rate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np

from reelscore.errors import MediaError
from reelscore.types import FloatArray

from .audio import decode_audio
from .container import decodable_streams, open_media
from .levels import stereo_frame

if TYPE_CHECKING:
    from av.container import InputContainer

_GAP_S = 0.02
"""Smallest gap between timestamps that is filled with silence; rounding makes smaller ones."""


def read_stereo(
    path: Path | str,
    *,
    rate_hz: int,
    start_s: float = 0.0,
    length_s: float | None = None,
    synchronised: bool = False,
) -> FloatArray:
    """Decode part of a file's sound as stereo; more than two channels are mixed down.

    Parameters
    ----------
    path : Path or str
        A music file, or a video with sound.
    rate_hz : int
    start_s, length_s : float
        The part; None reads to the end.
    synchronised : bool
        Whether time 0 is the first picture, and gaps between timestamps are filled with silence. Otherwise time 0 is
        the first sample, and samples follow without gaps.

    Returns
    -------
    ndarray of float32, shape (2, n)
        Full scale 1. Shorter than asked where the sound ends.

    Raises
    ------
    NotFoundError, MediaError
        If the file does not exist, or no sound in it can be decoded.
    """
    first = round(start_s * rate_hz)
    end = None if length_s is None else first + round(length_s * rate_hz)
    parts: list[tuple[int, FloatArray]] = []
    position: int | None = None
    with open_media(path) as container:
        origin_s = _first_picture_s(container) if synchronised else None
        for at_s, samples in _stereo(decode_audio(container, path), rate_hz, timed=origin_s is not None):
            if at_s is not None and origin_s is not None:
                stamp = round((at_s - origin_s) * rate_hz)
                position = stamp if position is None else max(position, stamp)
            position = position or 0
            part = samples[:, max(first - position, 0) : None if end is None else max(end - position, 0)]
            if part.shape[1]:
                parts.append((max(position - first, 0), part))
            position += samples.shape[1]
            if end is not None and position >= end:
                break
    if position is None:
        raise MediaError(
            "expected sound, but no audio packet can be decoded. The file is damaged: copy or download it again.",
            path=path,
            stream="audio",
        )
    out = np.zeros((2, max((at + part.shape[1] for at, part in parts), default=0)), np.float32)
    for at, part in parts:
        out[:, at : at + part.shape[1]] = part
    # A damaged packet can decode to NaN or infinity; replace those samples with silence.
    out[~np.isfinite(out)] = 0
    return out


def _first_picture_s(container: InputContainer) -> float | None:
    video = next(iter(decodable_streams(container, "video")), None)
    if video is None or video.start_time is None or video.time_base is None:
        return None
    return float(video.start_time * video.time_base)


def _stereo(
    frames: Iterator[av.AudioFrame], rate_hz: int, *, timed: bool
) -> Iterator[tuple[float | None, FloatArray]]:
    """Yield samples with the time of the first one, None where they follow the samples before."""
    resampler: av.AudioResampler | None = None
    form: tuple[object, ...] | None = None
    end_s: float | None = None
    at_s: float | None = None
    for frame in frames:
        # The form can change within a stream (chained Ogg, broadcast): each part needs its own resampler.
        frame_form = (frame.sample_rate, frame.layout.name, frame.layout.nb_channels, frame.format.name)
        start_s = frame.time if timed else None
        jump = start_s is not None and end_s is not None and abs(start_s - end_s) > _GAP_S
        if resampler is None or frame_form != form or jump:
            for samples in _resampled(resampler, None):
                yield at_s, samples
                at_s = None
            resampler, form, at_s = av.AudioResampler("fltp", "stereo", rate_hz), frame_form, start_s
        end_s = None if start_s is None else start_s + frame.samples / frame.sample_rate
        for samples in _resampled(resampler, _two_channels(frame)):
            yield at_s, samples
            at_s = None
    for samples in _resampled(resampler, None):
        yield at_s, samples
        at_s = None


def _resampled(resampler: av.AudioResampler | None, frame: av.AudioFrame | None) -> Iterator[FloatArray]:
    for out in resampler.resample(frame) if resampler is not None else ():
        yield np.asarray(out.to_ndarray(), dtype=np.float32)


def _two_channels(frame: av.AudioFrame) -> av.AudioFrame:
    """Mix channels without known positions down: even ones to the left, odd ones to the right."""
    channels = frame.layout.nb_channels
    if "channels" not in frame.layout.name and "unknown" not in frame.layout.name:
        frame.pts = None
        return frame
    samples = frame.to_ndarray()
    planes = samples if frame.format.is_planar else samples.reshape(-1, channels).T
    scale = 1.0 if planes.dtype.kind == "f" else 2.0 ** -(8 * planes.dtype.itemsize - 1)
    values = (planes.astype(np.float64) - (128 if planes.dtype == np.uint8 else 0)) * scale
    even, odd = values[::2].mean(axis=0), values[1::2].mean(axis=0) if channels > 1 else values[0]
    mixed = stereo_frame(np.stack([even, odd]), frame.sample_rate, 0)
    mixed.pts = None
    return mixed
