"""A media file enters, its sound leaves as blocks of mono float32 samples at a named rate, streamed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.error
import numpy as np
import numpy.typing as npt

from reelscore.errors import InputError, MediaError
from reelscore.types import FloatArray

from .container import opened, packets, use_stream

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer


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


def _resampled(container: InputContainer, stream: AudioStream, rate_hz: int) -> Iterator[FloatArray]:
    resampler: av.AudioResampler | None = None
    rate_before = 0
    for samples, rate in _mono_pieces(decoded_audio(container, stream)):
        # A stream may change its rate on the way (chained Ogg, broadcast); each stretch has its own filter.
        if rate != rate_before:
            yield from _tail(resampler)
            resampler = None if rate == rate_hz else av.AudioResampler("flt", "mono", rate_hz)
            rate_before = rate
        if resampler is None:
            yield samples
            continue
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="flt", layout="mono")
        frame.sample_rate = rate
        for out in resampler.resample(frame):
            yield _copied(out)
    yield from _tail(resampler)


def _tail(resampler: av.AudioResampler | None) -> Iterator[FloatArray]:
    if resampler is not None:
        for out in resampler.resample(None):
            yield _copied(out)


def _copied(frame: av.AudioFrame) -> FloatArray:
    return np.array(frame.to_ndarray()[0], dtype=np.float32)


def _mono_pieces(frames: Iterator[av.AudioFrame]) -> Iterator[tuple[FloatArray, int]]:
    # Codec frames may be as short as 64 samples; work on about a second at a time costs a third of it.
    held: list[npt.NDArray[Any]] = []
    num_held = 0
    form: tuple[int, int, str] | None = None
    for frame in frames:
        frame_form = (frame.sample_rate, frame.layout.nb_channels, frame.format.name)
        if form is not None and (frame_form != form or num_held >= form[0]):
            yield _mean_of_channels(np.concatenate(held, axis=1)), form[0]
            held, num_held = [], 0
        form = frame_form
        held.append(_by_channel(frame))
        num_held += frame.samples
    if form is not None:
        yield _mean_of_channels(np.concatenate(held, axis=1)), form[0]


def _by_channel(frame: av.AudioFrame) -> npt.NDArray[Any]:
    samples = frame.to_ndarray()
    return samples if frame.format.is_planar else samples.reshape(-1, frame.layout.nb_channels).T


def _mean_of_channels(samples: npt.NDArray[Any]) -> FloatArray:
    # One channel after the other: over interleaved samples this is eight times as fast as mean(axis=0).
    mixed = samples[0].astype(np.float64)
    for channel in samples[1:]:
        mixed += channel
    mixed /= len(samples)
    if samples.dtype == np.uint8:
        mixed = (mixed - 128.0) / 128.0
    elif samples.dtype.kind == "i":
        mixed = mixed / 2.0 ** (8 * samples.dtype.itemsize - 1)
    # A damaged packet can decode to NaN or infinity: silence is what is left of it.
    return np.asarray(np.nan_to_num(mixed, nan=0.0, posinf=0.0, neginf=0.0), dtype=np.float32)


def decoded_audio(container: InputContainer, stream: AudioStream) -> Iterator[av.AudioFrame]:
    """Yield the frames of a sound stream in order, leaving out the packets that cannot be decoded."""
    for packet in packets(container, stream):
        try:
            yield from stream.decode(packet)
        except av.error.FFmpegError:
            continue
    try:
        yield from stream.decode(None)
    except av.error.FFmpegError:
        return
