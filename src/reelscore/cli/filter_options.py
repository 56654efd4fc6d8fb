"""Options of ``match`` that choose tracks; filters become conditions of one filter."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated

import typer

from reelscore.cli.options import MATCHING
from reelscore.errors import InputError

FILTERS = "Filters (docs: choosing)"

WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="FILTER",
        help="Keep the tracks for which this is true: \"bpm between 90 and 120 and vocals = 'no'\". Columns as in "
        "'show'; repeat it for several.",
        rich_help_panel=FILTERS,
    ),
]
BpmOption = Annotated[
    str | None,
    typer.Option(
        "--bpm",
        metavar="RANGE",
        help="Tempo: 90-120, 90-, -120, or 120 (within 4%). The alternative tempo of a track counts too.",
        rich_help_panel=FILTERS,
    ),
]
LengthOption = Annotated[
    str | None,
    typer.Option(
        "--length",
        metavar="RANGE",
        help="Length of the track: 1:00-3:00, 1:00-, -3:00, or 2:00 (within 4%).",
        rich_help_panel=FILTERS,
    ),
]
MinLengthOption = Annotated[
    str | None,
    typer.Option(
        "--min-length",
        metavar="TIME",
        help="Least length of the track: 1:30, or 90.",
        rich_help_panel=FILTERS,
    ),
]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--key", metavar="KEY", help='Key: "A minor", or A for both modes.', rich_help_panel=FILTERS
    ),
]
GenreOption = Annotated[
    list[str] | None,
    typer.Option(
        "--genre", metavar="NAME", help="Genre; repeat it for any of several.", rich_help_panel=FILTERS
    ),
]
MoodOption = Annotated[
    list[str] | None,
    typer.Option(
        "--mood", metavar="NAME", help="Mood; repeat it for any of several.", rich_help_panel=FILTERS
    ),
]
LicenceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--licence",
        metavar="NAME",
        help="Licence, such as CC-BY; % matches any text, as in 'CC%'. Repeat it for any of several.",
        rich_help_panel=FILTERS,
    ),
]
ArtistOption = Annotated[
    list[str] | None,
    typer.Option(
        "--artist", metavar="NAME", help="Artist; repeat it for any of several.", rich_help_panel=FILTERS
    ),
]
NoExplicitOption = Annotated[
    bool,
    typer.Option(
        "--no-explicit",
        help="Without tracks that are marked explicit; unmarked ones stay.",
        rich_help_panel=FILTERS,
    ),
]
InstrumentalOption = Annotated[
    bool, typer.Option("--instrumental", help="Only tracks without vocals.", rich_help_panel=FILTERS)
]

LikeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--like",
        metavar="TRACK",
        help="Find music like this track of the library, by a name as for 'show'. Alone, or with a video or a text; "
        "repeat it for several.",
        rich_help_panel=MATCHING,
    ),
]
NotOption = Annotated[
    list[str] | None,
    typer.Option(
        "--not",
        metavar="TRACK",
        help="Find music unlike this track; repeat it for several.",
        rich_help_panel=MATCHING,
    ),
]
DiversityOption = Annotated[
    float,
    typer.Option(
        "--diversity",
        metavar="D",
        min=0,
        max=1,
        help="Lowers tracks that are similar to one above them; 0 sorts by score alone.",
        rich_help_panel=MATCHING,
    ),
]
AllRecordingsOption = Annotated[
    bool,
    typer.Option(
        "--all-recordings",
        help="Show every copy of the same recording, not only the best.",
        rich_help_panel=MATCHING,
    ),
]

_TOLERANCE = 0.04
"""Relative tolerance of a single value in place of a range, as that of "120 bpm" in a text."""


def filters(
    *,
    where: list[str] | None = None,
    bpm: str | None = None,
    length: str | None = None,
    min_length: str | None = None,
    key: str | None = None,
    genre: list[str] | None = None,
    mood: list[str] | None = None,
    licence: list[str] | None = None,
    artist: list[str] | None = None,
    no_explicit: bool = False,
    instrumental: bool = False,
) -> tuple[str, ...]:
    """Return the filters that the options mean, for `MatchRequest.where`.

    Examples
    --------
    >>> filters(bpm="90-120", genre=["Rock", "Pop"], instrumental=True)
    ('bpm between 90 and 120 or bpm_alt between 90 and 120', "genre = 'Rock' or genre = 'Pop'", "vocals = 'no'")
    """
    from reelscore.matching.text_request import parse_key

    conditions = list(where or ())
    if bpm is not None:
        low, high = _near(*_bounds("--bpm", bpm, _number))
        conditions.append(" or ".join(_between(column, low, high) for column in ("bpm", "bpm_alt")))
    if length is not None:
        conditions.append(_between("length_s", *_near(*_bounds("--length", length, _seconds))))
    if min_length is not None:
        try:
            conditions.append(f"length_s >= {_seconds(min_length.strip()):g}")
        except ValueError:
            raise InputError(
                f"--min-length {min_length!r} is no length. Give it as 1:30, or in seconds"
            ) from None
    if key is not None:
        tonic, major = parse_key(key)
        mode = "" if major is None else f" and mode = '{'major' if major else 'minor'}'"
        conditions.append(f"tonic = {tonic}{mode}")
    for column, names in (("genre", genre), ("mood", mood), ("licence", licence), ("artist", artist)):
        if names:
            sign = "like" if column == "licence" else "="
            conditions.append(" or ".join(f"{column} {sign} {_quoted(name)}" for name in names))
    if no_explicit:
        conditions.append("explicit = false or explicit is null")
    if instrumental:
        conditions.append("vocals = 'no'")
    return tuple(conditions)


def _bounds(option: str, text: str, read: Callable[[str], float]) -> tuple[float | None, float | None]:
    """Return the bounds of a range such as ``90-120``, ``90-``, ``-120`` or ``90``; None where open."""
    parts = [part.strip() for part in re.split(r"\s*[-–]\s*", text.strip())]
    try:
        bounds = [read(part) if part else None for part in parts]
        low, high = (bounds[0], bounds[0]) if len(bounds) == 1 else bounds
        if (low, high) == (None, None):
            raise ValueError
    except ValueError:
        raise InputError(
            f"{option} {text!r} is no range. Give the lowest and the highest value, such as "
            f"{'1:00-3:00' if read is _seconds else '90-120'}, or leave one of them open"
        ) from None
    if low is not None and high is not None and low > high:
        raise InputError(f"{option} {text!r} is empty: the lowest value comes first. Swap the two")
    return low, high


def _near(low: float | None, high: float | None) -> tuple[float | None, float | None]:
    """Return the bounds, with the tolerance around a single value."""
    if low is None or low != high:
        return low, high
    return (1 - _TOLERANCE) * low, (1 + _TOLERANCE) * low


def _number(text: str) -> float:
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise ValueError(text)
    return float(text)


def _seconds(text: str) -> float:
    """Read ``90`` or ``1:30`` or ``1:00:00``."""
    if not re.fullmatch(r"(\d+:){0,2}\d+(\.\d+)?", text):
        raise ValueError(text)
    seconds = 0.0
    for part in text.split(":"):
        seconds = 60 * seconds + float(part)
    return seconds


def _between(column: str, low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return f"{column} <= {high:g}" if low is None else f"{column} >= {low:g}"
    return f"{column} between {low:g} and {high:g}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
