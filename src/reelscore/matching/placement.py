"""Place a video in a track, near the window that the model chose."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from reelscore.analysis.rhythm import Rhythm
from reelscore.library.storage.facts import TrackFacts
from reelscore.types import Track

from .alignment import align_start
from .match import Moment

TOO_SHORT = "shorter than the video"
"""Violation of a track that does not last."""

LEAST_BEATS = 16
"""Fewer beats cannot be extended: `render --fit` plays at least 8 between two seams."""


def rhythm_of(facts: TrackFacts) -> Rhythm | None:
    """Return the rhythm of a track, or None where it is unknown or has no steady beat.

    Raises
    ------
    ArtifactError
        If it is damaged or of another version.
    """
    return _steady_rhythm(facts.rhythm) if facts.rhythm else None


@lru_cache(maxsize=2048)
def _steady_rhythm(content: bytes) -> Rhythm | None:
    rhythm = Rhythm.from_bytes(content)
    return rhythm if rhythm.is_steady else None


def lasts(track: Track, facts: TrackFacts, *, clip_s: float) -> bool:
    """Return whether a track is as long as a video, or can probably be extended by repeating bars.

    Seams are planned for a chosen track only. Before that, a steady beat and `LEAST_BEATS` are taken as enough.
    """
    if track.duration_s >= clip_s:
        return True
    rhythm = rhythm_of(facts)
    return rhythm is not None and len(rhythm.beats_ms) >= LEAST_BEATS


def place(
    track: Track, facts: TrackFacts, start_s: float, *, cuts_s: Sequence[float], clip_s: float
) -> Moment:
    """Return the moment of a track near the start of the model's best window.

    Parameters
    ----------
    track : Track
    facts : TrackFacts
    start_s : float
        See `best_moment`.
    cuts_s : sequence of float
        Cuts of the video, in seconds after its first frame.
    clip_s : float
        Length of the video.
    """
    return _aligned(start_s, tuple(cuts_s), facts.rhythm, clip_s, track.duration_s)


@lru_cache(maxsize=4096)
def _aligned(
    start_s: float, cuts_s: tuple[float, ...], rhythm: bytes, clip_s: float, duration_s: float
) -> Moment:
    """Align a start; other questions about the same video place the same tracks again."""
    known = _steady_rhythm(rhythm) if rhythm else None
    return align_start(start_s, cuts_s, known, clip_s=clip_s, duration_s=duration_s)
