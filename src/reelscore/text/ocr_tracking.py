"""What was read in each of several frames enters; each line leaves once, with its best reading and its whole span."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from reelscore.types import Segment

from .timed_lines import Line

ALIKE = 0.8
"""From this share of common letters on, two readings are one line that was read twice."""

_MISSED = 1  # frames in which a line that stays may go unread


@dataclass(frozen=True, slots=True)
class Reading:
    """A line of text in one picture: what it says, how sure that is (0 to 1), and the box around it in pixels."""

    text: str
    confidence: float
    left: float
    top: float
    right: float
    bottom: float

    @property
    def height(self) -> float:
        """Of the box, in pixels."""
        return self.bottom - self.top

    @property
    def middle(self) -> float:
        """Of the box from top to bottom, in pixels from the picture's top."""
        return (self.top + self.bottom) / 2


def in_order(readings: Sequence[Reading]) -> list[Reading]:
    """Return the readings of a picture as one reads it: row by row from the top, each from the left.

    Boxes are of one row when their middles are nearer to each other than half the lower box is high.
    """
    rows: list[list[Reading]] = []
    for one in sorted(readings, key=lambda r: (r.middle, r.left)):
        row = rows[-1] if rows else None
        if row and one.middle - row[0].middle < min(one.height, row[0].height) / 2:
            row.append(one)
        else:
            rows.append([one])
    return [one for row in rows for one in sorted(row, key=lambda r: r.left)]


def alike(one: str, other: str) -> bool:
    """Say whether two texts are readings of one line: `ALIKE` of their letters are common, and all of their digits.

    Examples
    --------
    >>> alike("The wind rose", "Tne wind r0se"), alike("Part 1", "Part 2"), alike("calm", "sea")
    (False, False, False)
    >>> alike("The wind rose", "Tne windrose.")
    True
    """
    a, b = ("".join(c for c in text.casefold() if c.isalnum()) for text in (one, other))
    if a == b:
        return True
    if [c for c in a if c.isdigit()] != [c for c in b if c.isdigit()]:
        return False  # part 1 and part 2 are two lines
    return SequenceMatcher(None, a, b, autojunk=False).ratio() >= ALIKE


def lasting(frames: Sequence[tuple[Segment, Sequence[Reading]]]) -> tuple[Line, ...]:
    """Follow lines from frame to frame.

    Parameters
    ----------
    frames : sequence of (Segment, readings)
        What was read in the picture of each segment, in order of time.

    Returns
    -------
    tuple of Line
        In the order in which they appear, and inside a picture as one reads it. A line lasts from the beginning of the
        first segment in which it was read to the end of the last; it says the reading of which the reader was surest.
    """
    found: list[_Followed] = []
    for number, (segment, readings) in enumerate(frames):
        open_lines = [line for line in found if number - line.last <= 1 + _MISSED]
        for reading in in_order(readings):
            same = next(
                (line for line in open_lines if line.last < number and alike(line.best.text, reading.text)),
                None,
            )
            if same is None:
                same = _Followed(reading, number, segment.start_s, segment.end_s)
                found.append(same)
            elif reading.confidence > same.best.confidence:
                same.best = reading
            same.last, same.end_s = number, segment.end_s
    return tuple(Line(one.best.text, one.start_s, one.end_s, one.best.confidence) for one in found)


@dataclass(slots=True)
class _Followed:
    """A line while it is followed; `last` is the number of the frame in which it was read last."""

    best: Reading
    last: int
    start_s: float
    end_s: float
