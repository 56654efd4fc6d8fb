"""What answers queries: a library's folder enters, its snapshot leaves where that is current, else the store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from reelscore.library.storage.entry import Moments
from reelscore.types import FloatArray, Track

from .filters import TrackFilter
from .meta import LibraryMeta
from .snapshot import Snapshot


class Searcher(Protocol):
    """One version of a library; `Snapshot` and `Store` are both this."""

    @property
    def meta(self) -> LibraryMeta:
        """What the library was built with."""
        ...

    def __len__(self) -> int: ...

    def search(
        self, query: FloatArray, k: int, *, where: TrackFilter | None = None
    ) -> list[tuple[Track, float]]:
        """Return the `k` nearest tracks with their cosine, best first, ties by key."""
        ...

    def moments(self, keys: Sequence[str]) -> dict[str, Moments]:
        """Return (embeddings (T, D), starts_s (T,), ends_s (T,)) for each of `keys` that is there."""
        ...

    def embeddings(self, keys: Sequence[str]) -> dict[str, FloatArray]:
        """Return the embedding (D,) of each of `keys` that is there."""
        ...


def open_for_search(path: Path | str) -> Searcher:
    """Return a searcher over the newest version of the library at `path`.

    Where the snapshot is missing or stale this loads LanceDB, leaves a new snapshot if it can (another
    process may be writing, the folder may be read-only, the library may be too large for one) and
    answers from the store.

    Raises
    ------
    NotFoundError
        When there is no library at `path`.
    ArtifactError
        When it is damaged or of a newer format.
    """
    snapshot = Snapshot.open(path)
    if snapshot is not None:
        return snapshot
    from .store import Store

    store = Store.open(path)
    store.leave_snapshot()
    return store
