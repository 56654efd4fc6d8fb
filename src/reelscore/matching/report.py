"""Ranked matches of one query, in the form of ``match --json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reelscore.errors import ReelscoreError
from reelscore.types import MediaInfo

from .match import Match
from .request import MatchRequest


@dataclass(frozen=True, slots=True)
class FailedVideo:
    """One of several videos that cannot be matched, and why."""

    video: str
    error: ReelscoreError

    def to_json(self) -> dict[str, Any]:
        """Return plain data; the matches of other videos have no key ``error``."""
        return {"query": {"video": self.video}, "error": str(self.error)}


@dataclass(frozen=True, slots=True)
class MatchReport:
    """A query and its matches.

    Attributes
    ----------
    query : MediaInfo or None
        The video of the query.
    text : str or None
        The text of the query.
    model : mapping
        ``name``, ``fingerprint`` and ``trained`` of the model, the fingerprint of the ``text_encoder`` that reads
        text, whether the text of videos is read (``reads_words``), and messages on inputs that are not available
        (``missing_words``). ``blend`` is always None.
    matches : tuple of Match
    notes : tuple of str
        Messages for the user about this query, such as that nothing fits well.
    understood : str
        What the text query was understood as; empty without one.
    request : MatchRequest
    """

    query: MediaInfo | None
    text: str | None
    model: Mapping[str, Any]
    matches: tuple[Match, ...]
    notes: tuple[str, ...] = ()
    understood: str = ""
    request: MatchRequest = MatchRequest()  # noqa: RUF009  (immutable)

    def to_json(self) -> dict[str, Any]:
        """Return plain data, with keys that do not change between releases."""
        video, duration_s = None, None
        if self.query is not None:
            video, duration_s = self.query.path, self.query.length_s("video")
        return {
            "query": {
                "video": video,
                "duration_s": None if duration_s is None else round(duration_s, 3),
                "text": self.text,
                "understood": self.understood or None,
                "like": list(self.request.like),
                "not": list(self.request.unlike),
                "where": list(self.request.where),
            },
            "model": dict(self.model),
            "matches": [
                {
                    "rank": m.rank,
                    "key": m.track.key,
                    "track": m.track.path,
                    "title": m.track.title,
                    "artist": m.track.artist,
                    "score": round(m.score, 6),
                    "start_s": round(m.start_s, 3),
                    "end_s": round(m.end_s, 3),
                    "duration_s": round(m.track.duration_s, 3),
                    "beat": {
                        "on_beat": m.moment.is_on_beat,
                        "gain": round(m.moment.gain, 3),
                        "cuts": m.moment.num_cuts,
                        "cuts_on_beat": m.moment.num_on_beat,
                    },
                    "reasons": list(m.reasons),
                    "fit": m.fit or None,
                    "violations": list(m.violations),
                    "explanation": [
                        {
                            "kind": reason.kind,
                            "text": reason.text,
                            "value": None if reason.value is None else round(reason.value, 6),
                        }
                        for reason in m.explanation
                    ],
                }
                for m in self.matches
            ],
            "notes": list(self.notes),
        }
