"""Match videos and texts with the tracks of a library."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reelscore.errors import InputError
from reelscore.library.compatibility import check_pipeline, untagged_note
from reelscore.library.library import Library
from reelscore.library.storage.open import Searcher
from reelscore.media.probe import probe
from reelscore.types import FloatArray, Match, MediaInfo, Track

from .fusion import reciprocal_rank_fusion
from .hubness import corrected
from .moments import best_moment
from .query import Query, embed_query, embed_text
from .report import MatchReport

_CANDIDATES = 100
"""Least number of tracks that are ranked by their moments too; the others are ranked by their embedding alone."""

_CLIP_S = 30.0
"""Length of the moment for a text query, which has no duration."""

TEXT_WEIGHT = 0.5
"""Default weight of the text next to a video."""

MOMENT_WEIGHT = 0.3
"""Weight of the best moment's score next to the whole track's; not tuned on any data set."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """A track with its score, the start of its best moment, and the moment's mean embedding."""

    track: Track
    score: float
    start_s: float
    moment: FloatArray


class Matcher:
    """Ranks the tracks of a library for a video, a text, or both, and places the best moment of each.

    Parameters
    ----------
    library : Library or path
    model : path, optional
        A trained model, which must be the one that the library was built with; by default that one.
    pack : path, optional
        Folder of the pack encoders, if it has moved since the library was built. Ignored for an open library.
    on_screen : bool
        Whether to read text from the frames of videos.
    speech : str, optional
        Hub model that transcribes the speech of videos.

    Examples
    --------
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
        on_screen: bool = False,
        speech: str | None = None,
    ) -> None:
        if not isinstance(library, Library):
            library = Library.open(library, model=model, pack=pack, create=False)
        elif model is not None:
            library.check_model(model)
        self._library = library
        self._pipeline = library.pipeline
        if on_screen or speech:
            self._pipeline = self._pipeline.with_text_from(on_screen=on_screen, speech=speech)
        _ = self._pipeline.embedder  # a damaged model is reported here, not at the first query

    def match(
        self,
        video: Path | str | None = None,
        k: int = 10,
        *,
        text: str | None = None,
        text_weight: float = TEXT_WEIGHT,
        hubness: float | None = None,
    ) -> list[Match]:
        """Return the `k` best tracks, best first, or fewer for a smaller library; see `report`."""
        report = self.report(video, k=k, text=text, text_weight=text_weight, hubness=hubness)
        return list(report.matches)

    def report(
        self,
        video: Path | str | None = None,
        *,
        k: int = 10,
        text: str | None = None,
        text_weight: float = TEXT_WEIGHT,
        hubness: float | None = None,
        info: MediaInfo | None = None,
    ) -> MatchReport:
        """Match a video, a text, or both.

        A model that takes text ranks by one embedding of both. For a model that takes none, the tag scores of the
        library rank by the text, and for a video and a text the score of a match is the reciprocal rank fusion of
        both rankings. The moment then follows the video; for a text alone each track starts at 0.

        Parameters
        ----------
        video : path, optional
        k : int
        text : str, optional
            Description of the music, such as ``"calm, hopeful, no drums"``.
        text_weight : float
            Weight of the text next to a video: 0 ranks by the video alone, 1 by the text alone.
        hubness : float, optional
            Strength of the hubness correction, 0 (off) to 1. Lowers tracks that rank high for every query. By default
            that of the model: 0.5 for the zero-shot model, 0 for a trained one. It does not apply to tag scores.
        info : MediaInfo, optional
            Result of `probe` on the video, if known.

        Returns
        -------
        MatchReport

        Raises
        ------
        InputError
            When an argument is out of range, the library is empty, there is no query, or the text matches no term.
        ConfigError
            When there is a text and the library cannot be searched by text.
        ArtifactError
            When the library was built with another model, encoder or vocabulary than the available one.
        MediaError
            When the video has no frames that can be decoded.
        """
        strength = self._pipeline.embedder.default_hubness if hubness is None else hubness
        _check_arguments(k, text_weight, strength)
        if video is None:
            info = None
        elif info is None:
            info = probe(video)
        query = embed_query(self._pipeline, self._library, video, text, text_weight=text_weight, info=info)
        index = self._searcher()
        clip_s = _CLIP_S if info is None else info.length_s("video")
        ranked: list[_Placed] = []
        if query.embedding is not None:
            candidates = index.search(query.embedding, max(_CANDIDATES, 2 * k))
            candidates = corrected(candidates, index, self._pipeline.embedder, strength=strength)
            ranked = _by_moments(candidates, query.embedding, index, clip_s=clip_s)
        if query.tags is None:
            assert query.embedding is not None
            reasons = self._pipeline.embedder.reasons
            matches = [
                Match(i, p.score, p.track, p.start_s, reasons(query.embedding, p.moment))
                for i, p in enumerate(ranked[:k], start=1)
            ]
            untagged = 0
        else:
            matches = self._match_tags(query, ranked, index, k=k, text_weight=text_weight, clip_s=clip_s)
            untagged = int((~index.all_rows().has_tag_scores).sum())
        untagged_text = untagged_note(self._library.path, untagged)
        notes = [untagged_text] if untagged_text else []
        if video is not None:
            reader = self._pipeline.text_reader
            read = () if info is None else info.repairs
            notes = [*read, *self._pipeline.spec.missing, *(reader.take_notes() if reader else ()), *notes]
        return MatchReport(
            info,
            text,
            self._model_facts(by_tags=query.tags is not None),
            tuple(matches),
            tuple(notes),
        )

    def embed_text(self, text: str) -> FloatArray:
        """Return the embedding of a text query, norm 1: (D,), or (V,) where the library is searched by tag scores.

        Raises
        ------
        InputError
            When the text is empty, too long, or matches no term.
        ConfigError, ArtifactError
            When the library cannot be searched by text.
        """
        query = embed_text(self._pipeline, self._library, text)
        embedding = query.tags if query.embedding is None else query.embedding
        assert embedding is not None
        return embedding

    def _match_tags(
        self,
        query: Query,
        ranked: Sequence[_Placed],
        index: Searcher,
        *,
        k: int,
        text_weight: float,
        clip_s: float,
    ) -> list[Match]:
        """Return the matches of a text by tag scores, fused with those of a video where there is one."""
        tagger = self._pipeline.tagger
        assert query.tags is not None
        assert tagger is not None
        rows = index.all_rows()
        keys = rows.text("key")
        by_text = index.tag_cosines(query.tags)
        order = np.lexsort((np.arange(len(keys)), -by_text))
        text_ranking = [keys[i] for i in order if not np.isnan(by_text[i])]
        row_of = {key: i for i, key in enumerate(keys)}
        placed = {p.track.key: p for p in ranked}
        if query.embedding is None:
            scored = [(key, float(by_text[row_of[key]])) for key in text_ranking[:k]]
        else:
            by_video = index.cosines(query.embedding)
            tail = np.lexsort((np.arange(len(keys)), -by_video))
            video_ranking = [*placed, *(keys[i] for i in tail if keys[i] not in placed)]
            fused = reciprocal_rank_fusion([video_ranking, text_ranking], [1 - text_weight, text_weight])
            scored = fused[:k]
            others = [(rows.track(row_of[key]), 0.0) for key, _ in scored if key not in placed]
            placed |= {p.track.key: p for p in _by_moments(others, query.embedding, index, clip_s=clip_s)}
        matches = []
        for rank, (key, score) in enumerate(scored, start=1):
            row = row_of[key]
            reasons: tuple[str, ...] = ()
            if not np.isnan(by_text[row]):
                assert rows.tag_scores is not None
                reasons = tagger.embedder.reasons(query.tags, rows.tag_scores[row])
            start_s = placed[key].start_s if key in placed else 0.0
            matches.append(Match(rank, score, rows.track(row), start_s, reasons))
        return matches

    def _searcher(self) -> Searcher:
        """Return a searcher over the library, once it matches the pipeline and has a track."""
        index = self._library.searcher()
        check_pipeline(index.meta, self._library.path, self._pipeline)
        if len(index) == 0:
            raise InputError(
                f"the library {self._library.path} has no tracks. Add some: reelscore add MUSIC_FOLDER --library "
                f"{self._library.path}"
            )
        return index

    def _model_facts(self, *, by_tags: bool) -> dict[str, object]:
        embedder = self._pipeline.embedder
        reader = self._pipeline.tagger if by_tags else self._pipeline
        assert reader is not None
        return {
            "name": embedder.name,
            "fingerprint": embedder.fingerprint,
            "trained": embedder.trained,
            "text_encoder": reader.embedder.text_encoder,
            "reads_words": self._pipeline.reads_text,
            "missing_words": list(self._pipeline.spec.missing),
            "blend": None,  # retired; the keys of the JSON do not change
        }


def rerank(
    scored: Iterable[tuple[Track, float, float]], *, moment_weight: float = MOMENT_WEIGHT
) -> list[tuple[Track, float]]:
    """Combine the score of each whole track and of its best moment, and sort by the result.

    Equation: ``score = (1 - w) * track_score + w * moment_score`` with w = `moment_weight`.

    Parameters
    ----------
    scored : iterable of (Track, track_score, moment_score)
        Cosines both.
    moment_weight : float
        From 0 (only the whole track) to 1 (only its best moment).

    Returns
    -------
    list of (Track, score)
        Descending; ties by key.

    Raises
    ------
    InputError
        When the weight lies outside [0, 1].
    """
    if not 0 <= moment_weight <= 1:
        raise InputError(f"moment_weight must lie in [0, 1], got {moment_weight!r}")
    w = moment_weight
    combined = [(track, (1 - w) * whole + w * moment) for track, whole, moment in scored]
    return sorted(combined, key=lambda pair: (-pair[1], pair[0].key))


def _by_moments(
    candidates: Sequence[tuple[Track, float]], query: FloatArray, index: Searcher, *, clip_s: float
) -> list[_Placed]:
    """Place the best moment of each candidate and rank by `rerank`."""
    moments = index.moments([track.key for track, _ in candidates])
    starts: dict[str, float] = {}
    scored = []
    for track, score in candidates:
        rows, starts_s, ends_s = moments[track.key]
        starts[track.key], moment_score = best_moment(
            query, rows, starts_s, ends_s, clip_s=clip_s, duration_s=track.duration_s
        )
        scored.append((track, score, moment_score))
    placed = []
    for track, score in rerank(scored):
        rows, starts_s, ends_s = moments[track.key]
        start_s = starts[track.key]
        inside = (ends_s > start_s) & (starts_s < start_s + clip_s)
        placed.append(_Placed(track, score, start_s, rows[inside].mean(axis=0)))
    return placed


def _check_arguments(k: int, text_weight: float, hubness: float) -> None:
    if k < 1:
        raise InputError(f"k, the number of matches, must be at least 1, got {k}")
    if not 0 <= text_weight <= 1:
        raise InputError(f"text_weight must lie in [0, 1], got {text_weight}")
    if not 0 <= hubness <= 1:
        raise InputError(f"hubness must lie in [0, 1], got {hubness}")
