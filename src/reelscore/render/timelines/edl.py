"""CMX 3600 edit decision list."""

from __future__ import annotations

import re

from .timeline import Clip, Source, Timeline


def to_edl(timeline: Timeline) -> str:
    """Return a timeline as a CMX 3600 list with non-drop time codes.

    Levels and markers are comments in the form that Avid and Resolve write, since the format has neither.
    """
    lines = [f"TITLE: {_ascii(timeline.name)[:70]}", "FCM: NON-DROP FRAME"]

    def event(channel: str, clip: Clip, source: Source) -> None:
        number = sum(1 for line in lines if line[:3].isdigit()) + 1
        times = (
            clip.source_start,
            clip.source_start + clip.num_frames,
            clip.start,
            clip.end,
        )
        lines.append("")
        lines.append(
            f"{number:03d}  AX       {channel:<5} C        {' '.join(map(timeline.timecode, times))}"
        )
        lines.append(f"* FROM CLIP NAME: {_ascii(source.name)}")
        lines.append(f"* SOURCE FILE: {_ascii(str(source.path))}")

    both = timeline.original_db is not None
    event("AA/V" if both else "V", timeline.picture, timeline.video)
    if timeline.original_db is not None:
        lines.append(_level(timeline, 0, timeline.original_db, "A1"))
    for frame, name in timeline.markers:
        colour = "RED" if name.startswith("cut") else "CYAN"
        lines.append(f"* LOC: {timeline.timecode(frame)} {colour:<7} {name}")
    for clip in timeline.music:
        event("A3" if both else "AA", clip, timeline.track)
        lines += [
            _level(timeline, frame, gain_db, "A3" if both else "A1")
            for frame, gain_db in timeline.levels_of(clip)
        ]
    return "\n".join(lines) + "\n"


def _level(timeline: Timeline, frame: int, gain_db: float, channel: str) -> str:
    return f"* AUDIO LEVEL AT {timeline.timecode(frame)} IS {gain_db:+.2f} DB  (REEL AX {channel})"


def _ascii(text: str) -> str:
    """Replace characters that the format does not allow: it is ASCII, one event or comment a line."""
    return re.sub(r"[^ -~]", "_", text)
