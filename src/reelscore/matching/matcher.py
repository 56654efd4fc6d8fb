"""A video, or words, or both enter, ranked matches leave: the matcher over a library of music."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reelscore.encoders.cache import FeatureCache, default_folder
from reelscore.errors import ConfigError, InputError
from reelscore.library.library import Library
from reelscore.library.storage.entry import Moments
from reelscore.library.storage.open import Searcher
from reelscore.media.probe import probe
from reelscore.pipeline.pipeline import OpenPipeline
from reelscore.types import FloatArray, Match, MediaInfo, Track

from . import hubness as hubness_correction
from .moments import best_moment
from .rerank import rerank

_CANDIDATES = 100
"""Tracks whose moments are looked at; the rest is settled by the whole-track score."""

_CLIP_S = 30.0
"""Length that a moment is looked for where there is no video."""

TEXT_WEIGHT = 0.5
"""What words count beside a video: as much as the video."""


@dataclass(frozen=True, slots=True)
class MatchReport:
    """A query with its matches, in the shape that ``match --json`` prints.

    Attributes
    ----------
    query : MediaInfo or None
        The video, where there is one.
    text : str or None
        The words, where there are some.
    model : mapping
        Its ``name`` and ``fingerprint``, whether it was ``trained``, the fingerprint of its ``text_encoder``, whether
        it ``reads_words`` here, and notes on ``missing_words``. ``blend`` is always None.
    matches : tuple of Match
    """

    query: MediaInfo | None
    text: str | None
    model: Mapping[str, Any]
    matches: tuple[Match, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain data; the keys are kept stable from release to release."""
        video, duration_s = (None, None) if self.query is None else (self.query.path, self.query.duration_s)
        return {
            "query": {
                "video": video,
                "duration_s": None if duration_s is None else round(duration_s, 3),
                "text": self.text,
            },
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
                    "reasons": list(m.reasons),
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

    def match(
        self,
        video: Path | str | None = None,
        k: int = 10,
        *,
        text: str | None = None,
        text_weight: float = TEXT_WEIGHT,
        hubness: float | None = None,
    ) -> list[Match]:
        """Return the `k` best tracks, best first; fewer where the library is smaller. See `report`."""
        told = self.report(video, k=k, text=text, text_weight=text_weight, hubness=hubness)
        return list(told.matches)

    def report(
        self,
        video: Path | str | None = None,
        *,
        k: int = 10,
        text: str | None = None,
        text_weight: float = TEXT_WEIGHT,
        hubness: float | None = None,
    ) -> MatchReport:
        """Match a video, words, or both, and say with what.

        Parameters
        ----------
        video : path, optional
        k : int
        text : str, optional
            What the music should be, such as ``"calm, hopeful, no drums"``.
        text_weight : float
            Where there are both, what the words count: from 0 (nothing) to 1 (all).
        hubness : float, optional
            How much of what a track gets from any query is taken off its score, from 0 (nothing) to 1, see
            `models.hubs`: against tracks that stand in every list. Looked at are the tracks nearest to the query.
            By default what suits the model: 0.5 where words match, 0 for a trained one.

        Returns
        -------
        MatchReport

        Raises
        ------
        InputError
            When `k` is below 1, the library is empty, there is nothing to match, or the words say nothing.
        ConfigError
            When there are words and the library's model reads none.
        ArtifactError
            When the library was built with another model, encoder or vocabulary than the one at hand.
        MediaError
            When the file has no pictures that can be decoded.
        """
        if k < 1:
            raise InputError(f"k, the number of matches, must be at least 1, got {k}")
        if not 0 <= text_weight <= 1:
            raise InputError(f"the weight of the words must lie in [0, 1], got {text_weight}")
        embedder, encoders = self._pipeline.embedder, self._pipeline.encoders
        against_hubs = embedder.default_hubness if hubness is None else hubness
        if not 0 <= against_hubs <= 1:
            raise InputError(f"the strength against hubs must lie in [0, 1], got {against_hubs}")
        info = None if video is None else probe(video)
        query = self._query(video, text, text_weight)
        index = self._library.searcher()
        index.meta.check(
            embedder.fingerprint,
            self._library.path,
            options=self._library.pipeline.options,
            video_encoder=encoders.video.fingerprint,
            music_encoder=encoders.music.fingerprint,
        )
        if len(index) == 0:
            raise InputError(
                f"the library {self._library.path} holds no track yet; fill it: reelscore add MUSIC_FOLDER "
                f"--library {self._library.path}"
            )
        candidates = index.search(query, max(_CANDIDATES, 2 * k))
        if against_hubs > 0:
            candidates = self._corrected(index, candidates, against_hubs)
        moments = index.moments([track.key for track, _ in candidates])
        clip_s = _CLIP_S if info is None else info.duration_s
        starts: dict[str, float] = {}
        scored = []
        for track, score in candidates:
            rows, starts_s, ends_s = moments[track.key]
            start_s, moment_score = best_moment(
                query, rows, starts_s, ends_s, clip_s=clip_s, duration_s=track.duration_s
            )
            starts[track.key] = start_s
            scored.append((track, score, moment_score))
        return MatchReport(
            info,
            text,
            {
                "name": embedder.name,
                "fingerprint": embedder.fingerprint,
                "trained": embedder.trained,
                "text_encoder": embedder.text_encoder,
                "reads_words": self._pipeline.reads_words,
                "missing_words": list(self._pipeline.pipeline.missing),
                "blend": None,  # blends are gone; the keys of the JSON are stable
            },
            tuple(
                Match(
                    i,
                    score,
                    track,
                    starts[track.key],
                    self._reasons(query, moments[track.key], start_s=starts[track.key], clip_s=clip_s),
                )
                for i, (track, score) in enumerate(rerank(scored)[:k], start=1)
            ),
        )

    def _corrected(
        self, index: Searcher, candidates: Sequence[tuple[Track, float]], strength: float
    ) -> list[tuple[Track, float]]:
        embedder = self._pipeline.embedder
        bank = embedder.bank
        if bank is None or len(bank) == 0:
            raise ConfigError(
                f"the model {embedder.name!r} was stored without the queries that a correction for hubs "
                "needs; train it again, or leave the correction out"
            )
        found = index.embeddings([track.key for track, _ in candidates])
        off = strength * hubness_correction.hubness(np.stack([found[track.key] for track, _ in candidates]), bank)
        return [(track, score - float(less)) for (track, score), less in zip(candidates, off, strict=True)]

    def embed_text(self, text: str) -> FloatArray:
        """Return the embedding of words, shape (D,), norm 1; raises as `report` where they cannot be matched."""
        asked = self._pipeline.asked(text)
        if asked is not None:
            return asked
        raise ConfigError(
            f"the model {self._pipeline.embedder.name!r} of {self._library.path} reads no words here; "
            f"{self._ways_to_ask()}, or leave the words out"
        )

    def _ways_to_ask(self) -> str:
        """Say what to do for a model that cannot be asked in words as it is."""
        embedder, model = self._pipeline.embedder, self._library.pipeline.model
        missing = self._library.pipeline.missing
        if missing and (model is None or embedder.text_encoder is not None):
            return missing[0]
        if embedder.text_encoder is not None:
            return f"give the pack that holds its text encoder {embedder.text_encoder} (--pack FOLDER)"
        words = (
            "match without a model, through words: --encoder words --pack FOLDER with a library of its own"
        )
        return words if model is None else f"train one with --words, or {words}"

    def _query(self, video: Path | str | None, text: str | None, text_weight: float) -> FloatArray:
        if video is None and text is None:
            raise InputError("nothing to match: give a video, or words for the music (text), or both")
        asked = None if text is None else self.embed_text(text)
        if video is None:
            assert asked is not None
            return asked
        shown, _ = self._pipeline.video(video)
        if asked is None:
            return shown
        both = (1 - text_weight) * shown + text_weight * asked
        length = float(np.linalg.norm(both))
        return (both / length).astype(np.float32) if length > 0 else shown

    def _reasons(
        self, query: FloatArray, moments: Moments, *, start_s: float, clip_s: float
    ) -> tuple[str, ...]:
        """Say in words what the query and the track have in common where it begins to play."""
        rows, starts_s, ends_s = moments
        return self._pipeline.embedder.reasons(
            query, rows[(ends_s > start_s) & (starts_s < start_s + clip_s)].mean(axis=0)
        )
