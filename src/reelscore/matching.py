"""A video enters, ranked matches leave: the matcher over a library of music."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .catalogue import Library
from .domain import Match, MediaInfo
from .errors import InputError
from .features.cache import FeatureCache, default_folder
from .library.moments import best_moment
from .library.rerank import rerank
from .media.probe import probe
from .pipeline import OpenPipeline

_CANDIDATES = 100
"""Tracks whose moments are looked at; the rest is settled by the whole-track score."""


@dataclass(frozen=True, slots=True)
class MatchReport:
    """A query with its matches, in the shape that ``match --json`` prints."""

    query: MediaInfo
    model: Mapping[str, Any]
    matches: tuple[Match, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain data; the keys are kept stable from release to release."""
        return {
            "query": {"video": self.query.path, "duration_s": round(self.query.duration_s, 3)},
            "model": dict(self.model),
            "matches": [
                {
                    "rank": m.rank,
                    "track": m.track.path,
                    "title": m.track.title,
                    "artist": m.track.artist,
                    "score": round(m.score, 6),
                    "start_s": round(m.start_s, 3),
                    "duration_s": round(m.track.duration_s, 3),
                }
                for m in self.matches
            ],
        }


class Matcher:
    """Finds the tracks of a library that suit a video, and where in each to begin.

    Parameters
    ----------
    library : Library or path
        Where the music is.
    model : path, optional
        A trained model, which must be the one that the library was built with; by default that one.
    pack : path, optional
        Folder of the pack encoders, where it has moved since the library was built.
    cache : FeatureCache, optional
        By default the user's own.

    Examples
    --------
    ::

        matcher = Matcher(Library.open("music.library"))
        for match in matcher.match("holiday.mp4", k=5):
            print(match.rank, match.track.title, match.start_s)
    """

    def __init__(
        self,
        library: Library | Path | str,
        model: Path | str | None = None,
        *,
        pack: Path | str | None = None,
        cache: FeatureCache | None = None,
    ) -> None:
        self._library = (
            library
            if isinstance(library, Library)
            else Library.open(library, model=model, pack=pack, create=False)
        )
        if isinstance(library, Library) and model is not None:
            library.check_model(model)
        self._pipeline: OpenPipeline = self._library.pipeline.open(
            cache=cache or FeatureCache(default_folder(os.environ))
        )

    def match(self, video: Path | str, k: int = 10) -> list[Match]:
        """Return the `k` best tracks for a video, best first; fewer where the library is smaller."""
        return list(self.report(video, k=k).matches)

    def report(self, video: Path | str, *, k: int = 10) -> MatchReport:
        """Match a video and say with what: the query, the model and the matches.

        Raises
        ------
        InputError
            When `k` is below 1 or the library is empty.
        MediaError
            When the file has no pictures that can be decoded.
        """
        if k < 1:
            raise InputError(f"k, the number of matches, must be at least 1, got {k}")
        info = probe(video)
        query, _ = self._pipeline.video(video)
        index = self._library.searcher()
        if len(index) == 0:
            raise InputError(
                f"the library {self._library.path} holds no track yet; fill it: reelscore add MUSIC_FOLDER "
                f"--library {self._library.path}"
            )
        candidates = index.search(query, max(_CANDIDATES, 2 * k))
        moments = index.moments([track.key for track, _ in candidates])
        starts: dict[str, float] = {}
        scored = []
        for track, score in candidates:
            rows, starts_s, ends_s = moments[track.key]
            start_s, moment_score = best_moment(
                query, rows, starts_s, ends_s, clip_s=info.duration_s, duration_s=track.duration_s
            )
            starts[track.key] = start_s
            scored.append((track, score, moment_score))
        ranked = rerank(scored)[:k]
        embedder = self._pipeline.embedder
        return MatchReport(
            info,
            {"name": embedder.name, "fingerprint": embedder.fingerprint, "trained": embedder.trained},
            tuple(
                Match(i, score, track, starts[track.key]) for i, (track, score) in enumerate(ranked, start=1)
            ),
        )
