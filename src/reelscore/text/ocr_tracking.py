"""Merge the readings of successive frames into timed lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from reelscore.types import Segment

from .timed_lines import Line

MIN_SIMILARITY = 0.8
"""Two readings with this share of common letters or more are the same line."""

_MAX_MISSED_FRAMES = 1  # a line may be unread in this many frames in a row


@dataclass(frozen=True, slots=True)
class Reading:
    """A line of text in one frame, with its confidence (0 to 1) and its bounding box in pixels."""

    text: str
    confidence: float
    left: float
    top: float
    right: float
    bottom: float

    @property
    def height(self) -> float:
        """Height of the box, in pixels."""
        return self.bottom - self.top

    @property
    def centre(self) -> float:
        """Vertical centre of the box, in pixels from the top of the frame."""
        return (self.top + self.bottom) / 2


def reading_order(readings: Sequence[Reading]) -> list[Reading]:
    """Sort the readings of a frame in rows from the top, and each row from the left.

    Boxes are in one row if their centres differ by less than half the height of the smaller box.
    """
    rows: list[list[Reading]] = []
    for one in sorted(readings, key=lambda r: (r.centre, r.left)):
        row = rows[-1] if rows else None
        if row and one.centre - row[0].centre < min(one.height, row[0].height) / 2:
            row.append(one)
        else:
            rows.append([one])
    return [one for row in rows for one in sorted(row, key=lambda r: r.left)]


def is_same_line(one: str, other: str) -> bool:
    """Return whether two texts share `MIN_SIMILARITY` of their letters and all digits.

    Examples
    --------
    >>> is_same_line("The wind rose", "Tne windrose."), is_same_line("Part 1", "Part 2")
    (True, False)
    """
    a, b = ("".join(c for c in text.casefold() if c.isalnum()) for text in (one, other))
    if a == b:
        return True
    if [c for c in a if c.isdigit()] != [c for c in b if c.isdigit()]:
        return False  # "Part 1" and "Part 2" are two lines
    return SequenceMatcher(None, a, b, autojunk=False).ratio() >= MIN_SIMILARITY


def track_lines(frames: Sequence[tuple[Segment, Sequence[Reading]]]) -> tuple[Line, ...]:
    """Track lines from frame to frame.

    Parameters
    ----------
    frames : sequence of (Segment, readings)
        The readings in the frame of each segment, in order of time.

    Returns
    -------
    tuple of Line
        In order of appearance, and within a frame in reading order. A line spans its first to its last segment, and
        its text is the reading with the highest confidence.
    """
    tracks: list[_Track] = []
    for number, (segment, readings) in enumerate(frames):
        active = [track for track in tracks if number - track.last_frame <= 1 + _MAX_MISSED_FRAMES]
        for reading in reading_order(readings):
            match = next(
                (t for t in active if t.last_frame < number and is_same_line(t.best.text, reading.text)), None
            )
            if match is None:
                match = _Track(reading, number, segment.start_s, segment.end_s)
                tracks.append(match)
            elif reading.confidence > match.best.confidence:
                match.best = reading
            match.last_frame, match.end_s = number, segment.end_s
    return tuple(Line(t.best.text, t.start_s, t.end_s, t.best.confidence) for t in tracks)


@dataclass(slots=True)
class _Track:
    best: Reading
    last_frame: int
    start_s: float
    end_s: float
