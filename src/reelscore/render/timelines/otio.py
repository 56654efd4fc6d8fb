"""OpenTimelineIO JSON."""

from __future__ import annotations

import json
from typing import Any

from .timeline import Clip, Source, Timeline


def to_otio(timeline: Timeline) -> str:
    """Return a timeline as OpenTimelineIO JSON, readable by version 0.15 and later.

    The levels of the music are in the metadata of its track: the format has no volume automation.
    """
    rate_hz = float(timeline.rate_hz)

    def time(frame: int) -> dict[str, Any]:
        return {"OTIO_SCHEMA": "RationalTime.1", "rate": rate_hz, "value": float(frame)}

    def span(start: int, num_frames: int) -> dict[str, Any]:
        return {"OTIO_SCHEMA": "TimeRange.1", "start_time": time(start), "duration": time(num_frames)}

    def item(clip: Clip, source: Source) -> dict[str, Any]:
        media = {
            "OTIO_SCHEMA": "ExternalReference.1",
            "name": source.name,
            "available_range": span(0, source.num_frames),
            "target_url": source.url,
            "metadata": {},
        }
        return {
            "OTIO_SCHEMA": "Clip.2",
            "name": source.name,
            "source_range": span(clip.source_start, clip.num_frames),
            "media_references": {"DEFAULT_MEDIA": media},
            "active_media_reference_key": "DEFAULT_MEDIA",
            "effects": [],
            "markers": [],
            "metadata": {},
        }

    def track(name: str, kind: str, items: list[dict[str, Any]], **levels: Any) -> dict[str, Any]:
        metadata = {"reelscore": levels} if levels else {}
        return {"OTIO_SCHEMA": "Track.1", "name": name, "kind": kind, "children": items, "metadata": metadata}

    own = [item(timeline.picture, timeline.video)]
    music = [item(clip, timeline.track) for clip in timeline.music]
    tracks = [track("V1", "Video", own)]
    if timeline.original_db is not None:
        tracks.append(track("original", "Audio", own, gain_db=timeline.original_db))
    tracks.append(track("music", "Audio", music, levels_db=[list(level) for level in timeline.levels_db]))
    markers = [
        {
            "OTIO_SCHEMA": "Marker.2",
            "name": name,
            "marked_range": span(frame, 1),
            "color": "RED" if name.startswith("cut") else "CYAN",
            "metadata": {},
        }
        for frame, name in timeline.markers
    ]
    content = {
        "OTIO_SCHEMA": "Timeline.1",
        "name": timeline.name,
        "global_start_time": time(0),
        "metadata": {},
        "tracks": {
            "OTIO_SCHEMA": "Stack.1",
            "name": "tracks",
            "children": tracks,
            "markers": markers,
            "metadata": {},
        },
    }
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"
