"""Match videos and texts with the tracks of a library."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from reelscore.errors import InputError
from reelscore.library.compatibility import check_pipeline, untagged_note
from reelscore.library.library import Library
from reelscore.library.storage.open import Searcher
from reelscore.media.probe import probe
from reelscore.models.zeroshot.model import ZeroShotModel
from reelscore.models.zeroshot.text_query import not_understood
from reelscore.pipeline.pipeline import OpenPipeline
from reelscore.types import FloatArray, Match, MediaInfo, Track

from .fusion import reciprocal_rank_fusion
from .hubness import corrected, fit_word, standardised
from .moments import best_moment
from .query import Query, embed_query, embed_text
from .report import MatchReport
from .request import TITLE_BONUS, Request, check_understood, violations, words_in

_CANDIDATES = 100
"""Least number of tracks that are ranked by their moments too; the others are ranked by their embedding alone."""

_CONDITIONAL = 2000
"""The same for a text with conditions, such as a tempo."""

_CLIP_S = 30.0
"""Length of the moment for a text query, which has no duration."""

TEXT_WEIGHT = 0.5
"""Default weight of the text next to a video."""

MOMENT_WEIGHT = 0.3
"""Weight of the best moment's score next to the whole track's, for a trained model; not tuned on any data set. The best
moment of a varied track matches any query, so without training it only says where to start."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """A track with its score, the start of its best moment, and the moment's mean embedding."""

    track: Track
    score: float
    start_s: float
    moment: FloatArray
    fit: str = ""


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
            that of the model: 0.9 for the zero-shot model, 0 for a trained one. It does not apply to tag scores.
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
        titles = _title_words(query.request, index)
        understood = ""
        if query.request is not None:
            words = tuple(dict.fromkeys(word for found in titles.values() for word in found))
            check_understood(query.request, text or "", words)
            understood = query.request.understood(words)
        # A condition may hold far down the list.
        depth = max(_CANDIDATES, 2 * k)
        if query.request is not None and (query.request.has_conditions or titles):
            depth = max(depth, _CONDITIONAL)
        ranked = self._rank(
            query, index, titles, depth=depth, clip_s=clip_s, strength=strength, by_video=info is not None
        )
        untagged = 0
        if query.tags is not None:
            matches = self._match_tags(
                query, ranked, index, titles, k=k, text_weight=text_weight, clip_s=clip_s
            )
            untagged = int((~index.all_rows().has_tag_scores).sum())
        else:
            tags = index.embeddings([p.track.key for p in ranked]) if _reads_tags(self._pipeline) else {}
            placed = {p.track.key: p for p in ranked}
            chosen = self._honour([(p.track, p.score) for p in ranked], query.request, titles, tags, k=k)
            reasons = self._pipeline.embedder.reasons
            matches = []
            for rank, (track, score, violated) in enumerate(chosen, start=1):
                p = placed[track.key]
                shared = () if query.embedding is None else reasons(query.embedding, p.moment)
                matches.append(Match(rank, score, track, p.start_s, shared, p.fit, violated))
        return MatchReport(
            info,
            text,
            self._model_facts(by_tags=query.tags is not None),
            tuple(matches),
            self._notes(info, text, matches, untagged=untagged),
            understood,
        )

    def check_text(self, text: str) -> None:
        """Raise as `embed_text` for a text that cannot be used. Its words may still turn out to be those of a title."""
        embed_text(self._pipeline, self._library, text)

    def _rank(
        self,
        query: Query,
        index: Searcher,
        titles: Mapping[str, Sequence[str]],
        *,
        depth: int,
        clip_s: float,
        strength: float,
        by_video: bool,
    ) -> list[_Placed]:
        """Rank by the query's embedding; without one, return the tracks in the order of their keys with score 0."""
        if query.embedding is None:
            if query.tags is not None:
                return []
            rows = index.all_rows()
            return [_Placed(rows.track(i), 0.0, 0.0, rows.embeddings[i]) for i in range(len(rows))]
        candidates = index.search(query.embedding, depth)
        known = {track.key for track, _ in candidates}
        if more := sorted(set(titles) - known):
            rows, cosines = index.all_rows(), index.cosines(query.embedding)
            places = [row for key in more if (row := rows.row_of(key)) is not None]
            candidates += [(rows.track(row), float(cosines[row])) for row in places]
        ranked = _by_moments(
            candidates, query.embedding, index, clip_s=clip_s, moment_weight=self._moment_weight
        )
        return self._calibrate(ranked, index, by_video=by_video, strength=strength)

    def _honour(
        self,
        scored: Sequence[tuple[Track, float]],
        request: Request | None,
        titles: Mapping[str, Sequence[str]],
        tags: Mapping[str, FloatArray],
        *,
        k: int,
    ) -> list[tuple[Track, float, tuple[str, ...]]]:
        """Return the k best of scored tracks that meet a request, filled up with those that violate it least."""
        if request is None:
            return [(track, score, ()) for track, score in scored[:k]]
        unknown = set() if request.reading is None else set(request.reading.unknown)

        def order(item: tuple[Track, float]) -> tuple[int, float]:
            words = titles.get(item[0].key, ())
            return -len(unknown.intersection(words)), -(item[1] + TITLE_BONUS * len(words))

        met, violating = (
            list[tuple[Track, float, tuple[str, ...]]](),
            list[tuple[Track, float, tuple[str, ...]]](),
        )
        for track, score in sorted(scored, key=order):
            violated = violations(request, track, tags.get(track.key), self._pipeline)
            (violating if violated else met).append((track, score, violated))
            if len(met) == k:
                break
        return (met + sorted(violating, key=lambda item: len(item[2])))[:k]

    def _notes(
        self, info: MediaInfo | None, text: str | None, matches: Sequence[Match], *, untagged: int
    ) -> tuple[str, ...]:
        notes: list[str] = []
        if info is not None:
            reader = self._pipeline.text_reader
            notes += [f"{Path(info.path).name}: {note}" for note in info.repairs]
            notes += [*self._pipeline.spec.missing, *(reader.take_notes() if reader else ())]
        without_tags = untagged_note(self._library.path, untagged)
        if without_tags:
            notes.append(without_tags)
        if matches and all(match.fit == "poor" for match in matches):
            way = "describe what you want with --text" if text is None else "use other words"
            notes.append(
                "nothing here fits well: the best track fits your query no better than one at random. Add "
                f"music, or {way}"
            )
        return tuple(notes)

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
        if embedding is None:
            assert query.request is not None
            raise not_understood(text, query.request.names)
        return embedding

    @property
    def _moment_weight(self) -> float:
        return MOMENT_WEIGHT if self._pipeline.embedder.trained else 0.0

    def _calibrate(
        self, placed: Sequence[_Placed], index: Searcher, *, by_video: bool, strength: float
    ) -> list[_Placed]:
        """Correct scores for hubness, sort by them, and say how they compare with those of unmatched queries."""
        embedder = self._pipeline.embedder
        if not placed or (embedder.trained and strength == 0):
            return list(placed)
        bank = embedder.bank if by_video else embedder.text_bank
        found = index.embeddings([p.track.key for p in placed])
        candidates = np.stack([found[p.track.key] for p in placed])
        plain = np.array([p.score for p in placed])
        # The correction applies to the track as a whole, not to its moment.
        strength *= 1 - self._moment_weight
        scores = corrected(plain, candidates, embedder, bank, strength=strength)
        fits = [""] * len(placed)
        if not embedder.trained and bank is not None:
            fits = [fit_word(z) for z in standardised(plain, candidates, bank)]
        order = sorted(range(len(placed)), key=lambda i: (-scores[i], placed[i].track.key))
        return [replace(placed[i], score=float(scores[i]), fit=fits[i]) for i in order]

    def _match_tags(
        self,
        query: Query,
        ranked: Sequence[_Placed],
        index: Searcher,
        titles: Mapping[str, Sequence[str]],
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
            scored = [(key, float(by_text[row_of[key]])) for key in text_ranking]
        else:
            by_video = index.cosines(query.embedding)
            tail = np.lexsort((np.arange(len(keys)), -by_video))
            video_ranking = [*placed, *(keys[i] for i in tail if keys[i] not in placed)]
            fused = reciprocal_rank_fusion([video_ranking, text_ranking], [1 - text_weight, text_weight])
            scored = fused
        assert rows.tag_scores is not None
        tags = {key: rows.tag_scores[row] for key, row in row_of.items() if not np.isnan(by_text[row])}
        chosen = self._honour(
            [(rows.track(row_of[key]), score) for key, score in scored], query.request, titles, tags, k=k
        )
        if query.embedding is not None:
            others = [(track, 0.0) for track, _, _ in chosen if track.key not in placed]
            placed |= {p.track.key: p for p in _by_moments(others, query.embedding, index, clip_s=clip_s)}
        matches = []
        for rank, (track, score, violated) in enumerate(chosen, start=1):
            reasons = tagger.embedder.reasons(query.tags, tags[track.key]) if track.key in tags else ()
            start_s = placed[track.key].start_s if track.key in placed else 0.0
            matches.append(Match(rank, score, track, start_s, reasons, violations=violated))
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


def _title_words(request: Request | None, index: Searcher) -> dict[str, tuple[str, ...]]:
    """Return the words of a request in the title, artist or album of each track that has one, by key."""
    if request is None or request.reading is None or not request.reading.words:
        return {}
    rows = index.all_rows()
    columns = (rows.text(name) for name in ("key", "title", "artist", "album"))
    found = ((key, words_in(request.reading.words, *texts)) for key, *texts in zip(*columns, strict=True))
    return {key: words for key, words in found if words}


def _reads_tags(opened: OpenPipeline) -> bool:
    """Return whether embeddings of the model are scores of vocabulary terms."""
    return isinstance(opened.embedder, ZeroShotModel)


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
    candidates: Sequence[tuple[Track, float]],
    query: FloatArray,
    index: Searcher,
    *,
    clip_s: float,
    moment_weight: float = MOMENT_WEIGHT,
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
    for track, score in rerank(scored, moment_weight=moment_weight):
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
