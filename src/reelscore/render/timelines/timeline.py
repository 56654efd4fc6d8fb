"""A plan in whole frames, from which every timeline format is written."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from reelscore.media.probe import probe
from reelscore.media.remux import STANDARD_RATES_HZ
from reelscore.render.plan import Plan

SILENCE_DB = -60.0
"""Level at the silent end of a fade; the formats have no minus infinity."""


@dataclass(frozen=True, slots=True)
class Source:
    """A media file: its absolute path, length in frames of the timeline, and streams."""

    path: Path
    num_frames: int
    num_channels: int = 0
    sample_rate_hz: int = 0
    width_px: int = 0
    height_px: int = 0

    @property
    def name(self) -> str:
        """File name."""
        return self.path.name

    @property
    def url(self) -> str:
        """Percent-encoded file URL."""
        return self.path.as_uri()


@dataclass(frozen=True, slots=True)
class Clip:
    """Frames [start, end) of the timeline, with the frame of the source that plays first."""

    start: int
    end: int
    source_start: int

    @property
    def num_frames(self) -> int:
        """Length."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Timeline:
    """A cut in whole frames.

    Attributes
    ----------
    rate_hz : Fraction
    num_frames : int
    video, track : Source
    music : tuple of Clip
    original_db : float or None
        Gain of the video's own sound; None mutes it.
    levels_db : tuple of (int, float)
        Gain of the music in dB at frames of the timeline: the plan's curve with its fades.
    markers : tuple of (int, str)
        Frames and names.
    notes : tuple of str
    """

    rate_hz: Fraction
    num_frames: int
    video: Source
    track: Source
    music: tuple[Clip, ...]
    original_db: float | None
    levels_db: tuple[tuple[int, float], ...]
    markers: tuple[tuple[int, str], ...]
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the sequence."""
        return self.video.path.stem

    @property
    def picture(self) -> Clip:
        """The video from its first to its last frame."""
        return Clip(0, self.num_frames, 0)

    @property
    def timebase(self) -> int:
        """Frames that a time code counts in a second."""
        return round(self.rate_hz)

    def timecode(self, frame: int) -> str:
        """Return a non-drop time code."""
        seconds, frames = divmod(frame, self.timebase)
        return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{frames:02d}"

    def levels_of(self, clip: Clip) -> tuple[tuple[int, float], ...]:
        """Return the levels inside a clip, from its first to its last frame, at frames of the timeline."""
        if not self.levels_db:
            return ()
        frames, gains = zip(*self.levels_db, strict=True)
        inside = sorted({clip.start, clip.end - 1, *(f for f in frames if clip.start <= f < clip.end)})
        values = np.interp(inside, frames, gains)
        return tuple((frame, round(float(gain), 2)) for frame, gain in zip(inside, values, strict=True))


def timeline_of(plan: Plan, *, video: Path | str, track: Path | str) -> Timeline:
    """Round a plan to frames; every format is written from the result, so that all are equal.

    Times are rounded to the nearest frame, ties up. A clip whose rounded end is behind the end of the track starts a
    frame earlier in it.
    """
    rate = timeline_rate(plan.video.frame_rate_hz)
    notes = []
    if rate != plan.video.frame_rate_hz:
        notes.append(
            f"editing programs have no {float(plan.video.frame_rate_hz):.3f} frames/s; "
            f"the timeline runs at {float(rate):.3f}"
        )
    info, sound = probe(video), probe(track)
    num_frames = max(1, _frame(plan.video.length_s, rate))
    available = int(plan.track.length_s * rate)
    clips = []
    for number, piece in enumerate(plan.pieces):
        start, end = (min(_frame(plan.starts_s[number + i], rate), num_frames) for i in (0, 1))
        if end > start:
            source_start = min(_frame(piece.start_s, rate), max(0, available - (end - start)))
            clips.append(Clip(start, end, source_start))
    picture, own, music = info.video, info.audio, sound.audio
    return Timeline(
        rate_hz=rate,
        num_frames=num_frames,
        video=Source(
            Path(video).resolve(),
            num_frames,
            num_channels=own.num_channels if own else 0,
            sample_rate_hz=own.sample_rate_hz if own else 0,
            width_px=picture.width_px if picture else 0,
            height_px=picture.height_px if picture else 0,
        ),
        track=Source(
            Path(track).resolve(),
            max(available, 1),
            num_channels=music.num_channels if music else 2,
            sample_rate_hz=music.sample_rate_hz if music else 48_000,
        ),
        music=tuple(clips),
        original_db=plan.original_db,
        levels_db=_levels(plan, rate, num_frames),
        markers=_markers(plan, rate, num_frames),
        notes=tuple(notes),
    )


def timeline_rate(rate_hz: Fraction) -> Fraction:
    """Return the rate itself if editing programs have it, else one that is a multiple of it, else the nearest."""
    multiples = [standard for standard in STANDARD_RATES_HZ if (standard / rate_hz).denominator == 1]
    return min(multiples or STANDARD_RATES_HZ, key=lambda standard: abs(standard - rate_hz))


def _frame(time_s: Fraction, rate_hz: Fraction) -> int:
    return int(time_s * rate_hz + Fraction(1, 2))


def _levels(plan: Plan, rate_hz: Fraction, num_frames: int) -> tuple[tuple[int, float], ...]:
    """Return the gain curve with the fades, in dB; empty where the gain is 0 dB throughout."""
    last = min(_frame(plan.music_s, rate_hz), num_frames) - 1
    fade_in = _frame(plan.fade_in_s, rate_hz)
    fade_out = last - _frame(plan.fade_out_s, rate_hz)
    times = [float(point.at_s * rate_hz) for point in plan.gain]
    gains = [point.gain_db for point in plan.gain]

    def gain_db(frame: int) -> float:
        return round(float(np.interp(frame, times, gains)), 2) if times else 0.0

    levels = {
        frame: gain_db(frame) for frame in {*(_frame(p.at_s, rate_hz) for p in plan.gain), fade_in, fade_out}
    }
    if fade_in > 0:
        levels[0] = SILENCE_DB
    if fade_out < last:
        levels[last] = SILENCE_DB
    found = tuple(sorted((frame, gain) for frame, gain in levels.items() if 0 <= frame <= max(last, 0)))
    return found if any(gain for _, gain in found) else ()


def _markers(plan: Plan, rate_hz: Fraction, num_frames: int) -> tuple[tuple[int, str], ...]:
    counts = {"cut": 0, "beat": 0}
    found = []
    for marker in plan.markers:
        counts[marker.kind] += 1
        frame = min(_frame(marker.at_s, rate_hz), num_frames - 1)
        found.append((frame, f"{marker.kind} {counts[marker.kind]}"))
    return tuple(found)
