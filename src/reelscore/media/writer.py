"""Write mp4 and wav files, and mux a video with music."""

from __future__ import annotations

import heapq
import itertools
import wave
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import av
import av.error
import numpy as np
import numpy.typing as npt

from reelscore.errors import InputError, MediaError
from reelscore.files import replace_file

from .audio import decode_audio
from .container import libav_url, open_media, packets, select_stream
from .length import sound_start_s, stream_lengths
from .pixels import Pixels, RgbConverter
from .probe import probe

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

Timed = tuple[float, int, "Packet[Any]"]

DEFAULT_CRF = 23
MUX_RATE_HZ = 48_000
AUDIO_BIT_RATE = 192_000
# Codecs that players and browsers accept inside an mp4. Others are re-encoded.
MP4_CODECS = {"h264", "hevc", "av1", "vp9", "mpeg4"}


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


def mux(
    video: Path | str, music: Path | str, out: Path | str, *, start_s: float = 0.0, fade_s: float = 0.5
) -> None:
    """Write an mp4 with the picture of a video and a music track in place of its audio.

    The video stream is copied if mp4 supports its codec, and re-encoded as H.264 otherwise. The music is encoded as
    stereo AAC and cut to the length of the video. Shorter music is not repeated.

    Parameters
    ----------
    video, music : Path or str
        `music` may be a video with an audio stream.
    out : Path or str
        An existing file is replaced.
    start_s : float
        Position in the music at which the video starts.
    fade_s : float
        Length of the fade-in and of the fade-out.

    Raises
    ------
    NotFoundError, MediaError
        If a source does not exist or lacks the stream, or `out` cannot be written.
    InputError
        If `start_s` is negative or not before the end of the music, or `fade_s` is negative.
    """
    if start_s < 0 or fade_s < 0:
        raise InputError(f"start_s and fade_s must not be negative, got {start_s!r} and {fade_s!r}")
    length_s = _music_duration_s(music)
    if start_s >= length_s:
        raise InputError(f"start_s must be inside the music ({length_s:.2f} s), got {start_s:.2f}")
    pictures_s = _pictures_duration_s(video)
    with open_media(video) as pictures, open_media(music) as sounds, output_file(out) as file:
        stream = select_stream(pictures, "video", video)
        num_samples = max(1, round(pictures_s * MUX_RATE_HZ))
        with av.open(libav_url(file.name), mode="w", format="mp4") as container:
            if stream.codec_context.codec.canonical_name in MP4_CODECS:
                picture = _copy_video(pictures, stream, container)
            else:
                picture = _reencode_video(pictures, stream, container, video)
            sound = _encode_music(sounds, container, music, start_s, num_samples, round(fade_s * MUX_RATE_HZ))
            for _, _, packet in heapq.merge(picture, sound, key=lambda timed: timed[:2]):
                container.mux(packet)


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


def _music_duration_s(music: Path | str) -> float:
    info = probe(music)
    if info.audio is None:
        raise MediaError(
            "expected music, but no audio can be decoded. Choose another file.", path=music, stream="audio"
        )
    return info.length_s("music")


def _pictures_duration_s(video: Path | str) -> float:
    with open_media(video) as container:
        stream = select_stream(container, "video", video)
        return stream_lengths(container, [stream], video)[0].seconds


def _copy_video(source: InputContainer, stream: VideoStream, out: OutputContainer) -> Iterator[Timed]:
    target = out.add_stream_from_template(stream)
    return _copy_packets(source, stream, target)


def _copy_packets(source: InputContainer, stream: VideoStream, target: VideoStream) -> Iterator[Timed]:
    start = stream.start_time or 0
    for packet in with_decoding_times(packets(source, stream)):
        if packet.dts is None:
            continue
        packet.dts -= start
        if packet.pts is not None:
            packet.pts -= start
        time_s = float(packet.dts * packet.time_base)
        packet.stream = target
        yield time_s, 0, packet


def with_decoding_times(read: Iterator[Packet[Any]]) -> Iterator[Packet[Any]]:
    """Yield packets; those without a decoding time get one before that of the next."""
    # Matroska stores no decoding times, and libav derives the first ones only after the frame reordering is known.
    early: list[Packet[Any]] = []
    for packet in read:
        if packet.dts is None:
            early.append(packet)
            continue
        for number, waiting in enumerate(early):
            waiting.dts = packet.dts - (len(early) - number) * max(1, waiting.duration or 1)
            yield waiting
        early = []
        yield packet
    for waiting in early:
        waiting.dts = waiting.pts
        yield waiting


def _reencode_video(
    source: InputContainer, stream: VideoStream, out: OutputContainer, video: Path | str
) -> Iterator[Timed]:
    make = RgbConverter()
    shown = ((frame, make(frame)) for frame in _decode_video(source, stream))
    first = next(shown, None)
    if first is None:
        raise MediaError("expected pictures, but no frame can be decoded", path=video, stream="video")
    rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
    encoder = _encoder(out, first[1], rate, DEFAULT_CRF)
    if stream.time_base is not None:
        encoder.codec_context.time_base = stream.time_base
    return _encode_frames(itertools.chain([first], shown), encoder)


def _encode_frames(pictures: Iterable[tuple[av.VideoFrame, Pixels]], encoder: VideoStream) -> Iterator[Timed]:
    start: int | None = None
    for original, pixels in pictures:
        if original.pts is None:
            continue
        start = original.pts if start is None else start
        frame = _frame(pixels, encoder)
        frame.pts, frame.time_base = original.pts - start, original.time_base
        yield from _timed(encoder.encode(frame), 0)
    yield from _timed(encoder.encode(None), 0)


def _decode_video(source: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    for packet in itertools.chain(packets(source, stream), [None]):
        try:
            yield from stream.decode(packet)
        except av.error.FFmpegError:
            continue


def _encode_music(
    source: InputContainer,
    out: OutputContainer,
    music: Path | str,
    start_s: float,
    num_samples: int,
    num_fade: int,
) -> Iterator[Timed]:
    start_s -= sound_start_s(source, music)
    encoder = out.add_stream("aac", rate=MUX_RATE_HZ, layout="stereo")
    encoder.bit_rate = AUDIO_BIT_RATE
    resampler = av.AudioResampler("fltp", "stereo", MUX_RATE_HZ)
    return _encode_samples(
        itertools.chain(decode_audio(source, music), [None]),
        resampler,
        encoder,
        start_s,
        num_samples,
        num_fade,
    )


def _encode_samples(
    frames: Iterable[av.AudioFrame | None],
    resampler: av.AudioResampler,
    encoder: AudioStream,
    start_s: float,
    num_samples: int,
    num_fade: int,
) -> Iterator[Timed]:
    position = -round(start_s * MUX_RATE_HZ)
    for frame in frames:
        for piece in resampler.resample(frame):
            samples = piece.to_ndarray()[:, max(0, -position) : max(0, num_samples - position)]
            first = max(0, position)
            position += piece.samples
            if not samples.shape[1]:
                continue
            at = np.arange(first, first + samples.shape[1])
            edge = np.minimum(at + 1, num_samples - at) / max(1, num_fade)
            shaped = (samples * np.minimum(1.0, edge)).astype(np.float32)
            sound = av.AudioFrame.from_ndarray(np.ascontiguousarray(shaped), format="fltp", layout="stereo")
            sound.sample_rate, sound.pts, sound.time_base = MUX_RATE_HZ, first, Fraction(1, MUX_RATE_HZ)
            yield from _timed(encoder.encode(sound), 1)
        if position >= num_samples:
            break
    yield from _timed(encoder.encode(None), 1)


def _timed(encoded: Iterable[Packet[Any]], order: int) -> Iterator[Timed]:
    for packet in encoded:
        yield float((packet.dts or 0) * packet.time_base), order, packet
