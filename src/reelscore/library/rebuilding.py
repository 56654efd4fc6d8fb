"""Embed every track of a library again and replace the library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reelscore.encoders.cache import FeatureCache
from reelscore.errors import ArtifactError
from reelscore.media.folders import Failure
from reelscore.pipeline.resolve import resolve
from reelscore.types import Track
from reelscore.workers.local import run_all, time_limit_s

from .adding import Progress, num_workers
from .compatibility import library_meta
from .indexing import Vectors, prepare_rebuild
from .reading import Reading
from .recordings import find_recordings
from .storage.entry import TrackEntry
from .summary import AddCounts, AddSummary

if TYPE_CHECKING:
    from .library import Library
    from .storage.store import Store

_BATCH = 64  # tracks that are read at once


def rebuild(
    library: Library,
    *,
    model: Path | str | None,
    encoder: str | None,
    pack: Path | str | None,
    vocabulary: Path | str | None,
    drop_missing: bool,
    workers: int | None,
    progress: Progress | None,
) -> AddSummary:
    """Rebuild a library; see `Library.rebuild`."""
    store = library._store()
    meta = store.meta
    if meta.has_tags:
        vocabulary = vocabulary or meta.vocabulary
    if model is None and encoder is None:
        model = meta.model_path
        vocabulary = vocabulary or meta.vocabulary
        # The encoders of a pack follow from the pack; the others must be named.
        own = pack is None and library._pack is None and meta.encoder_folder is None
        if own or meta.encoder_kind.startswith("hub:"):
            encoder = meta.encoder_kind
    opened = resolve(
        model=model,
        encoder=encoder,
        pack=pack or library._pack or meta.encoder_folder or meta.tags_folder,
        vocabulary=vocabulary,
        cache=FeatureCache(library.cache_folder),
    )
    tally = AddCounts()

    def embed(tracks: Sequence[Track]) -> Iterator[TrackEntry]:
        items = [(t.path, t.key, t.duration_s) for t in tracks]
        batch: dict[str, tuple[Vectors, Reading]] = {}
        outcomes = run_all(
            items,
            prepare_rebuild,
            opened.spec,
            str(library.cache_folder),
            workers=num_workers(workers, len(items)),
            limit_s=lambda item: time_limit_s(item[0]),
        )
        for done, outcome in enumerate(outcomes, start=1):
            path, key, _ = outcome.item
            if progress:
                progress(done, len(items))
            if outcome.value is None:
                tally.failed.append(Failure(path, (outcome.reason or "").removeprefix(f"{path}: ")))
                continue
            tally.added.append(path)
            if note := outcome.value[1].note:
                tally.notes.append(f"{path}: {note}")
            batch[key] = outcome.value
            if len(batch) >= _BATCH:
                yield from _applied(store, batch)
                batch.clear()
        yield from _applied(store, batch)
        if tally.failed and not drop_missing:
            first = tally.failed[0]
            raise ArtifactError(
                f"{len(tally.failed)} of {len(items)} tracks could not be embedded again, so the library "
                f"stays as it was (first: {first.path}: {first.reason}). Restore the files, or drop those tracks: "
                f"reelscore rebuild --library {library.path}{opened.spec.options} --drop-missing"
            )

    with store:
        store.begin()
        store.check_files()
        store.replace(library_meta(opened), embed(store.tracks()), embed=embed)
        find_recordings(store)
    tally.notes += store.notes
    library._pipeline = opened
    return tally.summary()


def _applied(store: Store, batch: Mapping[str, tuple[Vectors, Reading]]) -> Iterator[TrackEntry]:
    """Yield the entries of tracks with what was computed; another writer may have removed some since."""
    entries = store.entries_of(list(batch))
    for key, (vectors, reading) in batch.items():
        if key in entries:
            yield reading.apply(entries[key].embedded_as(**vectors))
