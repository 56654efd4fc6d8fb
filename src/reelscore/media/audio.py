"""Decode audio as a stream of mono float32 blocks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.error
import numpy as np
import numpy.typing as npt

from reelscore.errors import InputError, MediaError
from reelscore.types import FloatArray

from .bitstreams import ogg_links
from .container import open_media, packets, select_stream
from .length import sound_start_s

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

CANCELLED = 0.15
"""A mix below this share of what one channel alone would give has cancelled: -22 dB for stereo."""
PROBE_STEP = 16
"""Every 16th sample is enough to compare the loudness of channels."""


def audio_blocks(
    path: Path | str,
    *,
    rate_hz: int,
    block_s: float = 10.0,
    on_frame: Callable[[av.AudioFrame], None] | None = None,
) -> Iterator[FloatArray]:
    """Decode the audio of a file in blocks.

    Channels are averaged, so stereo cannot clip; where they cancel, one channel is used. Time 0 is that of the
    pictures: sound that starts later follows silence. The block length does not change the samples. Memory use does
    not depend on the length of the file. Packets that cannot be decoded are skipped.

    Parameters
    ----------
    path : Path or str
        A music file, or a video with an audio stream.
    rate_hz : int
        Sampling rate of the blocks.
    block_s : float
        Length of each block in seconds; the last one may be shorter.
    on_frame : callable, optional
        Called with each decoded frame in all its channels, such as `LoudnessMeter.push`.

    Yields
    ------
    ndarray of float32, shape (n,)
        Full scale is -1 to 1. Lossy codecs may exceed it slightly.

    Raises
    ------
    NotFoundError
        If the file does not exist or is a folder.
    MediaError
        If the file cannot be opened, has no audio stream, or no packet can be decoded.
    InputError
        If the rate or the block length is not positive.
    """
    if rate_hz < 1:
        raise InputError(f"rate_hz must be at least 1, got {rate_hz!r}")
    if not (math.isfinite(block_s) and block_s > 0):
        raise InputError(f"block_s must be positive and finite, got {block_s!r}")
    block_length = max(1, round(block_s * rate_hz))
    kept = _KEPT.get()
    return _blocks(path, rate_hz, block_length, on_frame, kept if kept and kept.path == str(path) else None)


@contextmanager
def keep_audio(path: Path | str) -> Iterator[None]:
    """Keep what `audio_blocks` decodes of one file inside the block, so that further readers need no decoding.

    They may ask for other rates. Long sound is not kept, so that memory does not depend on the length of the file.
    """
    before = _KEPT.get()
    token = _KEPT.set(before if before and before.path == str(path) else _Kept(str(path)))
    try:
        yield
    finally:
        _KEPT.reset(token)


@dataclass(slots=True)
class _Kept:
    """Sound of one file, once it was read to its end: when it starts, and its mono chunks with their rates."""

    path: str
    sound: tuple[float, list[tuple[FloatArray, int]]] | None = None


_KEPT: ContextVar[_Kept | None] = ContextVar("kept audio", default=None)
_MOST_KEPT = 40_000_000
"""Samples: 15 minutes at 44.1 kHz."""


def _keeping(
    chunks: Iterator[tuple[FloatArray, int]], start_s: float, kept: _Kept
) -> Iterator[tuple[FloatArray, int]]:
    """Yield chunks, and keep them once the last one is read."""
    read: list[tuple[FloatArray, int]] = []
    length = 0
    for chunk in chunks:
        length += len(chunk[0])
        if length <= _MOST_KEPT:
            read.append(chunk)
        else:
            read.clear()
        yield chunk
    if read:
        kept.sound = start_s, read


def _blocks(
    path: Path | str,
    rate_hz: int,
    block_length: int,
    on_frame: Callable[[av.AudioFrame], None] | None,
    kept: _Kept | None,
) -> Iterator[FloatArray]:
    if on_frame is None and kept is not None and kept.sound is not None:
        start_s, read = kept.sound
        yield from _resampled_blocks(start_s, iter(read), rate_hz, block_length)
        return
    with open_media(path) as container:
        frames = decode_audio(container, path)
        if on_frame is not None:
            frames = _tapped(frames, on_frame)
        start_s, chunks = sound_start_s(container, path), _mono_chunks(frames)
        if kept is not None:
            chunks = _keeping(chunks, start_s, kept)
        any_audio = False
        for block in _resampled_blocks(start_s, chunks, rate_hz, block_length):
            any_audio = True
            yield block
    if not any_audio:
        raise MediaError(
            "expected sound, but no audio packet can be decoded. The file is damaged: copy or download it again.",
            path=path,
            stream="audio",
        )


def _resampled_blocks(
    start_s: float, chunks: Iterator[tuple[FloatArray, int]], rate_hz: int, block_length: int
) -> Iterator[FloatArray]:
    pending: list[FloatArray] = []
    num_pending = 0
    silence = _silence(round(start_s * rate_hz), block_length)
    for chunk in itertools.chain(silence, _resample(chunks, rate_hz)):
        pending.append(chunk)
        num_pending += len(chunk)
        while num_pending >= block_length:
            samples = np.concatenate(pending)
            yield samples[:block_length].copy()
            pending = [samples[block_length:]]
            num_pending -= block_length
    if num_pending:
        yield np.concatenate(pending)


def _silence(num_samples: int, block_length: int) -> Iterator[FloatArray]:
    for start in range(0, num_samples, block_length):
        yield np.zeros(min(block_length, num_samples - start), np.float32)


def _tapped(
    frames: Iterator[av.AudioFrame], on_frame: Callable[[av.AudioFrame], None]
) -> Iterator[av.AudioFrame]:
    for frame in frames:
        on_frame(frame)
        yield frame


def _resample(chunks: Iterator[tuple[FloatArray, int]], rate_hz: int) -> Iterator[FloatArray]:
    resampler: av.AudioResampler | None = None
    rate_before = 0
    for samples, rate in chunks:
        # The rate can change within a stream (chained Ogg, broadcast): each part needs its own resampler.
        if rate != rate_before:
            yield from _flush(resampler)
            resampler = None if rate == rate_hz else av.AudioResampler("flt", "mono", rate_hz)
            rate_before = rate
        if resampler is None:
            yield samples
            continue
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="flt", layout="mono")
        frame.sample_rate = rate
        for out in resampler.resample(frame):
            yield _copy(out)
    yield from _flush(resampler)


def _flush(resampler: av.AudioResampler | None) -> Iterator[FloatArray]:
    if resampler is not None:
        for out in resampler.resample(None):
            yield _copy(out)


def _copy(frame: av.AudioFrame) -> FloatArray:
    return np.array(frame.to_ndarray()[0], dtype=np.float32)


def _mono_chunks(frames: Iterator[av.AudioFrame]) -> Iterator[tuple[FloatArray, int]]:
    # Codec frames can be as short as 64 samples. Processing a second at a time is three times as fast.
    buffer: list[npt.NDArray[Any]] = []
    num_buffered = 0
    buffer_format: tuple[int, int, str] | None = None
    for frame in frames:
        frame_form = (frame.sample_rate, frame.layout.nb_channels, frame.format.name)
        if buffer_format is not None and (frame_form != buffer_format or num_buffered >= buffer_format[0]):
            yield _mono(np.concatenate(buffer, axis=1)), buffer_format[0]
            buffer, num_buffered = [], 0
        buffer_format = frame_form
        buffer.append(_channels_first(frame))
        num_buffered += frame.samples
    if buffer_format is not None:
        yield _mono(np.concatenate(buffer, axis=1)), buffer_format[0]


def _channels_first(frame: av.AudioFrame) -> npt.NDArray[Any]:
    samples = frame.to_ndarray()
    return samples if frame.format.is_planar else samples.reshape(-1, frame.layout.nb_channels).T


def _mono(samples: npt.NDArray[Any]) -> FloatArray:
    # Summing channel by channel is eight times as fast as mean(axis=0) on interleaved samples.
    mixed = samples[0].astype(np.float64)
    for channel in samples[1:]:
        mixed += channel
    mixed /= len(samples)
    zero = 128.0 if samples.dtype == np.uint8 else 0.0
    if len(samples) > 1:
        loudness = np.sqrt(np.mean(np.square(samples[:, ::PROBE_STEP] - zero), axis=1, dtype=np.float64))
        rest = np.sqrt(np.mean(np.square(mixed[::PROBE_STEP] - zero)))
        if rest < CANCELLED / len(samples) * loudness.max():
            # The first channel that is about as loud as the loudest: the choice must not alternate between equals.
            mixed = samples[int(np.argmax(loudness > 0.7 * loudness.max()))].astype(np.float64)
    if samples.dtype == np.uint8:
        mixed = (mixed - 128.0) / 128.0
    elif samples.dtype.kind == "i":
        mixed = mixed / 2.0 ** (8 * samples.dtype.itemsize - 1)
    # A damaged packet can decode to NaN or infinity; replace those samples with silence.
    return np.asarray(np.nan_to_num(mixed, nan=0.0, posinf=0.0, neginf=0.0), dtype=np.float32)


def decode_audio(container: InputContainer, path: Path | str) -> Iterator[av.AudioFrame]:
    """Yield the frames of the preferred audio stream in order; skip packets that cannot be decoded.

    Every link of a chained Ogg file is read; links may differ in rate, channels and codec.
    """
    stream = select_stream(container, "audio", path)
    links = ogg_links(path) if container.format.name == "ogg" else []
    if len(links) < 2:
        yield from _decode(container, stream)
        return
    for link in links:
        try:
            with open_media(path, part=link) as opened:
                yield from _decode(opened, select_stream(opened, "audio", path))
        except MediaError:
            continue  # this link is damaged or has no sound


def _decode(container: InputContainer, stream: AudioStream) -> Iterator[av.AudioFrame]:
    for packet in packets(container, stream):
        try:
            yield from stream.decode(packet)
        except av.error.FFmpegError:
            continue
    try:
        yield from stream.decode(None)
    except av.error.FFmpegError:
        return
