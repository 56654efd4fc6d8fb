"""Library of music: add, list, remove and rebuild tracks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reelscore.encoders.cache import FeatureCache, default_folder
from reelscore.errors import ArtifactError, NotFoundError
from reelscore.objects import S3Folder
from reelscore.types import Track

from .adding import AddRun, Progress
from .storage.entry import TrackEntry
from .storage.location import Location, location_of
from .storage.meta import LibraryMeta, check_kind, facts_note, way_to_create
from .storage.open import Searcher, open_for_search
from .storage.snapshot import Snapshot
from .summary import AddSummary

# Encoders, models and LanceDB are imported where they are needed: listing tracks and adding nothing new need none.
if TYPE_CHECKING:
    from reelscore.pipeline.pipeline import OpenPipeline

    from .importing import ImportSummary
    from .storage.store import Store


class Library:
    """Tracks on disk, embedded with one encoder and one model; open it with `Library.open`.

    Attributes
    ----------
    path : Path or S3Folder
    folder : Path
        Folder on this machine for its snapshot and its lists of files: `path`, or one in the user's cache folder for a
        library on an object store.
    cache_folder : Path
        Folder of the feature cache.

    Examples
    --------
        library = Library.open("music.library")
        summary = library.add("~/Music")
        print(len(summary.added), "added,", len(summary.failed), "failed")
    """

    def __init__(
        self,
        location: Location,
        pipeline: OpenPipeline | None,
        *,
        cache_folder: Path,
        open_pipeline: Callable[[], OpenPipeline] | None = None,
    ) -> None:
        self.path = location.library
        self.folder = location.local
        self.cache_folder = cache_folder
        self._location = location
        self._pipeline = pipeline
        self._open_pipeline = open_pipeline
        self._pack: Path | str | None = None
        self._has_options = False

    @property
    def pipeline(self) -> OpenPipeline:
        """Encoders and model of the library; opened at first use, since listing tracks needs none."""
        if self._pipeline is None:
            assert self._open_pipeline is not None
            self._pipeline = self._open_pipeline()
        return self._pipeline

    @property
    def meta(self) -> LibraryMeta | None:
        """What the library was built with; None before the first `add`."""
        return self._location.read().meta if self._location.exists() else None

    @classmethod
    def open(
        cls,
        path: Path | str | S3Folder,
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
        path : path or S3Folder
            The library's folder, or ``s3://bucket/prefix``.
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
        location = location_of(path)
        if cache is not None:
            cache_folder = Path(cache).expanduser()
        elif pipeline is not None and pipeline.cache is not None:
            cache_folder = pipeline.cache.folder
        else:
            cache_folder = default_folder()
        features = FeatureCache(cache_folder)
        if not location.exists():
            location.check_absent(create=create)
            from reelscore.pipeline.resolve import resolve

            opened = pipeline or resolve(
                model=model, encoder=encoder, pack=pack, vocabulary=vocabulary, cache=features
            )
            return cls(location, opened, cache_folder=cache_folder)
        if pipeline is not None:
            return cls(location, pipeline, cache_folder=cache_folder)
        meta = location.read().meta
        loaded = None
        if encoder is not None:
            from reelscore.pipeline.resolve import encoder_specs

            from .compatibility import check_encoder

            # A library stores a hub encoder by commit or absolute folder.
            encoder = encoder_specs(encoder)[0].name if encoder.startswith("hub:") else encoder
            loaded = check_encoder(meta, location.library, encoder, cache=features)

        def open_stored() -> OpenPipeline:
            from .compatibility import pipeline_of_library

            return pipeline_of_library(
                meta, location.library, encoder=encoder, pack=pack, vocabulary=vocabulary, cache=features
            )

        library = cls(location, loaded, cache_folder=cache_folder, open_pipeline=open_stored)
        library._pack = pack
        library._has_options = pack is not None or vocabulary is not None
        if model is not None:
            library.check_model(model)
        return library

    def check_model(self, model: Path | str) -> None:
        """Raise `ArtifactError`, with the command that rebuilds, unless the library was built with a trained model."""
        from .compatibility import check_model

        if self.meta is not None:
            check_model(self.meta, self.path, model)

    def untagged_note(self) -> str | None:
        """Return a message about tracks without tag scores in a library that keeps them; None if there are none."""
        if self.meta is None or not self.meta.has_tags:
            return None
        from .compatibility import untagged_note

        snapshot = Snapshot.open(self._location)
        if snapshot is None:
            return untagged_note(self.path, self._store().count_without_tags())
        return untagged_note(self.path, int((~snapshot.rows.has_tag_scores).sum()))

    def facts_note(self) -> str | None:
        """Return a message about a library without facts, which an older version created; None for any other."""
        return facts_note(self.meta, self.path)

    def __len__(self) -> int:
        if not self._location.exists():
            return 0
        return len(self._store() if self._location.is_shared else open_for_search(self._location))

    def searcher(self) -> Searcher:
        """Return a searcher over the newest version."""
        if not self._location.exists():
            raise NotFoundError(f"there is no library at {self.path}. Create one: {way_to_create(self.path)}")
        return open_for_search(self._location)

    def tracks(self) -> list[Track]:
        """Return every track, ordered by path."""
        if not self._location.exists():
            return []
        searcher = open_for_search(self._location)
        if isinstance(searcher, Snapshot):
            rows = searcher.all_rows()
            found = [rows.track(row) for row in range(len(rows))]
        else:
            found = self._store().tracks()
        return sorted(found, key=lambda t: (t.path, t.key))

    def show(self, name: str) -> TrackEntry:
        """Return the entry of a track; raise `NotFoundError` unless one matches.

        Parameters
        ----------
        name : str
            A path (relative ones, ``~`` and links too), a key, a title, or the first characters of a key or title.
        """
        return self._store().get(name)

    def import_columns(self, path: Path | str) -> ImportSummary:
        """Store the columns of a CSV, JSONL or Parquet file with the tracks; see `importing.import_columns`."""
        from .importing import import_columns

        with self._store() as store:
            return import_columns(store, path)

    def remove_columns(self, names: Sequence[str]) -> int:
        """Delete imported columns and return the number of tracks that had a value."""
        from .importing import remove_columns

        with self._store() as store:
            return remove_columns(store, names)

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
        background: bool = False,
    ) -> AddSummary:
        """Add files and folders, searched recursively. Files that are in the library and unchanged are skipped.

        Tracks are identified by content: the same bytes at two paths are one track. A file that fails is
        recorded with its reason. Tracks are committed in small batches: after a kill, the same call continues.

        Parameters
        ----------
        *paths : path
            Music files, or folders searched for files with a suffix in `MUSIC_SUFFIXES`.
        prune : bool
            Whether to remove the tracks at and below these paths whose files are gone. Each path must exist.
        workers : int, optional
            Number of processes; by default one per available core.
        progress : callable, optional
            Called with (files done, files in all).
        background : bool
            Whether other processes come first.
        """
        return AddRun(
            self, paths, prune=prune, workers=workers, progress=progress, background=background
        ).run()

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
        from .rebuilding import rebuild

        return rebuild(
            self,
            model=model,
            encoder=encoder,
            pack=pack,
            vocabulary=vocabulary,
            drop_missing=drop_missing,
            workers=workers,
            progress=progress,
        )

    def _check_pipeline(self, *, if_given: bool = False) -> None:
        """Raise `ArtifactError` unless the library was built with its pipeline; `if_given` skips a stored one."""
        if self.meta is None:
            return
        check_kind(self.meta, self.path)
        if if_given and self._pipeline is None and not self._has_options:
            return
        from .compatibility import check_pipeline

        check_pipeline(self.meta, self.path, self.pipeline)

    def _store(self, *, create: bool = False) -> Store:
        from .storage.store import Store

        if create and not self._location.exists():
            from .compatibility import library_meta

            try:
                return Store.create(self._location, library_meta(self.pipeline))
            except ArtifactError:
                if not self._location.is_shared or not self._location.exists():
                    raise
            # Another writer was faster.
            self._check_pipeline()
        return Store.open(self._location)
