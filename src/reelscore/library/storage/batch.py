"""Entries of one commit: which of them count, and what they keep of the tracks that they replace."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from reelscore.types import Track

from .entry import TrackEntry
from .facts import TrackFacts


def last_of_each(entries: Iterable[TrackEntry]) -> list[TrackEntry]:
    """Return the entries, each in place of earlier ones with its key or path."""
    by_key: dict[str, TrackEntry] = {}
    key_at: dict[str, str] = {}
    for entry in entries:
        track = entry.track
        earlier = by_key.pop(track.key, None)
        if earlier is not None:
            del key_at[earlier.track.path]
        by_key.pop(key_at.get(track.path, ""), None)
        by_key[track.key] = entry
        key_at[track.path] = track.key
    return list(by_key.values())


def keep_imported(
    batch: Sequence[TrackEntry], before: Sequence[tuple[Track, TrackFacts]]
) -> list[TrackEntry]:
    """Return the entries with the values from CSV files of the tracks that they replace."""
    imported = {
        name: csv
        for track, facts in before
        if (csv := facts.by_source().get("csv"))
        for name in (track.path, track.key)
    }
    kept = []
    for entry in batch:
        csv = imported.get(entry.track.key) or imported.get(entry.track.path)
        kept.append(replace(entry, facts=entry.facts.with_source("csv", csv)) if csv else entry)
    return kept
