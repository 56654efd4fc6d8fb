"""The ranking of a library's tracks for one query, in lazy stages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from reelscore.library.storage.facts import TrackFacts
from reelscore.library.storage.open import Searcher
from reelscore.models.zeroshot.model import ZeroShotModel
from reelscore.pipeline.pipeline import OpenPipeline
from reelscore.types import FloatArray, MediaInfo

from .candidates import BLOCK, nearest_blocks, tag_blocks, unscored_blocks
from .diversity import diversified, one_per_recording
from .match import Match, Moment
from .placement import TOO_SHORT, lasts, place, rhythm_of
from .query import Query
from .ranking import Placed, calibrate, moment_weight, rank_by_moments
from .reasons import explain
from .request import MatchRequest
from .text_request import TITLE_BONUS, TextRequest, check_understood, title_words, violations

_CONDITIONAL_BLOCK = 2000
"""Size of a block for a text with conditions, such as a tempo, since a condition may hold far down the list."""

_MOST_KEPT = 64

_CLIP_S = 30.0
"""Length of the moment for a text query, which has no duration."""


@dataclass(frozen=True)
class Search:
    """A query on one version of a library.

    The stages are: candidates in blocks (`candidates`), each block ranked by its moments (`ranking`), and the order of
    the matches (`text_request`). Every stage is a generator whose order does not depend on how far it is read, so that
    pages are stable.

    Attributes
    ----------
    pipeline : OpenPipeline
    index : Searcher
    request : MatchRequest
    query : Query
        The embedded request.
    info : MediaInfo, optional
        Of the video.
    where : str, optional
        SQL of the filter.
    kept : dict
        The best block of earlier queries on this version of the library; further pages and other settings use it.
    """

    pipeline: OpenPipeline
    index: Searcher
    request: MatchRequest
    query: Query
    info: MediaInfo | None = None
    where: str | None = None
    kept: dict[object, list[Placed]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.query.text_request is not None:
            check_understood(self.query.text_request, self.request.text or "", self._title_words)

    @property
    def understood(self) -> str:
        """What the text was understood as; empty without one."""
        text = self.query.text_request
        return "" if text is None else text.understood(self._title_words)

    @cached_property
    def allowed(self) -> set[str] | None:
        """Keys of the tracks that pass the filter; None without one."""
        return None if self.where is None else self.index.keys_where(self.where)

    @cached_property
    def clip_s(self) -> float:
        """Length of a moment in seconds."""
        return _CLIP_S if self.info is None else self.info.length_s("video")

    def ordered(self) -> Iterator[tuple[Placed, tuple[str, ...]]]:
        """Yield every track and what it violates of the text or of the video's length, best first."""
        items = _honoured(self._ranked(), self.query.text_request, self._titles, self._violated)
        given = {entry.track.key: entry.facts for entry in (*self.query.like, *self.query.unlike)}
        items = (item for item in items if item[0].track.key not in given)
        if not self.request.all_recordings:
            known = (_recording(facts) for facts in given.values())
            items = one_per_recording(
                items, lambda item: _recording(item[0].facts), seen=[one for one in known if one is not None]
            )
        return diversified(
            items,
            diversity=self.request.diversity,
            score_of=lambda item: item[0].score,
            embedding_of=lambda item: item[0].embedding,
            # Diversity never lifts a track that fits poorly, or violates more, above one that does not.
            group_of=lambda item: (
                len(item[1]),
                self._titles.get(item[0].track.key, ()),
                item[0].fit == "poor",
            ),
        )

    def moment_of(self, placed: Placed) -> Moment:
        """Return the part of a track that is played with the query.

        The cuts of the video are looked for when the first track with a steady beat is placed.
        """
        cuts_s = () if rhythm_of(placed.facts) is None else self._cuts_s
        return place(placed.track, placed.facts, placed.start_s, cuts_s=cuts_s, clip_s=self.clip_s)

    @cached_property
    def _cuts_s(self) -> tuple[float, ...]:
        if self.info is None:
            return ()
        return self.pipeline.cuts(self.info.path).cuts_s

    def _violated(self, placed: Placed) -> tuple[str, ...]:
        found: tuple[str, ...] = ()
        if self.query.text_request is not None:
            tags = self.tags_of(placed)
            found = violations(self.query.text_request, placed, tags, self.pipeline)
        if self.info is not None and not lasts(placed.track, placed.facts, clip_s=self.clip_s):
            found += (TOO_SHORT,)
        return found

    def tags_of(self, placed: Placed) -> FloatArray | None:
        """Return the scores of vocabulary terms of a track, (V,), where they are known."""
        if isinstance(self.pipeline.embedder, ZeroShotModel):
            return placed.embedding
        if self.query.tags is None:
            return None
        rows = self.index.all_rows()
        row = rows.row_of(placed.track.key)
        assert row is not None
        assert rows.tag_scores is not None
        scores: FloatArray = rows.tag_scores[row]
        return None if np.isnan(scores[:1]).any() else scores

    def match(self, rank: int, placed: Placed, violated: tuple[str, ...]) -> Match:
        """Return the match of a ranked track, with its moment and reasons."""
        moment, terms = self.moment_of(placed), self._shared_terms(placed)
        explanation = explain(placed, moment, terms, self.query, clip_s=self.clip_s)
        bpm = placed.facts.values.get("bpm")
        return Match(
            rank,
            placed.score,
            placed.track,
            moment,
            terms,
            placed.fit,
            violated,
            explanation,
            float(bpm) if isinstance(bpm, (int, float)) else None,
        )

    def _shared_terms(self, placed: Placed) -> tuple[str, ...]:
        """Return the terms that query and track share, highest score first."""
        if self.query.tags is not None:
            tags = self.tags_of(placed)
            assert self.pipeline.tagger is not None
            return () if tags is None else self.pipeline.tagger.embedder.reasons(self.query.tags, tags)
        moment = placed.moment
        if self.query.embedding is None or moment is None:
            return ()
        return self.pipeline.embedder.reasons(self.query.embedding, moment)

    @cached_property
    def _titles(self) -> dict[str, tuple[str, ...]]:
        """Words of the text in the title, artist or album of tracks, by key."""
        titles = title_words(self.query.text_request, self.index)
        return {key: words for key, words in titles.items() if self.allowed is None or key in self.allowed}

    @property
    def _title_words(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(word for words in self._titles.values() for word in words))

    @property
    def _size(self) -> int:
        text = self.query.text_request
        return _CONDITIONAL_BLOCK if text is not None and (text.has_conditions or self._titles) else BLOCK

    def _ranked(self) -> Iterator[Iterable[Placed]]:
        """Yield all tracks in blocks, each ranked by its moments."""
        if self.query.tags is None:
            yield from self._ranked_by_embedding()
            return
        by_video = None
        if self.query.embedding is not None:
            first = next(self._ranked_by_embedding(), [])
            by_video = self.query.embedding, [placed.track.key for placed in first]
        blocks = tag_blocks(
            self.index,
            self.query.tags,
            by_video,
            text_weight=self.request.text_weight,
            allowed=self.allowed,
            size=self._size,
        )
        for block in blocks:
            yield rank_by_moments(
                block, self.query.embedding, self.index, clip_s=self.clip_s, moment_weight=0.0
            )

    def _ranked_by_embedding(self) -> Iterator[Iterable[Placed]]:
        embedding, embedder = self.query.embedding, self.pipeline.embedder
        if embedding is None:
            for block in unscored_blocks(self.index, self.allowed):
                yield rank_by_moments(block, None, self.index, clip_s=self.clip_s, moment_weight=0.0)
            return
        strength = embedder.default_hubness if self.request.hubness is None else self.request.hubness
        bank = embedder.text_bank if self.info is None else embedder.bank
        if self.info is None and self.query.text_request is None:
            bank, strength = None, 0.0  # tracks alone: the banks hold videos and texts
        weight = moment_weight(embedder)

        def ranked() -> Iterator[Iterable[Placed]]:
            blocks = nearest_blocks(
                self.index, embedding, where=self.where, size=self._size, also=self._titles
            )
            for block in blocks:
                placed = rank_by_moments(
                    block, embedding, self.index, clip_s=self.clip_s, moment_weight=weight
                )
                yield calibrate(placed, embedder, bank, strength=strength)

        blocks = ranked()
        if self.query.text_request is not None:  # the size of a block depends on the text
            yield from blocks
            return
        question = (embedding.tobytes(), self.where, self.clip_s, strength, bank is None)
        best = self.kept.get(question)
        if best is None:
            best = self.kept[question] = list(next(blocks, []))
            for oldest in list(self.kept)[:-_MOST_KEPT]:
                self.kept.pop(oldest, None)
            yield best
        else:
            yield best
            next(blocks, None)
        yield from blocks


def _honoured(
    blocks: Iterable[Iterable[Placed]],
    request: TextRequest | None,
    titles: Mapping[str, Sequence[str]],
    violated: Callable[[Placed], tuple[str, ...]],
) -> Iterator[tuple[Placed, tuple[str, ...]]]:
    """Yield the tracks that violate nothing, each block followed by its tracks that do, the least first."""
    unknown = set() if request is None or request.reading is None else set(request.reading.unknown)

    def order(placed: Placed) -> tuple[int, float]:
        words = titles.get(placed.track.key, ())
        return -len(unknown.intersection(words)), -(placed.score + TITLE_BONUS * len(words))

    for block in blocks:
        violating = []
        for placed in block if request is None else sorted(block, key=order):
            if found := violated(placed):
                violating.append((placed, found))
            else:
                yield placed, ()
        yield from sorted(violating, key=lambda item: len(item[1]))


def _recording(facts: TrackFacts) -> str | None:
    recording = facts.values.get("recording_id")
    return None if recording is None else str(recording)
