"""The edit plan: which parts of a track play where under a video."""

from __future__ import annotations

import json
import re
from dataclasses import MISSING, dataclass, fields
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args

from reelscore.errors import ArtifactError, InputError
from reelscore.files import existing_file, parse_json, read_file
from reelscore.media.writer import output_file

FORMAT = "reelscore plan 1"
MAX_BYTES = 16 << 20
MAX_S = 7 * 24 * 3600
GAIN_DB = (-60.0, 12.0)
"""Range of gains, as in editing programs."""

# No exponents: a fraction with an exponent of nine digits would fill the memory.
_RATIONAL = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18}|/0*[1-9][0-9]{0,17})?")

MarkerKind = Literal["cut", "beat"]


@dataclass(frozen=True)
class Video:
    """The video of a plan: its path, exact length and nominal frame rate."""

    path: str
    length_s: Fraction
    frame_rate_hz: Fraction


@dataclass(frozen=True)
class Song:
    """The track of a plan: its path, content hash (`reelscore.files.content_hash`), length and tags."""

    path: str
    hash: str
    length_s: Fraction
    title: str = ""
    artist: str = ""


@dataclass(frozen=True)
class Piece:
    """Part [start_s, end_s) of the track, and the cost of the seam before it, if a planner chose it."""

    start_s: Fraction
    end_s: Fraction
    seam_cost: float | None = None


@dataclass(frozen=True)
class GainPoint:
    """Level of the music at a time of the video; levels between two points are interpolated."""

    at_s: Fraction
    gain_db: float


@dataclass(frozen=True)
class Marker:
    """A cut of the video or a beat of the music, at a time of the video."""

    at_s: Fraction
    kind: MarkerKind


@dataclass(frozen=True)
class Plan:
    """A finished edit, from which the render and all timelines are made.

    Attributes
    ----------
    video : Video
    track : Song
    pieces : tuple of Piece
        Parts of the track, played one after another from the first frame. Silence follows if they are shorter than
        the video.
    fade_in_s, fade_out_s : Fraction
        Fades at the beginning and the end of the music.
    gain : tuple of GainPoint
        Level of the music over the video's time, before levelling; none means 0 dB throughout.
    original_db : float or None
        Gain of the video's own sound, before levelling; None drops the sound.
    markers : tuple of Marker
    """

    video: Video
    track: Song
    pieces: tuple[Piece, ...]
    fade_in_s: Fraction = Fraction(0)
    fade_out_s: Fraction = Fraction(0)
    gain: tuple[GainPoint, ...] = ()
    original_db: float | None = None
    markers: tuple[Marker, ...] = ()

    def __post_init__(self) -> None:
        _check(self)

    @cached_property
    def starts_s(self) -> tuple[Fraction, ...]:
        """Times of the video at which the pieces start, and the end of the last one."""
        times = [Fraction(0)]
        for piece in self.pieces:
            times.append(times[-1] + piece.end_s - piece.start_s)
        return tuple(times)

    @property
    def music_s(self) -> Fraction:
        """Length of the music in the video."""
        return self.starts_s[-1]


def save_plan(plan: Plan, path: Path | str) -> None:
    """Write a plan as JSON; an existing file is replaced.

    Times that are no decimal number of at most six digits are written as ``"1001/30000"``.
    """
    content = {"format": FORMAT, **_to_json(plan)}
    text = json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    with output_file(path) as file:
        file.write(text.encode())


def load_plan(path: Path | str) -> Plan:
    """Read a plan.

    Raises
    ------
    NotFoundError
        If the file does not exist.
    ArtifactError
        If it is not a plan, or was edited into one that cannot be rendered.
    """
    file = existing_file(path)
    if file.stat().st_size > MAX_BYTES:
        raise ArtifactError(f"{path}: larger than {MAX_BYTES >> 20} MB; expected a plan of reelscore")
    try:
        content = parse_json(read_file(file))
    except ValueError as error:
        raise ArtifactError(f"{path}: not JSON ({error}); repair the line, or plan again") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else None
        raise ArtifactError(
            f'{path}: expected a plan with "format": "{FORMAT}", got {found!r}; write one with '
            "'reelscore render ... -o plan.json'"
        )
    try:
        plan: Plan = _from_json(Plan, {k: v for k, v in content.items() if k != "format"}, "")
    except InputError as error:
        raise ArtifactError(f"{path}: {error}; repair the file, or plan again") from None
    return plan


def _check(plan: Plan) -> None:
    """Raise `InputError` for a plan that cannot be rendered."""
    video, track = plan.video, plan.track
    for name, length in (("video.length_s", video.length_s), ("track.length_s", track.length_s)):
        if not 0 < length <= MAX_S:
            raise InputError(f"{name} must be between 0 and {MAX_S} s, got {_text(length)}")
    if not 1 <= video.frame_rate_hz <= 1000:
        raise InputError(f"video.frame_rate_hz must be 1 to 1000, got {_text(video.frame_rate_hz)}")
    if not plan.pieces:
        raise InputError("pieces is empty; a plan needs at least one part of the track")
    for number, piece in enumerate(plan.pieces):
        if not 0 <= piece.start_s < piece.end_s <= track.length_s:
            raise InputError(
                f"pieces[{number}] is {_text(piece.start_s)} to {_text(piece.end_s)} s; expected "
                f"0 <= start_s < end_s <= {float(track.length_s):.3f}, the length of the track"
            )
    # A person who edits decimal times may be off by a rounding error of each.
    if plan.music_s > video.length_s + Fraction(len(plan.pieces), 100_000):
        raise InputError(
            f"pieces last {float(plan.music_s):.3f} s in total, longer than the video "
            f"({float(video.length_s):.3f} s); shorten the last one"
        )
    for name in ("fade_in_s", "fade_out_s"):
        if not 0 <= getattr(plan, name) <= plan.music_s:
            raise InputError(
                f"{name} must be between 0 and the length of the music ({float(plan.music_s):.3f} s), "
                f"got {_text(getattr(plan, name))}"
            )
    gains = {f"gain[{number}].gain_db": point.gain_db for number, point in enumerate(plan.gain)}
    if plan.original_db is not None:
        gains["original_db"] = plan.original_db
    for name, gain_db in gains.items():
        if not GAIN_DB[0] <= gain_db <= GAIN_DB[1]:
            raise InputError(f"{name} must be {GAIN_DB[0]:g} to {GAIN_DB[1]:g} dB, got {gain_db:g}")
    for name in ("gain", "markers"):
        times = [item.at_s for item in getattr(plan, name)]
        if any(not 0 <= at <= video.length_s for at in times):
            raise InputError(f"{name} has a time outside the video (0 to {float(video.length_s):.3f} s)")
        if any(a > b for a, b in pairwise(times)):
            raise InputError(f"{name} must be in the order of at_s")


def _text(value: Fraction) -> str:
    """Format a number as short decimal, else as a fraction."""
    return f"{float(value):g}" if (value * 1_000_000).denominator == 1 else str(value)


def _to_json(value: Any) -> Any:
    if isinstance(value, Fraction):
        if value.denominator == 1:
            return int(value)
        # A decimal is written only where reading it back gives the same rational number.
        return float(value) if Fraction(repr(float(value))) == value else str(value)
    if isinstance(value, tuple):
        return [_to_json(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return {field.name: _to_json(getattr(value, field.name)) for field in fields(value)}
    return value


_TYPES: dict[str, type] = {
    "Video": Video,
    "Song": Song,
    "Piece": Piece,
    "GainPoint": GainPoint,
    "Marker": Marker,
}


def _from_json(kind: Any, content: Any, where: str) -> Any:
    """Build a dataclass from a JSON object; unknown and missing keys are errors."""
    if not isinstance(content, dict):
        raise InputError(f"{where or 'the plan'} must be an object {{...}}, got {content!r:.60}")
    known = {field.name: field for field in fields(kind)}
    dot = f"{where}." if where else ""
    for key in content:
        if key not in known:
            raise InputError(f"unknown key {dot}{key}; expected {', '.join(known)}")
    values = {}
    for name, field in known.items():
        if name in content:
            values[name] = _value(str(field.type), content[name], dot + name)
    try:
        return kind(**values)
    except TypeError:
        missing = [n for n, f in known.items() if n not in content and f.default is MISSING]
        raise InputError(f"{where or 'the plan'} lacks {', '.join(missing)}") from None


def _value(kind: str, value: Any, where: str) -> Any:
    if kind.startswith("tuple["):
        if not isinstance(value, list):
            raise InputError(f"{where} must be a list [...], got {value!r:.60}")
        item = _TYPES[kind.removeprefix("tuple[").partition(",")[0]]
        return tuple(_from_json(item, part, f"{where}[{number}]") for number, part in enumerate(value))
    if kind in _TYPES:
        return _from_json(_TYPES[kind], value, where)
    if kind == "Fraction":
        return _rational(value, where)
    if kind == "MarkerKind":
        if value not in get_args(MarkerKind):
            raise InputError(f"{where} must be {' or '.join(get_args(MarkerKind))}, got {value!r:.60}")
        return value
    if kind == "str":
        if not isinstance(value, str):
            raise InputError(f"{where} must be text, got {value!r:.60}")
        return value
    if value is None and kind.endswith("None"):
        return None
    return float(_rational(value, where))


def _rational(value: Any, where: str) -> Fraction:
    """Read a JSON number, or a fraction such as ``"1001/30000"``, exactly."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= 10 * MAX_S:
        return Fraction(repr(value))
    if isinstance(value, str) and _RATIONAL.fullmatch(value):
        return Fraction(value)
    raise InputError(f'{where} must be a number or a fraction such as "1001/30000", got {value!r:.60}')
