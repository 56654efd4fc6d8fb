"""Small test films, whose grey level encodes the frame number, and test tones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from reelscore.render.output import make_plan, write_plan

LEVEL_STEP = 3


def level(number: int) -> int:
    """Return the grey level of a frame; 75 successive frames have distinct levels."""
    return 20 + LEVEL_STEP * (number % 75)


def grey(number: int, width: int = 64, height: int = 48) -> np.ndarray:
    return np.full((height, width, 3), level(number), dtype=np.uint8)


def number_of(pixels: np.ndarray) -> int:
    """Return the frame number that the grey level encodes."""
    return round((float(pixels.mean()) - 20) / LEVEL_STEP)


def film(
    path: Path,
    *,
    num_frames: int = 50,
    rate: int = 25,
    gop: int = 12,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    size: tuple[int, int] = (64, 48),
    stamps: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    rotation_deg: int = 0,
    sound_s: float = 0.0,
    pictures: Iterable[np.ndarray] | None = None,
    picture_format: str = "rgb24",
) -> Path:
    """Encode a film; `stamps` are timestamps in milliseconds."""
    width, height = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.gop_size = gop
        stream.options = options if options is not None else ({"crf": "4"} if codec == "libx264" else {})
        if stamps is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation_deg:
            # libav rotates counterclockwise.
            stream.set_display_rotation(-rotation_deg)
        sound = container.add_stream("aac", rate=44_100, layout="stereo") if sound_s else None
        for number, pixels in enumerate(pictures or (grey(n, width, height) for n in range(num_frames))):
            frame = av.VideoFrame.from_ndarray(pixels, format=picture_format)
            frame.pts = number if stamps is None else stamps[number]
            frame.time_base = Fraction(1, rate) if stamps is None else Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            encode_sound(container, sound, tone(sound_s, 44_100, channels=2), 44_100, "stereo")
    return path


def tone(duration_s: float, rate_hz: int, *, channels: int = 1, frequency_hz: float = 440.0) -> np.ndarray:
    time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    wave = 0.5 * np.sin(2 * np.pi * frequency_hz * time_s)
    return np.stack([wave] * channels).astype(np.float32)


def sound_file(
    path: Path, samples: np.ndarray, rate_hz: int, *, codec: str, tags: dict[str, str] | None = None
) -> Path:
    """Encode samples of shape (channels, n)."""
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(samples)]
    with av.open(str(path), "w") as container:
        container.metadata.update(tags or {})
        stream = container.add_stream(codec, rate=rate_hz, layout=layout)
        encode_sound(container, stream, samples, rate_hz, layout)
    return path


def encode_sound(container, stream, samples: np.ndarray, rate_hz: int, layout: str) -> None:
    for start in range(0, samples.shape[1], 1024):
        piece = np.ascontiguousarray(samples[:, start : start + 1024])
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate_hz, start, Fraction(1, rate_hz)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def decode_all(path: Path) -> list[tuple[float, np.ndarray]]:
    """Return every frame with its time after the first one."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [
            (float(f.pts * f.time_base), f.to_ndarray(format="rgb24")) for f in container.decode(stream)
        ]
    return [(time_s - frames[0][0], pixels) for time_s, pixels in frames]


def times_of_all(path: Path) -> list[float]:
    """Return the time of every frame after the first one."""
    with av.open(str(path)) as container:
        times = [float(f.pts * f.time_base) for f in container.decode(container.streams.video[0])]
    return [time_s - times[0] for time_s in times]


def with_music(video: Path, track: Path, out: Path) -> Path:
    """Write a video with a track from its start, as `reelscore render` does."""
    plan, _ = make_plan(out, video, track)
    write_plan(plan, out, video=video, track=track)
    return out
