"""Export a plan as a timeline for an editing program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from reelscore.media.writer import output_file
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
    """Write a plan as the timeline that the suffix names, and return notes; an existing file is replaced.

    Raises
    ------
    MediaError
        If a source cannot be read, or the file cannot be written.
    """
    timeline = timeline_of(plan, video=video, track=track)
    content = TIMELINES[Path(out).suffix.lower()](timeline).encode()
    with output_file(out) as file:
        file.write(content)
    return timeline.notes
