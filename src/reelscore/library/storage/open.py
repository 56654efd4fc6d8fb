"""Open a library for search: its snapshot where that is current, else the store."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from reelscore.objects import S3Folder
from reelscore.types import FloatArray, Track

from .entry import Moments
from .exact_search import Rows
from .facts import Kind, TrackDetails, TrackFacts
from .location import Location, location_of
from .meta import LibraryMeta
from .snapshot import Snapshot


class Searcher(Protocol):
    """One version of a library for search. `Snapshot` and `Store` implement it."""

    @property
    def meta(self) -> LibraryMeta:
        """What the library was built with."""
        ...

    def __len__(self) -> int: ...

    def search(self, query: FloatArray, k: int, *, where: str | None = None) -> list[tuple[Track, float]]:
        """Return the `k` nearest tracks with their cosine, best first, ties by key.

        The query (D,) has norm 1, `k` is at least 1, and `where` is an SQL condition over the names of
        `facts.sql_name`.
        """
        ...

    def all_rows(self) -> Rows:
        """Return all tracks."""
        ...

    def cosines(self, query: FloatArray) -> npt.NDArray[np.float64]:
        """Return the cosine of every track with a query (D,), in the order of `all_rows`."""
        ...

    def tag_cosines(self, query: FloatArray) -> npt.NDArray[np.float64]:
        """Return the cosine of all tag scores with a query (V,); NaN for tracks without tag scores."""
        ...

    def moments(self, keys: Sequence[str]) -> dict[str, Moments]:
        """Return (embeddings (T, D), starts_s (T,), ends_s (T,)) for each of `keys` in the library."""
        ...

    def embeddings(self, keys: Sequence[str]) -> dict[str, FloatArray]:
        """Return the embedding (D,) of each of `keys` in the library."""
        ...

    def facts(self, keys: Sequence[str]) -> dict[str, TrackFacts]:
        """Return the facts about each of `keys` in the library."""
        ...

    def columns(self) -> dict[str, Kind]:
        """Return every column that a condition may use, and its kind."""
        ...

    def keys_where(self, sql: str) -> set[str]:
        """Return the keys of the tracks that meet an SQL condition over the names of `facts.sql_name`."""
        ...

    def count_where(self, sql: str) -> int:
        """Return the number of tracks that meet such a condition, which must be valid."""
        ...

    def items(self, column: str) -> Collection[str]:
        """Return the different items of a list column."""
        ...

    def details(self, keys: Sequence[str]) -> dict[str, TrackDetails]:
        """Return the details of each of `keys` that has some."""
        ...


def open_for_search(library: Path | str | S3Folder | Location) -> Searcher:
    """Return a searcher over the newest version of a library.

    Where the snapshot is missing or stale, this loads LanceDB, answers from the store and writes a new snapshot if it
    can, or builds the index of a large library without faiss. It cannot while another process writes or in a read-only
    folder.

    Raises
    ------
    NotFoundError
        When there is no library.
    ArtifactError
        When it is damaged or of a newer format.
    """
    location = location_of(library)
    snapshot = Snapshot.open(location)
    if snapshot is not None:
        return snapshot
    from .store import Store

    store = Store.open(location)
    store.leave_snapshot()
    if location.is_shared:  # a snapshot needs no requests, even if it is no longer the newest
        return Snapshot.open(location, version=store.version) or store
    return store
