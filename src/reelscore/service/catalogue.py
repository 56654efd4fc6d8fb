"""The library that the service matches with, kept open and current."""

from __future__ import annotations

import dataclasses
import json
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reelscore.encoders.cache import FeatureCache, default_folder
from reelscore.errors import InputError, NotFoundError
from reelscore.files import folder_library
from reelscore.library.library import Library
from reelscore.library.storage.open import Searcher
from reelscore.library.storage.snapshot import Snapshot
from reelscore.library.summary import AddSummary
from reelscore.matching.filters import parse_filter
from reelscore.matching.matcher import Matcher
from reelscore.matching.request import MatchRequest
from reelscore.pipeline.pipeline import OpenPipeline
from reelscore.pipeline.resolve import identity_of, resolve
from reelscore.pipeline.spec import Pipeline
from reelscore.types import MediaInfo, Track

from .analysis import Analysed, AnalysedPipeline, analysis_file, read_analysis
from .facets import Facets
from .live_library import LiveLibrary
from .settings import Settings

_IDENTITY = frozenset(("path", "title", "artist", "album"))
"""Columns of a file's own tags."""


@dataclass(frozen=True, slots=True)
class MatchQuery:
    """A request with what is known about its video."""

    request: MatchRequest
    analysed: Analysed | None = None
    info: MediaInfo | None = None


class Catalogue:
    """The open library, its model and its matcher.

    Parameters
    ----------
    settings : Settings
    """

    def __init__(self, settings: Settings) -> None:
        self._lock = threading.Lock()
        if settings.music is not None:
            opened = resolve(
                model=settings.model,
                encoder=settings.encoder,
                pack=settings.pack,
                vocabulary=settings.vocabulary,
                cache=FeatureCache(default_folder()),
            )
            path = folder_library(settings.music, identity_of(opened))
            opened_library = LiveLibrary.open(path, pipeline=opened)
        else:
            assert settings.library is not None
            opened_library = LiveLibrary.open(
                settings.library,
                model=settings.model,
                encoder=settings.encoder,
                pack=settings.pack,
                vocabulary=settings.vocabulary,
                create=True,
            )
        assert isinstance(opened_library, LiveLibrary)
        library = opened_library
        self.opened: OpenPipeline = library.pipeline
        self._pipeline = library._pipeline = AnalysedPipeline(library.pipeline)
        self._analyses: dict[str, Analysed] = {}
        self.library = library
        self.matcher = Matcher(library)
        self._listed: tuple[Searcher | None, list[Track]] = (None, [])
        self._facets: Facets | None = None

    @property
    def pipeline(self) -> Pipeline:
        """Description of the pipeline, for workers."""
        return self.opened.spec

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the model."""
        return self.opened.embedder.fingerprint

    @property
    def version(self) -> object:
        """What matches depend on: the model, and the version of the library."""
        self.searcher()
        return self.fingerprint, self.library.version

    def add(
        self, paths: Sequence[str], *, progress: Callable[[int, int], None], prune: bool = False
    ) -> AddSummary:
        """Add files and folders to the library."""
        # A second object: `add` may replace what it has open.
        library = Library.open(self.library.path, pipeline=self.opened)
        try:
            return library.add(*paths, progress=progress, prune=prune, background=True)
        finally:
            self.library.expire()

    def remove(self, key: str) -> None:
        """Remove a track from the library. Its file stays."""
        self.library.remove([self.track(key).key])
        self.library.expire()

    def tag(self, key: str, facts: Mapping[str, Any]) -> None:
        """Store facts about a track as imported columns; see `Library.import_columns`."""
        track = self.track(key)
        if named := sorted(_IDENTITY.intersection(facts)):
            raise InputError(
                f"{', '.join(named)} is read from the file; change its tags there and add it again"
            )
        cells = {name: "; ".join(cell) if isinstance(cell, list) else cell for name, cell in facts.items()}
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "facts.jsonl"
            file.write_text(json.dumps({"path": track.path, **cells}) + "\n", encoding="utf-8")
            try:
                Library.open(self.library.path, pipeline=self.opened).import_columns(file)
            except InputError as error:
                raise InputError(str(error).replace(str(file), "facts")) from None
            finally:
                self.library.expire()

    def searcher(self) -> Searcher | None:
        """Return the current searcher; None before the first track."""
        try:
            return self.library.searcher()
        except NotFoundError:
            return None

    def tracks(self) -> list[Track]:
        """Return every track, ordered by path."""
        searcher = self.searcher()
        if searcher is None:
            return []
        listed = self._listed
        if listed[0] is not searcher:
            rows = searcher.all_rows()
            listed = (
                searcher,
                sorted((rows.track(i) for i in range(len(rows))), key=lambda t: (t.path, t.key)),
            )
            self._listed = listed
        return listed[1]

    def track(self, key: str) -> Track:
        """Return a track; raise `NotFoundError` if there is none."""
        searcher = self.searcher()
        rows = None if searcher is None else searcher.all_rows()
        row = None if rows is None else rows.row_of(key)
        if rows is None or row is None:
            raise NotFoundError(f"no track with the key {key!r}; list the tracks with GET /v1/tracks")
        return rows.track(row)

    def analysis(self, video: str, folder: Path) -> Analysed | None:
        """Return the analysis of a video by the current model, or None where it has not seen it."""
        analysed = self._analyses.get(video) or read_analysis(analysis_file(folder, self.fingerprint))
        if analysed is not None:
            self._analyses[video] = analysed
        return analysed

    def knows(self, video: str) -> bool:
        """Return whether the analysis of a video is in memory."""
        return video in self._analyses

    def forget(self, video: str) -> None:
        """Drop what is known about a video."""
        self._analyses.pop(video, None)
        self.matcher.forget()

    def match(self, query: MatchQuery) -> dict[str, Any]:
        """Return the matches of an analysed video, a text or tracks, as ``match --json`` prints them."""
        request = query.request
        self._pipeline.use(query.analysed)
        # LanceDB, which is read for filters and tracks, and while tracks are added, is for one thread at a time.
        by_snapshot = isinstance(self.searcher(), Snapshot) and not (
            request.where or request.like or request.unlike
        )
        with nullcontext() if by_snapshot else self._lock:
            return self.matcher.report(request, info=query.info).to_json()

    def facets(self, where: Sequence[str] = ()) -> dict[str, Any]:
        """Return the values of the columns that filters may use, with the number of tracks of each under a filter."""
        searcher = self.searcher()
        if searcher is None:
            return {}
        with self._lock:
            if self._facets is None or self._facets.searcher is not searcher:
                self._facets = Facets(searcher)
            return self._facets.count(parse_filter(where, searcher.columns(), items=searcher.items))

    def tracks_json(self, tracks: Sequence[Track]) -> list[dict[str, Any]]:
        """Return tracks with what is known about each."""
        searcher = self.searcher()
        with nullcontext() if isinstance(searcher, Snapshot) else self._lock:
            facts = {} if searcher is None else searcher.facts([track.key for track in tracks])
        return [
            track_json(track) | {"facts": dict(facts[track.key].values) if track.key in facts else {}}
            for track in tracks
        ]

    def model_files(self) -> list[str]:
        """Return the files and folders of the encoders and the model, which workers may read."""
        spec = self.pipeline
        found = [spec.model, spec.vocabulary, spec.encoder.folder, str(self.library.cache_folder)]
        found += [None if spec.tagger is None else spec.tagger.folder]
        return [path for path in found if path is not None]

    def to_json(self) -> dict[str, Any]:
        """Return the fields of ``GET /v1/library``."""
        embedder = self.opened.embedder
        return {
            "path": str(self.library.path),
            "num_tracks": len(self.tracks()),
            "encoder": self.pipeline.encoder.name,
            "model": {
                "name": embedder.name,
                "fingerprint": embedder.fingerprint,
                "trained": embedder.trained,
                "text_encoder": embedder.text_encoder,
            },
            "reads_text": self.opened.reads_text or self.opened.tagger is not None,
        }


def track_json(track: Track) -> dict[str, Any]:
    """Return the fields of ``list --json``."""
    return dataclasses.asdict(track) | {"gone": not Path(track.path).exists()}
