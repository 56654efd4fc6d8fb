"""Reasons of a match, from the parts of its score and its moment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .match import Moment, Reason
from .query import Query
from .ranking import Placed


def explain(
    placed: Placed, moment: Moment, terms: Sequence[str], query: Query, *, clip_s: float
) -> tuple[Reason, ...]:
    """Return the reasons of a match; each has a part of the score, or what was measured, as its value.

    Parameters
    ----------
    placed : Placed
    moment : Moment
        The part of the track that is played.
    terms : sequence of str
        Vocabulary terms that query and track share.
    query : Query
    clip_s : float
        Length of the video.
    """
    track, parts = placed.track, placed.parts
    found = [Reason("terms", ", ".join(terms))] if terms else []
    for entry in query.like:
        cosine = float(np.dot(entry.embedding.astype(np.float64), placed.embedding))
        found.append(Reason("like", f"like {entry.track.title!r}: {cosine:.2f}", cosine))
    if moment.is_on_beat:
        bpm = placed.facts.values.get("bpm")
        at = "" if bpm is None else f", at {bpm:.0f} bpm"
        on_beat = f"{moment.num_on_beat} of {moment.num_cuts} cuts on beats{at}"
        found.append(Reason("cuts", on_beat, moment.gain))
    if placed.moments is not None:
        place = f"from {_minutes(moment.start_s)} of {_minutes(track.duration_s)}"
        found.append(Reason("moment", place, parts.get("moment")))
        if track.duration_s < clip_s:
            short = f"shorter than the video: {_minutes(track.duration_s)} for {_minutes(clip_s)}"
            found.append(Reason("length", short, track.duration_s))
    for name, text in (
        ("track", "the whole track: {:.2f}"),
        ("text", "the text: {:.2f}"),
        ("video rank", "rank {:.0f} by the video"),
        ("text rank", "rank {:.0f} by the text"),
        ("hubness", "for how well it matches any query: {:+.2f}"),
    ):
        if name in parts:
            found.append(Reason(name, text.format(parts[name]), parts[name]))
    return tuple(found)


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
