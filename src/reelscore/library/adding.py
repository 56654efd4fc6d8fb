"""Add the files of folders to a library."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from reelscore.errors import InputError, NotFoundError
from reelscore.files import content_hash
from reelscore.media.folders import Failure, FoundFiles, existing_path, find_files
from reelscore.types import FileState
from reelscore.workers.local import available_cores, run_all, time_limit_s

from .storage.hashes import FileHashes
from .storage.snapshot import Snapshot
from .summary import AddCounts, AddSummary

if TYPE_CHECKING:
    from .library import Library
    from .storage.entry import TrackEntry
    from .storage.store import Store

_BATCH = 64
_COMMIT_EVERY_S = 4.0
# A commit follows each batch, or this many seconds: a killed `add` loses little, and commits stay rare.

Progress = Callable[[int, int], None]
"""Called with (files done, files in all)."""

MUSIC_SUFFIXES = frozenset(
    f".{ending}"
    for ending in (
        "aac", "ac3", "aif", "aiff", "alac", "ape", "flac", "m4a", "m4b", "mka", "mp2", "mp3",
        "mpc", "oga", "ogg", "opus", "tta", "wav", "weba", "wma", "wv",
    )
)  # fmt: skip
"""Suffixes of music files in a folder; a file given by name may have any suffix."""


class AddRun:
    """One `add` to a library; see `Library.add` for the parameters.

    Without new, changed or gone files, it reads the snapshot and the content hashes only: no lock, no LanceDB, no
    encoder.
    """

    def __init__(
        self,
        library: Library,
        paths: Sequence[Path | str],
        *,
        prune: bool,
        workers: int | None,
        progress: Progress | None,
        background: bool = False,
    ) -> None:
        self._library = library
        self._prune = prune
        self._workers = workers
        self._background = background
        self._progress = progress
        self._roots = [existing_path(path) for path in paths]
        self._found = _find(paths, self._roots, prune=prune)
        self._hashes = FileHashes.read(library.folder)
        self._path_of: dict[str, str] = {}
        self._counts = AddCounts()
        self._new: set[str] = set()

    def run(self) -> AddSummary:
        """Add the files."""
        library = self._library
        snapshot = Snapshot.open(library._location) if library._location.exists() else None
        if snapshot is not None:
            rows = snapshot.all_rows()
            self._path_of = dict(zip(rows.text("key"), rows.text("path"), strict=True))
            if not self._fresh() and not self._gone():
                library._check_pipeline(if_given=True)
                return self._counts.summary()
        library._check_pipeline()
        from .recordings import find_recordings

        with library._store(create=True) as store:
            store.begin()  # a second writer must learn of the first before it embeds anything
            self._path_of = store.paths()
            # Of a library of an older version, or an `add` that was killed.
            without_hash = [path for path in self._found.files if not self._hashes.has(path)]
            for path, (size, mtime, key) in store.file_states(without_hash).items():
                if (state := self._found.files[path])[:2] == (size, mtime):
                    self._hashes.put(path, state, key)
            try:
                self._embed(self._fresh(), store)
                find_recordings(store)
                gone = self._gone()
                store.remove([key for key, _ in gone])
                self._counts.removed += [path for _, path in gone]
            finally:
                self._hashes.write(library.folder, keys=set(self._path_of))
        self._counts.added += self._new
        self._counts.notes += store.notes
        return self._counts.summary()

    def _fresh(self) -> list[str]:
        """Return the files to embed, and count the others."""
        self._counts = AddCounts(failed=list(self._found.failures))
        if note := self._found.skipped_note:
            self._counts.notes.append(note)
        fresh = []
        for path, state in self._found.files.items():
            key = self._hashes.get(path, state)
            home = None if key is None else self._path_of.get(key)
            if key is None or home is None:
                fresh.append(path)
            elif home == path:
                self._counts.unchanged.append(path)
            elif self._hashes.get(home, FileState.of(home)) == key:
                self._counts.duplicates.append(path)
            else:
                fresh.append(path)
        return fresh

    def _gone(self) -> list[tuple[str, str]]:
        """Return (key, path) of the tracks to prune: those below the given folders whose files are gone."""
        if not self._prune:
            return []
        below = tuple(os.path.join(root, "") for root in self._roots)
        return [
            (key, path)
            for key, path in self._path_of.items()
            if path not in self._found.files
            and (path.startswith(below) or path in self._roots)
            and _is_gone(path)
        ]

    def _embed(self, fresh: Sequence[str], store: Store) -> None:
        """Embed files in worker processes and commit them in batches, also when interrupted."""
        if not fresh:
            return
        from .compatibility import can_tag
        from .indexing import prepare_track

        num_files = len(self._found.files)
        if self._progress:
            self._progress(num_files - len(fresh), num_files)
        batch: list[TrackEntry] = []
        committed_at = time.monotonic()
        pipeline = self._library.pipeline
        spec = pipeline.spec
        if spec.tagger is not None and not can_tag(store.meta, pipeline):
            spec = replace(spec, tagger=None)  # scores of another pack or vocabulary are not comparable
        workers = num_workers(self._workers, len(fresh))
        cache_folder = str(self._library.cache_folder)
        embedded = run_all(
            fresh,
            prepare_track,
            spec,
            cache_folder,
            store.meta.has_facts,
            workers=workers,
            limit_s=time_limit_s,
            background=self._background,
        )
        with closing(embedded) as outcomes:
            try:
                for done, outcome in enumerate(outcomes, start=num_files - len(fresh) + 1):
                    if outcome.value is None:
                        reason = (outcome.reason or "").removeprefix(f"{outcome.item}: ")
                        self._counts.failed.append(Failure(outcome.item, reason))
                    else:
                        self._place(outcome.value, batch)
                    if len(batch) >= _BATCH or time.monotonic() - committed_at > _COMMIT_EVERY_S:
                        store.upsert(batch)
                        batch.clear()
                        committed_at = time.monotonic()
                    if self._progress:
                        self._progress(done, num_files)
            finally:
                store.upsert(batch)

    def _place(self, entry: TrackEntry, batch: list[TrackEntry]) -> None:
        """Classify an embedded file, and append it to `batch` unless it is a duplicate."""
        path, key = entry.track.path, entry.track.key
        # The state is older than the hash, so a file that has changed in between is read again next time.
        self._hashes.put(path, self._found.files[path], key)
        home = self._path_of.get(key)
        if home is None:
            self._new.add(path)
        elif home == path:
            self._counts.unchanged.append(path)
        elif self._holds(home, key):
            # Of copies that are added together the first by name is the track, whichever worker was faster.
            if home not in self._new or path > home:
                self._counts.duplicates.append(path)
                return
            self._new.remove(home)
            self._counts.duplicates.append(home)
            self._new.add(path)
        else:
            self._counts.moved.append(path)
        self._counts.notes += [f"{path}: {message}" for message in entry.repairs]
        self._path_of[key] = path
        batch.append(entry)

    def _holds(self, path: str, key: str) -> bool:
        """Return whether a file has the content `key`; it is read only if its hash is not known."""
        state = FileState.of(path)
        if state is None:
            return False
        known = self._hashes.get(path, state)
        if known is None:
            try:
                known = content_hash(path)
            except OSError:
                return False
            self._hashes.put(path, state, known)
        return known == key


def num_workers(given: int | None, num_items: int) -> int:
    """Return the number of workers, at most one per item, since a process takes seconds to start."""
    return max(1, min(given or available_cores(), num_items))


def _find(paths: Sequence[Path | str], roots: Sequence[str], *, prune: bool) -> FoundFiles:
    """Return the music files at and below `paths`.

    Raises `NotFoundError` if tracks are to be pruned and a path is absent, or `InputError` without any file.
    """
    if prune:
        for given, root in zip(paths, roots, strict=True):
            if not os.path.exists(root):
                raise NotFoundError(
                    f"{given} does not exist, so no track is pruned. Mount its disk or check the spelling; to remove "
                    "single tracks, use: reelscore remove"
                )
    found = find_files(paths, MUSIC_SUFFIXES)
    if not found.files and (prune or not found.failures):
        where = ", ".join(str(path) for path in paths)
        raise InputError(f"no music found in {where}. Searched for {' '.join(sorted(MUSIC_SUFFIXES))}")
    return found


def _is_gone(path: str) -> bool:
    """Return whether nothing exists at a path. Below a broken link or an unreadable folder it may exist."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        folder = os.path.dirname(path)
        while not os.path.lexists(folder):
            folder = os.path.dirname(folder)
        return os.path.isdir(folder)
    except OSError:
        pass
    return False
