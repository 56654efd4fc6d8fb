"""Add the tracks of a data set to a library, without their files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from reelscore.errors import ArtifactError
from reelscore.types import FileState

from .recordings import find_recordings
from .storage.hashes import FileHashes
from .summary import AddCounts, AddSummary
from .track_set import TrackSet

if TYPE_CHECKING:
    from .library import Library
    from .storage.entry import TrackEntry

_BATCH = 64


def add_tracks(
    library: Library, tracks: TrackSet, *, progress: Callable[[int, int], None] | None = None
) -> AddSummary:
    """Add extracted tracks; the library is then that of `Library.add` with their files.

    Raises
    ------
    ArtifactError
        When the tracks are of another model or encoder than the library.
    """
    library._check_pipeline()
    used = library.pipeline
    for what, theirs, ours in (
        ("model", tracks.meta.model_fingerprint, used.model.fingerprint),
        ("music encoder", tracks.meta.music_encoder, used.encoders.music.fingerprint),
    ):
        if theirs != ours:
            raise ArtifactError(
                f"{tracks.table.uri} was extracted with {what} {theirs}, but {ours} is in use for {library.path}. "
                "Give 'add' and 'extract --tracks' the same --model, --encoder and --pack"
            )
    counts = AddCounts()
    hashes = FileHashes.read(library.folder)
    with library._store(create=True) as store:
        store.begin()
        same_tags = store.meta.tags_fingerprint == tracks.meta.tags_fingerprint
        stored = store.paths()
        path_of = dict(stored)
        batch: list[TrackEntry] = []
        try:
            for done, entry in enumerate(tracks.entries(), start=1):
                path, key = entry.track.path, entry.track.key
                home = path_of.setdefault(key, path)
                state = FileState.of(path)
                if state is not None and state[:2] == (entry.size_bytes, entry.mtime_ns):
                    hashes.put(path, state, key)
                if home != path:
                    counts.duplicates.append(path)
                elif key in stored:
                    counts.unchanged.append(path)
                else:
                    counts.added.append(path)
                    counts.notes += [f"{path}: {message}" for message in entry.repairs]
                    batch.append(entry if same_tags else replace(entry, tag_scores=None))
                if len(batch) >= _BATCH:
                    store.upsert(batch)
                    batch.clear()
                if progress:
                    progress(done, len(tracks))
        finally:
            store.upsert(batch)
        find_recordings(store)
        hashes.write(library.folder, keys=set(path_of))
    counts.notes += store.notes
    return counts.summary()
