"""Snapshot of a library that keeps in memory what many queries read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import cached_property
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from reelscore.library.storage.exact_search import Rows
from reelscore.library.storage.facts import TrackFacts
from reelscore.library.storage.snapshot import Snapshot
from reelscore.types import Track

T = TypeVar("T")

_MOST_FACT_BYTES = 64 << 20
_FACTS_BYTES = 2000  # of one track, about


class WarmRows(Rows):
    """Rows with a Python object for each track and a table of the keys, which one query alone would not repay."""

    @classmethod
    def of(cls, rows: Rows) -> WarmRows:
        """Return the same rows."""
        return cls(rows.texts, rows.duration_s, rows.revision, rows.embeddings, rows.tag_scores)

    @cached_property
    def tracks(self) -> list[Track]:
        """All tracks."""
        columns = [self.text(name) for name in ("key", "path", "title", "artist")]
        return [Track(*values) for values in zip(*columns, self.duration_s.tolist(), strict=True)]

    @cached_property
    def _row_by_key(self) -> dict[str, int]:
        return {track.key: row for row, track in enumerate(self.tracks)}

    def track(self, row: int) -> Track:
        """Return the track in a row."""
        return self.tracks[row]

    def row_of(self, key: str) -> int | None:
        """Return the row of `key`, or None."""
        return self._row_by_key.get(key)

    def find(self, keys: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the row of each key, -1 where the library has none."""
        row_by_key = self._row_by_key
        return np.array([row_by_key.get(key, -1) for key in keys], dtype=np.int64)


class WarmSnapshot(Snapshot):
    """A snapshot that reads and checks the facts of a track once.

    Parameters
    ----------
    snapshot : Snapshot
    """

    def __init__(self, snapshot: Snapshot) -> None:
        values = {field.name: getattr(snapshot, field.name) for field in fields(snapshot) if field.init}
        super().__init__(**values | {"rows": WarmRows.of(snapshot.rows)})
        self._kept_facts: _Kept[TrackFacts] = _Kept(super().facts, _MOST_FACT_BYTES, lambda _: _FACTS_BYTES)

    def facts(self, keys: Sequence[str]) -> dict[str, TrackFacts]:
        """Return the facts about each of `keys` in the library."""
        return self._kept_facts.get(keys)


class _Kept(Generic[T]):
    """Values by key, up to a size in bytes; the oldest are dropped."""

    def __init__(
        self, read: Callable[[Sequence[str]], dict[str, T]], most_bytes: int, size_of: Callable[[T], int]
    ) -> None:
        self._read = read
        self._left = most_bytes
        self._size_of = size_of
        self._values: dict[str, T] = {}
        self._lock = threading.Lock()

    def get(self, keys: Sequence[str]) -> dict[str, T]:
        known = self._values
        found = {key: value for key in keys if (value := known.get(key)) is not None}
        missing = [key for key in keys if key not in found]
        if missing:
            new = self._read(missing)
            found |= new
            with self._lock:
                for key, value in new.items():
                    self._left -= 0 if key in known else self._size_of(value)
                    known[key] = value
                while self._left < 0:
                    self._left += self._size_of(known.pop(next(iter(known))))
        return found
