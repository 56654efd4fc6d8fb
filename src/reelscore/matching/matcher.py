"""Match videos and texts with the tracks of a library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from reelscore.errors import InputError, MediaError, NotFoundError
from reelscore.library.compatibility import check_pipeline, untagged_note
from reelscore.library.library import Library
from reelscore.library.storage.open import Searcher
from reelscore.media.probe import probe
from reelscore.models.zeroshot.text_query import not_understood
from reelscore.objects import Folder
from reelscore.types import FloatArray, MediaInfo

from .filter_notes import none_left, unknown_values
from .filters import Condition, join, parse_filter
from .match import Match
from .query import embed_query, embed_text
from .ranking import Placed
from .report import FailedVideo, MatchReport
from .request import MatchRequest
from .search import Search


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
        library: Library | str | Folder,
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
        self._kept: tuple[Searcher | None, dict[object, list[Placed]]] = (None, {})
        _ = self._pipeline.embedder  # a damaged model is reported here, not at the first query

    def match(self, video: Path | str | None = None, k: int = 10, **options: Any) -> list[Match]:
        """Return the `k` best tracks, best first, or fewer for a smaller library; see `report`."""
        return list(self.report(video, k=k, **options).matches)

    def report(
        self, query: MatchRequest | Path | str | None = None, *, info: MediaInfo | None = None, **options: Any
    ) -> MatchReport:
        """Match a video, a text, or both.

        A model that takes text ranks by one embedding of both. For a model that takes none, the tag scores of the
        library rank by the text, and for a video and a text the score of a match is the reciprocal rank fusion of
        both rankings. The moment then follows the video; for a text alone each track starts at 0.

        Parameters
        ----------
        query : MatchRequest or path, optional
            A request, or the video of a new one.
        info : MediaInfo, optional
            Result of `probe` on the video, if known.
        **options
            Attributes of `MatchRequest`, such as `text` and `k`.

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
        NotFoundError
            When no track passes the filter; the message says which condition leaves nothing.
        """
        request = (
            replace(query, **options)
            if isinstance(query, MatchRequest)
            else MatchRequest(video=query, **options)
        )
        if request.video is None:
            info = None
        elif info is None:
            info = probe(request.video)
        index, conditions = self._filtered(request)
        embedded = embed_query(self._pipeline, self._library, request, info=info)
        kept = self._kept
        if kept[0] is not index:
            kept = self._kept = index, {}
        search = Search(self._pipeline, index, request, embedded, info, join(conditions), kept[1])
        page = islice(search.ordered(), request.offset, request.offset + request.k)
        matches = tuple(
            search.match(rank, placed, violated)
            for rank, (placed, violated) in enumerate(page, start=request.offset + 1)
        )
        by_tags = embedded.tags is not None
        untagged = int((~index.all_rows().has_tag_scores).sum()) if by_tags else 0
        notes = self._notes(info, request.text, matches, untagged=untagged)
        return MatchReport(
            info,
            request.text,
            self._model_facts(by_tags=by_tags),
            matches,
            (*notes, *unknown_values(conditions, index, self._library.path)),
            search.understood,
            request,
        )

    def reports(
        self, videos: Iterable[Path | str], request: MatchRequest | None = None, **options: Any
    ) -> Iterator[MatchReport | FailedVideo]:
        """Match several videos with the same request; see `report`.

        A video that does not exist or cannot be decoded gives a `FailedVideo`, and the others go on.
        """
        request = replace(request or MatchRequest(), **options)
        self._filtered(request)  # what is wrong for every video is raised at once
        for video in videos:
            try:
                yield self.report(request, video=video)
            except (MediaError, NotFoundError) as error:
                yield FailedVideo(str(video), error)

    def forget(self) -> None:
        """Drop the rankings of earlier queries, which make further pages of them fast."""
        self._kept = None, {}

    def check_text(self, text: str) -> None:
        """Raise as `embed_text` for a text that cannot be used. Its words may still turn out to be those of a title."""
        embed_text(self._pipeline, self._library, text)

    def _notes(
        self, info: MediaInfo | None, text: str | None, matches: Sequence[Match], *, untagged: int
    ) -> tuple[str, ...]:
        notes: list[str] = []
        if info is not None:
            reader = self._pipeline.text_reader
            notes += [f"{Path(info.path).name}: {note}" for note in info.repairs]
            notes += [*self._pipeline.spec.missing, *(reader.take_notes() if reader else ())]
        library_notes = (untagged_note(self._library.path, untagged), self._library.facts_note())
        notes += [note for note in library_notes if note]
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
            assert query.text_request is not None
            raise not_understood(text, query.text_request.names)
        return embedding

    def _filtered(self, request: MatchRequest) -> tuple[Searcher, tuple[Condition, ...]]:
        """Return a searcher and the filter, which some track passes."""
        index = self._searcher()
        conditions = parse_filter(request.where, index.columns(), items=index.items) if request.where else ()
        where = join(conditions)
        if where is not None and not index.count_where(where):
            raise NotFoundError(none_left(conditions, index, self._library.path))
        return index, conditions

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
