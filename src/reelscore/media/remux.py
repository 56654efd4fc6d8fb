"""Copy a video's pictures without re-encoding and add an AAC soundtrack."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.error
import numpy as np

from reelscore.errors import MediaError
from reelscore.types import FloatArray

from .container import decodable_streams, libav_url, open_media, packets, select_stream
from .levels import stereo_frame
from .writer import output_file

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}
# Codecs that players expect in these containers; Matroska holds any.
_CODECS = {
    ".mp4": {"h264", "hevc", "av1", "vp9", "mpeg4", "mpeg2video"},
    ".mov": {"h264", "hevc", "mpeg4", "mpeg2video", "mjpeg", "prores", "png"},
}
BIT_RATE = 256_000
_BITEXACT = 0x00800000  # AV_CODEC_FLAG_BITEXACT: no version string, so that equal inputs give equal bytes
_FRAME = 1024
_MAX_JITTER = 0.1
"""Largest deviation of a step from the mean, in frames, at a constant rate; Matroska rounds to milliseconds."""

STANDARD_RATES_HZ = tuple(
    sorted([*(Fraction(n * 1000, 1001) for n in (24, 30, 60)), *map(Fraction, (24, 25, 30, 48, 50, 60))])
)
"""Frame rates that editing programs have."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """Timing of a video stream.

    Attributes
    ----------
    length_s : Fraction
        From the first picture to the end of the last one.
    frame_rate_hz : Fraction
        Nominal rate; a standard one where it is within 0.1 %.
    variable_rate : bool
    has_sound : bool
        Whether the file has a sound stream that can be decoded.
    """

    length_s: Fraction
    frame_rate_hz: Fraction
    variable_rate: bool
    has_sound: bool


def read_pictures(path: Path | str) -> Pictures:
    """Read the timing of a file's pictures from its packets, without decoding."""
    with open_media(path) as container:
        has_sound = bool(decodable_streams(container, "audio"))
        stream = select_stream(container, "video", path)
        shown = [
            (p.pts, p.duration or 0)
            for p in _copied(container, stream)
            if p.pts is not None and not p.is_discard
        ]
        base = stream.time_base
        if not shown or base is None:
            raise MediaError(
                "expected pictures, but the video stream is empty. Choose another file.", path=path
            )
        stamps = np.unique(np.array([pts for pts, _ in shown], dtype=np.int64))
        steps = np.diff(stamps)
        # The stated average counts the gaps of a variable rate; an editor's timeline runs at the usual step.
        usual = 1 / (base * int(np.median(steps))) if len(steps) else Fraction(25)
        average = Fraction(stream.average_rate or stream.guessed_rate or usual)
        variable = len(steps) > 0 and bool(np.abs(steps * float(base * average) - 1).max() > _MAX_JITTER)
        rate = _standard(usual if variable else average)
        last, duration = max(shown)
        # Matroska may state no duration for the last picture.
        end = last + (duration or max(1, round(1 / (rate * base))))
        return Pictures(
            length_s=(end - (stream.start_time if stream.start_time is not None else int(stamps[0]))) * base,
            frame_rate_hz=rate,
            variable_rate=variable,
            has_sound=has_sound,
        )


def _standard(rate: Fraction) -> Fraction:
    nearest = min(STANDARD_RATES_HZ, key=lambda standard: abs(standard - rate))
    return nearest if abs(nearest / rate - 1) <= Fraction(1, 2500) else rate.limit_denominator(1001)


@dataclass(frozen=True, slots=True, eq=False)
class AacSound:
    """A stereo sound as AAC packets, with the number of samples that it plays."""

    packets: tuple[Packet[Any], ...] = field(repr=False)
    extradata: bytes
    rate_hz: int
    num_samples: int

    def decode(self) -> FloatArray:
        """Decode the packets, without the encoder's padding at both ends, shape (2, num_samples)."""
        decoder: Any = av.CodecContext.create("aac", "r")
        decoder.extradata = self.extradata
        parts = [frame.to_ndarray() for packet in (*self.packets, None) for frame in decoder.decode(packet)]
        samples = np.concatenate(parts, axis=1)
        padding = -(self.packets[0].pts or 0)
        decoded: FloatArray = samples[:, padding : padding + self.num_samples]
        return decoded


def encode_aac(
    samples: FloatArray, rate_hz: int, *, bit_rate: int = BIT_RATE, fast: bool = False
) -> AacSound:
    """Encode stereo samples, shape (2, n); `fast` takes half of the time, with more noise in held tones."""
    encoder = _aac(av.CodecContext.create("aac", "w"), rate_hz, bit_rate)
    if fast:
        # Without intensity stereo, whose noise above 6 kHz is 10 dB higher.
        encoder.options = {"aac_coder": "fast", "aac_is": "0"}
    found: list[Packet[Any]] = []
    for start in range(0, samples.shape[1], _FRAME):
        found += encoder.encode(stereo_frame(samples[:, start : start + _FRAME], rate_hz, start))
    found += encoder.encode(None)
    return AacSound(tuple(found), encoder.extradata, rate_hz, samples.shape[1])


def _aac(context: Any, rate_hz: int, bit_rate: int = BIT_RATE) -> Any:
    context.sample_rate, context.layout, context.format = rate_hz, "stereo", "fltp"
    context.bit_rate = bit_rate
    context.time_base = Fraction(1, rate_hz)
    context.flags |= (
        _BITEXACT | 0x00400000
    )  # AV_CODEC_FLAG_GLOBAL_HEADER: parameters go to the container's header
    return context


def codec_of(path: Path | str) -> str:
    """Return libav's name of a video's codec; raise `MediaError` for a file without pictures."""
    with open_media(path) as container:
        return str(select_stream(container, "video", path).codec_context.codec.canonical_name)


def check_container(codec: str, path: Path | str) -> None:
    """Raise `MediaError` if the container of a file name's suffix cannot hold a video codec."""
    suffix = Path(path).suffix.lower()
    if codec not in _CODECS.get(suffix, {codec}):
        other = " or ".join(end for end in FORMATS if codec in _CODECS.get(end, {codec}))
        raise MediaError(
            f"a {suffix} file cannot hold {codec} video, and the pictures are copied as they are. Use {other}.",
            path=path,
        )


def remux(video: Path | str, sound: AacSound, out: Path | str) -> None:
    """Write the pictures of a video and a sound that starts with the first picture.

    Packets, time between pictures, rotation and colour are copied. An existing file is replaced when all is written.

    Raises
    ------
    MediaError
        If the video cannot be read, the container cannot hold its codec, or the file cannot be written.
    """
    suffix = Path(out).suffix.lower()
    options = {"fflags": "+bitexact"}
    if suffix != ".mkv":
        # Milliseconds, the default unit of edit lists, would round the length of the sound.
        options["movie_timescale"] = str(sound.rate_hz)
    with open_media(video) as source, output_file(out) as file:
        stream = select_stream(source, "video", video)
        codec = stream.codec_context.codec.canonical_name
        check_container(codec, out)
        with av.open(libav_url(file.name), mode="w", format=FORMATS[suffix], options=options) as container:
            try:
                picture = container.add_stream_from_template(stream, opaque=True)
                picture.time_base = stream.time_base
                target = container.add_stream("aac", rate=sound.rate_hz, layout="stereo")
                _aac(target.codec_context, sound.rate_hz)
                container.start_encoding()
            except (ValueError, av.error.ArgumentError) as error:
                advice = "Convert the video to H.264 first" if suffix == ".mkv" else "Use .mkv"
                raise MediaError(
                    f"a {suffix} file cannot hold this {codec} video ({error}). {advice}.", path=out
                ) from error
            pictures = _timed(_copied(source, stream), picture, 0, stream.start_time or 0)
            sounds = _timed(sound.packets, target, 1, 0)
            for _, _, packet in heapq.merge(pictures, sounds, key=lambda timed: timed[:2]):
                container.mux(packet)


def write_sound(sound: AacSound, out: Path | str) -> None:
    """Write a sound as an .m4a file; an existing one is replaced.

    Raises
    ------
    MediaError
        If the file cannot be written.
    """
    options = {"fflags": "+bitexact", "movie_timescale": str(sound.rate_hz)}
    with (
        output_file(out) as file,
        av.open(libav_url(file.name), "w", format="mp4", options=options) as container,
    ):
        target = container.add_stream("aac", rate=sound.rate_hz, layout="stereo")
        _aac(target.codec_context, sound.rate_hz)
        container.start_encoding()
        for _, _, packet in _timed(sound.packets, target, 0, 0):
            container.mux(packet)


def _timed(read: Iterable[Any], target: Any, order: int, start: int) -> Iterator[tuple[float, int, Any]]:
    for packet in read:
        packet.dts -= start
        if packet.pts is not None:
            packet.pts -= start
        packet.stream = target
        yield float(packet.dts * packet.time_base), order, packet


def _copied(source: InputContainer, stream: VideoStream) -> Iterator[Any]:
    return (packet for packet in _with_decoding_times(packets(source, stream)) if packet.dts is not None)


def _with_decoding_times(read: Iterator[Packet[Any]]) -> Iterator[Packet[Any]]:
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
