"""A media file enters, its sound leaves as blocks of mono float32 samples at a named rate, streamed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import av
import av.error
import numpy as np

from ..domain import FloatArray
from ..errors import InputError, MediaError
from .opening import opened, packets, use_stream

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream


def audio_blocks(path: Path | str, *, rate_hz: int, block_s: float = 10.0) -> Iterator[FloatArray]:
    """Decode the sound of a file in blocks; joined end to end they are the whole of it.

    The channels are mixed by their plain mean, so mono in stays as it is and stereo cannot clip. The
    blocks do not depend on `block_s`: another size cuts the same samples elsewhere. Memory does not grow
    with the length of the file. Damaged packets are left out.

    Parameters
    ----------
    path : Path or str
        A music file, or a video with sound.
    rate_hz : int
        Sampling rate of the result.
    block_s : float
        Length of each block in seconds; the last one may be shorter.

    Yields
    ------
    ndarray of float32, shape (n,)
        Full scale is -1 to 1; lossy codecs may go a little beyond.

    Raises
    ------
    NotFoundError
        When the file is absent or a folder.
    MediaError
        When it cannot be opened, has no sound stream, or nothing of it can be decoded.
    InputError
        When the rate or the block length is not positive.
    """
    if rate_hz < 1:
        raise InputError(f"rate_hz must be at least 1, got {rate_hz!r}")
    if not (math.isfinite(block_s) and block_s > 0):
        raise InputError(f"block_s must be positive and finite, got {block_s!r}")
    return _blocks(path, rate_hz, max(1, round(block_s * rate_hz)))


def _blocks(path: Path | str, rate_hz: int, block_length: int) -> Iterator[FloatArray]:
    waiting: list[FloatArray] = []
    num_waiting = 0
    any_sound = False
    with opened(path) as container:
        stream = use_stream(container, "audio", path)
        for piece in _resampled(container, stream, rate_hz):
            any_sound = True
            waiting.append(piece)
            num_waiting += len(piece)
            while num_waiting >= block_length:
                joined = np.concatenate(waiting)
                yield joined[:block_length].copy()
                waiting = [joined[block_length:]]
                num_waiting -= block_length
    if num_waiting:
        yield np.concatenate(waiting)
    if not any_sound:
        raise MediaError(
            "expected sound, but not one packet of it can be decoded; the file is damaged, get it again",
            path=path,
            stream="audio",
        )


def _resampled(container: InputContainer, stream: Stream, rate_hz: int) -> Iterator[FloatArray]:
    resampler: av.AudioResampler | None = None
    form: tuple[int, str] | None = None
    for samples, rate in _mono(container, stream):
        # A stream may change its rate on the way (chained Ogg, broadcast); each stretch has its own filter.
        if resampler is None or form != (rate, "mono"):
            yield from _flush(resampler)
            resampler = av.AudioResampler(format="flt", layout="mono", rate=rate_hz)
            form = (rate, "mono")
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="flt", layout="mono")
        frame.sample_rate = rate
        for out in resampler.resample(frame):
            yield out.to_ndarray()[0].copy()
    yield from _flush(resampler)


def _flush(resampler: av.AudioResampler | None) -> Iterator[FloatArray]:
    if resampler is not None:
        for out in resampler.resample(None):
            yield out.to_ndarray()[0].copy()


def _mono(container: InputContainer, stream: Stream) -> Iterator[tuple[FloatArray, int]]:
    for frame in _decoded(container, stream):
        yield _mean_of_channels(frame), frame.sample_rate


def _decoded(container: InputContainer, stream: Stream) -> Iterator[av.AudioFrame]:
    for packet in packets(container, stream):
        try:
            yield from packet.decode()
        except av.error.FFmpegError:
            continue
    try:
        yield from stream.decode(None)
    except av.error.FFmpegError:
        return


def _mean_of_channels(frame: av.AudioFrame) -> FloatArray:
    samples = frame.to_ndarray()
    num_channels = frame.layout.nb_channels
    if not frame.format.is_planar:
        samples = samples.reshape(-1, num_channels).T
    mixed = samples.mean(axis=0, dtype=np.float64)
    if samples.dtype == np.uint8:
        mixed = (mixed - 128.0) / 128.0
    elif samples.dtype.kind == "i":
        mixed = mixed / float(1 << (8 * samples.dtype.itemsize - 1))
    return mixed.astype(np.float32)
