"""Facts about a track, such as tempo and licence, and where each comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from reelscore.files import parse_json

Kind = Literal["number", "text", "flag", "list"]
Value = str | float | int | bool | tuple[str, ...]

Source = Literal["csv", "tag", "analysis", "pack"]
SOURCES: tuple[Source, ...] = get_args(Source)
"""Where a value comes from, by precedence: a value from a CSV file replaces one from a tag."""

BUILT_IN: Mapping[str, Kind] = {
    "bpm": "number",
    "bpm_alt": "number",
    "beat_strength": "number",
    "meter": "number",
    "tonic": "number",
    "mode": "text",
    "key": "text",
    "key_confidence": "number",
    "lufs": "number",
    "true_peak": "number",
    "lra": "number",
    "energy": "number",
    "vocals": "text",
    "genre": "list",
    "mood": "list",
    "instruments": "list",
    "isrc": "text",
    "licence": "text",
    "explicit": "flag",
    "recording_id": "text",
}
"""Columns of every library, in the order in which they are shown."""

TRACK_KINDS: Mapping[str, Kind] = {
    "title": "text",
    "artist": "text",
    "album": "text",
    "path": "text",
    "length_s": "number",
}
"""Columns that are no facts but may be filtered by."""

IMPORTED_PREFIX = "csv_"
_SQL_NAMES = {"key": "music_key", "length_s": "duration_s"}

# Without the value that it describes or is an alternative to, the first of each pair would mislead.
_DEPENDENT = {"bpm_alt": "bpm", "key_confidence": "key"}


def sql_name(column: str) -> str:
    """Return the name of a column in the table, which SQL conditions use.

    Examples
    --------
    >>> [sql_name(column) for column in ("bpm", "key", "length_s", "title", "price")]
    ['bpm', 'music_key', 'duration_s', 'title', 'csv_price']
    """
    if column in BUILT_IN or column in TRACK_KINDS:
        return _SQL_NAMES.get(column, column)
    return IMPORTED_PREFIX + column


@dataclass(frozen=True, slots=True)
class TrackFacts:
    """Facts about a track.

    Attributes
    ----------
    values : Mapping of str to str, float, int, bool or tuple of str
        By column; an absent name is unknown.
    sources : Mapping of str to str
        Source of each of the values, one of `SOURCES`.
    rhythm : bytes
        Binary form of `analysis.rhythm.Rhythm`; empty where unknown.
    outranked : Mapping of str to Mapping
        Values that another source replaces, by source and column.
    """

    values: Mapping[str, Value] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    rhythm: bytes = b""
    outranked: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)

    @classmethod
    def combine(cls, by_source: Mapping[str, Mapping[str, Value]], *, rhythm: bytes = b"") -> TrackFacts:
        """Return the facts of several sources; of each column the first source in `SOURCES` counts."""
        present = [source for source in SOURCES if source in by_source]
        sources = {name: source for source in reversed(present) for name in sorted(by_source[source])}
        if len(present) == 1:
            return cls({name: by_source[present[0]][name] for name in sources}, sources, rhythm)
        for dependent, name in _DEPENDENT.items():
            if dependent in sources and sources.get(name, sources[dependent]) != sources[dependent]:
                del sources[dependent]
        outranked: dict[str, Mapping[str, Value]] = {
            source: hidden
            for source in present
            if (hidden := {n: v for n, v in by_source[source].items() if sources.get(n) != source})
        }
        return cls({n: by_source[s][n] for n, s in sources.items()}, sources, rhythm, outranked)

    def by_source(self) -> dict[str, dict[str, Value]]:
        """Return all values by source and column, those of no effect too."""
        found: dict[str, dict[str, Value]] = {s: dict(values) for s, values in self.outranked.items()}
        for name, value in self.values.items():
            found.setdefault(self.sources[name], {})[name] = value
        return found

    def with_source(self, source: Source, values: Mapping[str, Value]) -> TrackFacts:
        """Return the facts with `values` in place of all that came from a source."""
        return TrackFacts.combine(self.by_source() | {source: dict(values)}, rhythm=self.rhythm)

    def to_json(self) -> str:
        """Return values and sources as JSON; equal facts give equal texts."""
        return json.dumps(self.by_source(), ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes, *, rhythm: bytes = b"") -> TrackFacts:
        """Read the form of `to_json`; an empty text means that nothing is known."""
        if not text:
            return cls(rhythm=rhythm)
        document: dict[str, dict[str, Any]] = parse_json(text)
        return cls.combine(
            {
                source: {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
                for source, values in document.items()
            },
            rhythm=rhythm,
        )


@dataclass(frozen=True, slots=True)
class TrackDetails:
    """What only one chosen track needs, in a table of its own.

    Attributes
    ----------
    fingerprint : bytes
        `analysis.fingerprint.Fingerprint` as little-endian 32-bit words.
    peaks : bytes
        Waveform: largest amplitude in each tenth of a second, 255 for full scale.
    sections_s : tuple of float
        Starts of the sections.
    """

    fingerprint: bytes = b""
    peaks: bytes = b""
    sections_s: tuple[float, ...] = ()
