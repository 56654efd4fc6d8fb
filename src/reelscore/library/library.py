"""Music files enter, a searchable library leaves: adding, listing, removing and rebuilding.

This is the public `Library`: it walks folders, embeds tracks in worker processes and hands finished
entries to `reelscore.library`, which keeps them. LanceDB is loaded only where something is written
or listed; searching uses the library's snapshot where that is current.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reelscore.encoders.cache import default_folder
from reelscore.errors import ArtifactError, InputError, NotFoundError
from reelscore.library.storage.entry import TrackEntry
from reelscore.library.storage.meta import LibraryMeta, foreign_entries
from reelscore.library.storage.open import Searcher, open_for_search
from reelscore.pipeline.pipeline import Pipeline
from reelscore.pipeline.resolve import model_fingerprint, resolve_encoder, resolve_pipeline
from reelscore.types import Track
from reelscore.workers.local import available_cores, run_all

from .compatibility import check_encoder_of, check_not_blended, pipeline_of_library
from .indexing import (
    MUSIC_SUFFIXES,
    AddCounts,
    AddSummary,
    Failure,
    check_built,
    library_meta,
    music_files,
    prepare_rebuilt,
    prepare_track,
)

if TYPE_CHECKING:
    from reelscore.library.storage.store import Store

_BATCH = 64
_COMMIT_EVERY_S = 4.0
"""A version is committed after so many tracks or seconds: a kill costs little, and so do the commits."""

Progress = Callable[[int, int], None]
"""Called with (files done, files in all)."""


class Library:
    """A catalogue of music on disk, made by one encoder and one model.

    Use `Library.open`.

    Examples
    --------
    ::

        library = Library.open("music.library")
        summary = library.add("~/Music")
        print(len(summary.added), "added,", len(summary.failed), "failed")
    """

    def __init__(self, path: Path, pipeline: Callable[[], Pipeline], *, cache_folder: Path) -> None:
        self.path = path
        self.cache_folder = cache_folder
        self._choose = pipeline
        self._pack: Path | str | None = None
        self._pipeline: Pipeline | None = None

    @property
    def pipeline(self) -> Pipeline:
        """What embeds tracks and videos; chosen when asked for, since what only lists tracks needs none of it."""
        if self._pipeline is None:
            self._pipeline = self._choose()
        return self._pipeline

    @pipeline.setter
    def pipeline(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        model: Path | str | None = None,
        encoder: str | None = None,
        pack: Path | str | None = None,
        vocabulary: Path | str | None = None,
        cache: Path | str | None = None,
        create: bool = True,
    ) -> Library:
        """Open a library, or describe a new one that the first `add` creates.

        Parameters
        ----------
        path : path
            The library's folder.
        model : path, optional
            A trained model. For an existing library it must be the one that built it.
        encoder : {"light", "pack", "words"} or ``hub:VIDEO+MUSIC``, optional
            For a new library; an existing one knows its own.
        pack : path, optional
            Folder of the pack encoders.
        vocabulary : path, optional
            File of words for matching without a model; an existing library knows its own.
        cache : path, optional
            Folder of the feature cache; by default ``$XDG_CACHE_HOME/reelscore``.
        create : bool
            Whether an absent library is fine.

        Raises
        ------
        NotFoundError
            When it is absent and `create` is false.
        ArtifactError
            When it is corrupt, or was built by another model or encoder; the message names the
            command that mends it.
        """
        folder = Path(path).expanduser()
        cache_folder = Path(cache).expanduser() if cache is not None else default_folder()
        if not LibraryMeta.exists(folder):
            if not create:
                raise NotFoundError(
                    f"there is no library at {folder}; make one: reelscore add MUSIC_FOLDER --library {folder}"
                )
            if folder.exists() and (not folder.is_dir() or foreign_entries(folder)):
                raise ArtifactError(f"{folder} is there but is not a library; name another place for it")
            chosen = resolve_pipeline(model=model, encoder=encoder, pack=pack, vocabulary=vocabulary)
            return cls(folder, lambda: chosen, cache_folder=cache_folder)
        meta = LibraryMeta.read(folder)
        # A hub encoder is stored as the commit or whole folder that its words meant.
        if encoder is not None and encoder.startswith("hub:"):
            encoder = resolve_encoder(encoder).name
        if encoder is not None:
            check_encoder_of(meta, folder, encoder)
        found = cls(
            folder,
            lambda: pipeline_of_library(meta, folder, encoder=encoder, pack=pack, vocabulary=vocabulary),
            cache_folder=cache_folder,
        )
        found._pack = pack
        if model is not None:
            found.check_model(model)
        return found

    def check_model(self, model: Path | str) -> None:
        """Raise `ArtifactError` with the mending command unless `model` is what the library was built with."""
        if LibraryMeta.exists(self.path):
            meta = LibraryMeta.read(self.path)
            check_not_blended(meta, self.path)
            meta.check(model_fingerprint(model), self.path, options=f" --model {model}")

    def __len__(self) -> int:
        return len(self._store()) if LibraryMeta.exists(self.path) else 0

    def searcher(self) -> Searcher:
        """Return what answers queries: the snapshot where it is current, else the store itself."""
        if not LibraryMeta.exists(self.path):
            raise NotFoundError(
                f"there is no library at {self.path}; make one: reelscore add MUSIC_FOLDER --library {self.path}"
            )
        return open_for_search(self.path)

    def tracks(self) -> list[Track]:
        """Return every track, ordered by path."""
        return (
            sorted(self._store().tracks(), key=lambda t: (t.path, t.key))
            if LibraryMeta.exists(self.path)
            else []
        )

    def show(self, name: str) -> TrackEntry:
        """Return the entry of one track by path, key (or its beginning) or title; `NotFoundError` if none."""
        return self._store().get(name)

    def remove(self, names: Sequence[str]) -> list[Track]:
        """Take tracks out by path, key or title and return them; the files themselves stay.

        Nothing is removed unless every name is found.
        """
        store = self._store()
        found = {entry.track.key: entry.track for entry in (store.get(name) for name in names)}
        store.remove(list(found))
        store.finish()
        return list(found.values())

    def add(
        self,
        *paths: Path | str,
        prune: bool = False,
        workers: int | None = None,
        progress: Progress | None = None,
    ) -> AddSummary:
        """Add files and folders, of any depth; what is there already and unchanged is left alone.

        Idempotent by content: the same bytes are one track wherever they lie. A file that fails is
        recorded with its reason and stops nobody. Tracks are committed in small batches, so that a
        kill at any instant loses at most the batch in hand, and running it again goes on from there.

        Parameters
        ----------
        *paths : path
            Music files, or folders searched for files with an ending in `MUSIC_SUFFIXES`.
        prune : bool
            Also take out the tracks that are not among the files found: the library mirrors `paths`.
        workers : int, optional
            Processes; all available cores by default.
        progress : callable, optional
            Called with (files done, files in all).
        """
        files, problems = music_files(paths)
        if not files and not problems:
            where = ", ".join(str(p) for p in paths)
            raise InputError(f"no music found in {where}; looked for {' '.join(sorted(MUSIC_SUFFIXES))}")
        tally = AddCounts(failed=problems)
        if LibraryMeta.exists(self.path):
            check_built(self.pipeline, LibraryMeta.read(self.path), self.path, cache_folder=self.cache_folder)
        with self._store(create=True) as store:
            store.begin()  # a second writer must hear of the first before it has worked for nothing
            known = store.known()
            by_key = {key: path for path, (_, _, key) in known.items()}
            fresh = [file for file in files if known.get(file, ())[:2] != _size_and_time(file)]
            tally.unchanged += sorted(set(files).difference(fresh))
            self._embed(fresh, len(files), by_key, tally, store, workers, progress)
            if prune:
                store.remove([key for key, path in by_key.items() if path not in set(files)])
        return tally.summary()

    def _embed(
        self,
        fresh: Sequence[str],
        num_files: int,
        by_key: dict[str, str],
        tally: AddCounts,
        store: Store,
        workers: int | None,
        progress: Progress | None,
    ) -> None:
        """Embed fresh files in worker processes and commit them batch by batch, also when stopped half way."""
        if progress:
            progress(num_files - len(fresh), num_files)
        batch: list[TrackEntry] = []
        committed_at = time.monotonic()
        outcomes = run_all(
            fresh, prepare_track, self.pipeline, str(self.cache_folder), workers=_useful(workers, len(fresh))
        )
        try:
            for done, outcome in enumerate(outcomes, start=num_files - len(fresh) + 1):
                if outcome.value is None:
                    reason = (outcome.reason or "").removeprefix(f"{outcome.item}: ")
                    tally.failed.append(Failure(outcome.item, reason))
                else:
                    tally.place(outcome.value, by_key=by_key, batch=batch)
                if len(batch) >= _BATCH or time.monotonic() - committed_at > _COMMIT_EVERY_S:
                    store.upsert(batch)
                    batch.clear()
                    committed_at = time.monotonic()
                if progress:
                    progress(done, num_files)
        finally:
            outcomes.close()
            store.upsert(batch)

    def rebuild(
        self,
        *,
        model: Path | str | None = None,
        encoder: str | None = None,
        pack: Path | str | None = None,
        vocabulary: Path | str | None = None,
        drop_missing: bool = False,
        workers: int | None = None,
        progress: Progress | None = None,
    ) -> AddSummary:
        """Embed every track again, for a new model or vocabulary, from cached features where there are any.

        A library without a model keeps its vocabulary, and its models of the hub, where no other is named.

        The old library answers until the new one is whole. A track whose features are not cached and
        whose file cannot be read fails; then the old library stays as it is unless `drop_missing`.
        """
        store = self._store()
        meta = LibraryMeta.read(self.path)
        if model is None and encoder is None and meta.model_path is None:
            vocabulary = vocabulary or meta.vocabulary
            # A pack stands for itself, models of the hub must be named.
            if meta.encoder_kind.startswith("hub:"):
                encoder = meta.encoder_kind
        pipeline = resolve_pipeline(
            model=model,
            encoder=encoder,
            pack=pack or self._pack or meta.encoder_folder,
            vocabulary=vocabulary,
        )
        tracks = store.tracks()
        items = [(t.path, t.key, t.duration_s) for t in tracks]
        tally = AddCounts()

        def rebuilt() -> Iterator[TrackEntry]:
            outcomes = run_all(
                items, prepare_rebuilt, pipeline, str(self.cache_folder), workers=_useful(workers, len(items))
            )
            for done, outcome in enumerate(outcomes, start=1):
                path, key, _ = outcome.item
                if progress:
                    progress(done, len(items))
                if outcome.value is None:
                    tally.failed.append(Failure(path, (outcome.reason or "").removeprefix(f"{path}: ")))
                    continue
                tally.added.append(path)
                yield store.get(key).embedded_as(**outcome.value)
            if tally.failed and not drop_missing:
                first = tally.failed[0]
                raise ArtifactError(
                    f"{len(tally.failed)} of {len(items)} tracks could not be embedded again, so the library "
                    f"stays as it was (first: {first.path}: {first.reason}); bring the files back, or leave "
                    "those tracks out: reelscore rebuild --drop-missing"
                )

        store.replace(library_meta(pipeline, self.cache_folder), rebuilt())
        self.pipeline = pipeline
        return tally.summary()

    def _store(self, *, create: bool = False) -> Store:
        from reelscore.library.storage.store import Store

        if create and not LibraryMeta.exists(self.path):
            return Store.create(self.path, library_meta(self.pipeline, self.cache_folder))
        return Store.open(self.path)


def _useful(workers: int | None, num_items: int) -> int | None:
    """No more workers than items: a process costs more to start than it would save."""
    return max(1, min(workers or available_cores(), num_items))


def _size_and_time(path: str) -> tuple[int, int]:
    """What tells an unchanged file without reading it."""
    stat = Path(path).stat()
    return stat.st_size, stat.st_mtime_ns
