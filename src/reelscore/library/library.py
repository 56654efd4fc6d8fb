"""Library of music: add, list, remove and rebuild tracks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from reelscore.encoders.cache import FeatureCache, default_folder
from reelscore.errors import ArtifactError, InputError, NotFoundError
from reelscore.pipeline.pipeline import OpenPipeline
from reelscore.pipeline.resolve import encoder_specs, resolve
from reelscore.types import Track
from reelscore.workers.local import available_cores, run_all

from .compatibility import (
    can_tag,
    check_encoder,
    check_model,
    check_pipeline,
    library_meta,
    pipeline_of_library,
    untagged_note,
)
from .indexing import (
    MUSIC_SUFFIXES,
    AddCounts,
    AddSummary,
    Failure,
    music_files,
    prepare_rebuild,
    prepare_track,
)
from .storage.entry import TrackEntry
from .storage.meta import LibraryFile, LibraryMeta, foreign_entries, way_to_create
from .storage.open import Searcher, open_for_search

if TYPE_CHECKING:
    from .storage.store import Store

_BATCH = 64
_COMMIT_EVERY_S = 4.0
# A commit follows each batch, or this many seconds: a killed `add` loses little, and commits stay rare.

Progress = Callable[[int, int], None]
"""Called with (files done, files in all)."""


class Library:
    """Tracks on disk, embedded with one encoder and one model; open it with `Library.open`.

    Attributes
    ----------
    path : Path
    cache_folder : Path
        Folder of the feature cache.

    Examples
    --------
        library = Library.open("music.library")
        summary = library.add("~/Music")
        print(len(summary.added), "added,", len(summary.failed), "failed")
    """

    def __init__(
        self, file: LibraryFile, pipeline: OpenPipeline | Callable[[], OpenPipeline], *, cache_folder: Path
    ) -> None:
        self.path = file.library
        self.cache_folder = cache_folder
        self._file = file
        self._pipeline = pipeline
        self._pack: Path | str | None = None

    @property
    def pipeline(self) -> OpenPipeline:
        """Encoders and model of the library; opened at first use, since listing tracks needs none."""
        if not isinstance(self._pipeline, OpenPipeline):
            self._pipeline = self._pipeline()
        return self._pipeline

    @property
    def meta(self) -> LibraryMeta | None:
        """What the library was built with; None before the first `add`."""
        return self._file.read().meta if LibraryMeta.exists(self.path) else None

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        model: Path | str | None = None,
        encoder: str | None = None,
        pack: Path | str | None = None,
        vocabulary: Path | str | None = None,
        pipeline: OpenPipeline | None = None,
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
            Encoders of a new library; an existing one stores its own.
        pack : path, optional
            Folder of the pack encoders. For a new library of a trained model, a pack with labels also computes the tag
            scores that text queries need.
        vocabulary : path, optional
            Vocabulary of the zero-shot model; an existing library stores its own.
        pipeline : OpenPipeline, optional
            In place of the four options above. `add` and matching raise unless it built the library.
        cache : path, optional
            Folder of the feature cache; by default ``$XDG_CACHE_HOME/reelscore``.
        create : bool
            Whether the library may be absent.

        Raises
        ------
        NotFoundError
            When it is absent and `create` is false.
        ArtifactError
            When it is damaged, or was built by another model or encoder; the message names the command that fixes it.
        """
        folder = Path(path).expanduser()
        if cache is not None:
            cache_folder = Path(cache).expanduser()
        elif pipeline is not None and pipeline.cache is not None:
            cache_folder = pipeline.cache.folder
        else:
            cache_folder = default_folder()
        features = FeatureCache(cache_folder)
        file = LibraryFile(folder)
        if not LibraryMeta.exists(folder):
            if not create:
                raise NotFoundError(f"there is no library at {folder}. Create one: {way_to_create(folder)}")
            if folder.exists() and (not folder.is_dir() or foreign_entries(folder)):
                raise ArtifactError(f"{folder} exists but is not a library. Choose another folder for it")
            opened = pipeline or resolve(
                model=model, encoder=encoder, pack=pack, vocabulary=vocabulary, cache=features
            )
            return cls(file, opened, cache_folder=cache_folder)
        if pipeline is not None:
            return cls(file, pipeline, cache_folder=cache_folder)
        meta = file.read().meta
        loaded = None
        if encoder is not None:
            # A library stores a hub encoder by commit or absolute folder.
            encoder = encoder_specs(encoder)[0].name if encoder.startswith("hub:") else encoder
            loaded = check_encoder(meta, folder, encoder, cache=features)
        library = cls(
            file,
            loaded
            or (
                lambda: pipeline_of_library(
                    meta, folder, encoder=encoder, pack=pack, vocabulary=vocabulary, cache=features
                )
            ),
            cache_folder=cache_folder,
        )
        library._pack = pack
        if model is not None:
            library.check_model(model)
        return library

    def check_model(self, model: Path | str) -> None:
        """Raise `ArtifactError`, with the command that rebuilds, unless the library was built with a trained model."""
        if self.meta is not None:
            check_model(self.meta, self.path, model)

    def untagged_note(self) -> str | None:
        """Return a message about tracks without tag scores in a library that keeps them; None if there are none."""
        if self.meta is None or not self.meta.has_tags:
            return None
        return untagged_note(self.path, self._store().count_without_tags())

    def __len__(self) -> int:
        return len(self._store()) if LibraryMeta.exists(self.path) else 0

    def searcher(self) -> Searcher:
        """Return a searcher over the newest version."""
        if not LibraryMeta.exists(self.path):
            raise NotFoundError(f"there is no library at {self.path}. Create one: {way_to_create(self.path)}")
        return open_for_search(self._file)

    def tracks(self) -> list[Track]:
        """Return every track, ordered by path."""
        return (
            sorted(self._store().tracks(), key=lambda t: (t.path, t.key))
            if LibraryMeta.exists(self.path)
            else []
        )

    def show(self, name: str) -> TrackEntry:
        """Return the entry of a track by path, key, title or prefix; raise `NotFoundError` unless one matches."""
        return self._store().get(name)

    def remove(self, names: Sequence[str]) -> list[Track]:
        """Remove tracks by path, key or title and return them. Their files stay.

        Nothing is removed unless every name matches a track.
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
        """Add files and folders, searched recursively. Files that are in the library and unchanged are skipped.

        Tracks are identified by content: the same bytes at two paths are one track. A file that fails is
        recorded with its reason. Tracks are committed in small batches: after a kill, the same call continues.

        Parameters
        ----------
        *paths : path
            Music files, or folders searched for files with a suffix in `MUSIC_SUFFIXES`.
        prune : bool
            Whether to remove the tracks that are not among these files.
        workers : int, optional
            Number of processes; by default one per available core.
        progress : callable, optional
            Called with (files done, files in all).
        """
        files, problems = music_files(paths)
        if not files and not problems:
            where = ", ".join(str(p) for p in paths)
            raise InputError(f"no music found in {where}. Searched for {' '.join(sorted(MUSIC_SUFFIXES))}")
        tally = AddCounts(failed=problems)
        if self.meta is not None:
            check_pipeline(self.meta, self.path, self.pipeline)
        with self._store(create=True) as store:
            store.begin()  # a second writer must learn of the first before it embeds anything
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
        """Embed files in worker processes and commit them in batches, also when interrupted."""
        if progress:
            progress(num_files - len(fresh), num_files)
        batch: list[TrackEntry] = []
        committed_at = time.monotonic()
        spec = self.pipeline.spec
        if fresh and spec.tagger is not None and not can_tag(store.meta, self.pipeline):
            spec = replace(spec, tagger=None)  # scores of another pack or vocabulary are not comparable
        outcomes = run_all(
            fresh, prepare_track, spec, str(self.cache_folder), workers=_num_workers(workers, len(fresh))
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
        """Embed every track again, from cached features where available, and replace the library atomically.

        Model, encoder and vocabulary stay as they are unless given. Tag scores are computed again, or for the first
        time, where a pack with labels is given or stored. If a track's features are not cached and its file cannot be
        read, the library stays unchanged unless `drop_missing`.

        Parameters
        ----------
        model, encoder, pack, vocabulary : optional
            See `Library.open`.
        drop_missing : bool
            Whether to drop tracks that cannot be embedded again.
        workers : int, optional
            Number of processes; by default one per available core.
        progress : callable, optional
            Called with (tracks done, tracks in all).
        """
        store = self._store()
        meta = store.meta
        if meta.has_tags:
            vocabulary = vocabulary or meta.vocabulary
        if model is None and encoder is None:
            model = meta.model_path
            vocabulary = vocabulary or meta.vocabulary
            # The encoders of a pack follow from the pack; hub models must be named.
            if meta.encoder_kind.startswith("hub:"):
                encoder = meta.encoder_kind
        opened = resolve(
            model=model,
            encoder=encoder,
            pack=pack or self._pack or meta.encoder_folder or meta.tags_folder,
            vocabulary=vocabulary,
            cache=FeatureCache(self.cache_folder),
        )
        tracks = store.tracks()
        items = [(t.path, t.key, t.duration_s) for t in tracks]
        tally = AddCounts()

        def rebuilt() -> Iterator[TrackEntry]:
            outcomes = run_all(
                items,
                prepare_rebuild,
                opened.spec,
                str(self.cache_folder),
                workers=_num_workers(workers, len(items)),
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
                    f"stays as it was (first: {first.path}: {first.reason}). Restore the files, or drop those tracks: "
                    f"reelscore rebuild --library {self.path}{opened.spec.options} --drop-missing"
                )

        store.replace(library_meta(opened), rebuilt())
        self._pipeline = opened
        return tally.summary()

    def _store(self, *, create: bool = False) -> Store:
        from .storage.store import Store

        if create and not LibraryMeta.exists(self.path):
            return Store.create(self._file, library_meta(self.pipeline))
        return Store.open(self._file)


def _num_workers(workers: int | None, num_items: int) -> int:
    """Return the number of workers, at most one per item, since a process takes seconds to start."""
    return max(1, min(workers or available_cores(), num_items))


def _size_and_time(path: str) -> tuple[int, int]:
    stat = Path(path).stat()
    return stat.st_size, stat.st_mtime_ns
