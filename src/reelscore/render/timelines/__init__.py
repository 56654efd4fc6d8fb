"""Export a plan as a timeline for an editing program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from reelscore.files import write_bytes
from reelscore.render.plan import Plan

from .edl import to_edl
from .fcp7 import to_fcp7
from .fcpxml import to_fcpxml
from .otio import to_otio
from .timeline import Timeline, timeline_of

TIMELINES: dict[str, Callable[[Timeline], str]] = {
    ".otio": to_otio,
    ".fcpxml": to_fcpxml,
    ".xml": to_fcp7,
    ".edl": to_edl,
}
"""Formats by suffix: OpenTimelineIO, FCPXML 1.10, Final Cut Pro 7 XML (Premiere, Resolve), CMX 3600."""


def write_timeline(plan: Plan, out: Path | str, *, video: Path | str, track: Path | str) -> tuple[str, ...]:
    """Write a plan as the timeline that the suffix names, and return notes; an existing file is replaced."""
    timeline = timeline_of(plan, video=video, track=track)
    write_bytes(out, TIMELINES[Path(out).suffix.lower()](timeline).encode())
    return timeline.notes
