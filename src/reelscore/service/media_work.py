"""Work on media in a confined worker: describe, excerpt, waveform, thumbnail, render."""

from __future__ import annotations

import dataclasses
import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from reelscore.errors import InputError
from reelscore.files import write_bytes
from reelscore.media.audio import audio_blocks
from reelscore.media.frames import frames_at
from reelscore.media.opus import RATE_HZ, write_opus
from reelscore.media.stereo import read_stereo
from reelscore.types import AudioStream, MediaInfo, VideoStream

_PEAKS_RATE_HZ = 8000


def media_json(info: MediaInfo) -> dict[str, Any]:
    """Return the fields of `probe --json`."""
    return dataclasses.asdict(info) | {"tags": dict(info.tags)}


def media_info(fields: dict[str, Any]) -> MediaInfo:
    """Return the `MediaInfo` of such fields."""
    video, audio = fields["video"], fields["audio"]
    return MediaInfo(
        **{
            **fields,
            "video": None if video is None else VideoStream(**video),
            "audio": None if audio is None else AudioStream(**audio),
            "notes": tuple(fields["notes"]),
            "repairs": tuple(fields["repairs"]),
        }
    )


def write_preview(source: str, target: str, *, start_s: float, length_s: float) -> None:
    """Write an excerpt as Ogg Opus."""
    samples = read_stereo(source, rate_hz=RATE_HZ, start_s=start_s, length_s=length_s)
    if samples.shape[1] == 0:
        raise InputError(f"start_s is {start_s:g}, after the end of the track; choose an earlier start")
    write_opus(target, samples)


def write_peaks(source: str, target: str, *, num_peaks: int) -> None:
    """Write the peaks of a waveform: `num_peaks` bytes, 255 for full scale."""
    blocks = [np.abs(block) for block in audio_blocks(source, rate_hz=_PEAKS_RATE_HZ)]
    samples = np.concatenate(blocks)
    edges = np.linspace(0, len(samples), num_peaks + 1).astype(np.int64)[:-1]
    # Of a track with fewer samples than peaks, neighbours share a sample.
    peaks = np.maximum.reduceat(samples, np.minimum(edges, len(samples) - 1))
    write_bytes(target, np.clip(np.rint(peaks * 255), 0, 255).astype(np.uint8).tobytes())


def write_thumbnail(source: str, target: str, *, at_s: float, short_side_px: int) -> None:
    """Write a frame of a video as JPEG."""
    from PIL import Image

    frame = next(iter(frames_at(source, [at_s], short_side_px=short_side_px)))
    picture = io.BytesIO()
    Image.fromarray(frame.pixels).save(picture, "JPEG", quality=80)
    write_bytes(target, picture.getvalue())


def write_fit(track: str, target: str, *, video: str, start_s: float) -> None:
    """Write the plan of a version of a track that ends with a video."""
    from reelscore.render.plan import save_plan
    from reelscore.render.planning import plan_fit

    plan, _ = plan_fit(video, track, start_s=start_s)
    save_plan(plan, target)


def write_fit_preview(track: str, target: str, *, plan: str, at_s: float, length_s: float) -> None:
    """Write an excerpt of the music of a plan as Ogg Opus, from a time of the video on."""
    from reelscore.render.mix import music_of, part_of
    from reelscore.render.plan import load_plan

    whole = load_plan(plan)
    if at_s >= whole.music_s:
        raise InputError(f"at_s is {at_s:g}, after the end of the music; choose an earlier time")
    write_opus(target, music_of(part_of(whole, Fraction(at_s), Fraction(length_s)), track))


def write_render(
    video: str, track: str, target: str, *, start_s: float, fit: bool, sound: str
) -> dict[str, Any]:
    """Write a video, timeline or plan, and return the fields of ``render --json``."""
    from reelscore.render.output import write_plan
    from reelscore.render.planning import plan_fit, plan_moment

    make = plan_fit if fit else plan_moment
    plan, notes = make(video, track, start_s=start_s, sound=sound)
    done = write_plan(plan, target, video=video, track=track, force=True)
    return {**done.to_json(), "file": Path(target).name, "notes": [*notes, *done.notes]}
