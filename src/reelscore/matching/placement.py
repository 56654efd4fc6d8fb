"""Place a video in tracks: the best window by the model, moved so that cuts fall on beats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from reelscore.analysis.rhythm import Rhythm
from reelscore.library.storage.entry import Moments
from reelscore.types import FloatArray, Moment, Track

from .alignment import align_start
from .moments import best_moment

LEAST_BEATS = 16
"""A track with fewer beats cannot be extended: `render --fit` plays at least 8 between two seams."""


def place(
    tracks: Iterable[Track],
    query: FloatArray,
    segments: Mapping[str, Moments],
    rhythms: Mapping[str, Rhythm],
    *,
    cuts_s: Sequence[float],
    clip_s: float,
) -> list[tuple[Moment, float]]:
    """Return the moment of each track, and the model's score of the window from which it was moved.

    Parameters
    ----------
    tracks : iterable of Track
    query : ndarray of float32, shape (D,)
        Norm 1.
    segments : mapping
        Embeddings, starts and ends of the segments of each track, by key.
    rhythms : mapping
        By key; a track without one keeps the start of its window.
    cuts_s : sequence of float
        Cuts of the video, in seconds after its first frame.
    clip_s : float
        Length of the video.

    Returns
    -------
    list of (Moment, float)
        In the order of `tracks`.
    """
    found = []
    for track in tracks:
        duration_s = track.duration_s
        start_s, score = best_moment(query, *segments[track.key], clip_s=clip_s, duration_s=duration_s)
        rhythm = rhythms.get(track.key)
        found.append((align_start(start_s, cuts_s, rhythm, clip_s=clip_s, duration_s=duration_s), score))
    return found


def fills(track: Track, rhythm: Rhythm | None, *, clip_s: float) -> bool:
    """Return whether a track lasts as long as a video, or can probably be extended by repeating bars.

    Seams are planned when a track is chosen. Before, a steady beat and `LEAST_BEATS` stand for good seams.
    """
    if track.duration_s >= clip_s:
        return True
    return rhythm is not None and rhythm.is_steady and len(rhythm.beats_ms) >= LEAST_BEATS
