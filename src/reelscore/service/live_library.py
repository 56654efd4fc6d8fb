"""A library whose searcher stays open and current."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from reelscore.errors import ReelscoreError
from reelscore.library.library import Library
from reelscore.library.storage.open import Searcher
from reelscore.library.storage.snapshot import Snapshot

from .warm import WarmSnapshot

_LOG = logging.getLogger(__name__)

_FRESH_S = 0.25
_FRESH_WHILE_ADDING_S = 2.0
_FRESH_SHARED_S = 5.0
"""Age of a searcher up to which a new version is not looked for. While tracks are added, each commit makes one; on an
object store, looking costs two requests."""


class LiveLibrary(Library):
    """A library whose searcher stays open until there is a newer version.

    Attributes
    ----------
    version : tuple of int
        Generation and version of the open searcher.
    """

    _searcher: Searcher | None = None
    version: tuple[int, int | None] = (0, None)
    _checked_s = float("-inf")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._following = threading.Lock()

    def searcher(self) -> Searcher:
        """Return a searcher over the newest version, or one that was so a moment ago.

        On an object store, a thread looks for a new version and opens it. Until then, and while the store cannot be
        reached, the last one answers.
        """
        age_s = time.monotonic() - self._checked_s
        searcher = self._searcher
        if searcher is None or age_s == float("inf"):
            return self._newest()
        if self._location.is_shared:
            if age_s > _FRESH_SHARED_S and self._following.acquire(blocking=False):
                threading.Thread(target=self._follow, name="reelscore-follow", daemon=True).start()
            return searcher
        fresh_s = _FRESH_S if isinstance(searcher, Snapshot) else _FRESH_WHILE_ADDING_S
        return searcher if age_s < fresh_s else self._newest()

    def _follow(self) -> None:
        try:
            self._newest()
        except ReelscoreError as error:
            self._checked_s = time.monotonic()
            _LOG.warning("the library cannot be read, so its last version answers: %s", error)
        finally:
            self._following.release()

    def _newest(self) -> Searcher:
        now_s = time.monotonic()
        searcher = self._searcher
        version = self.version_on_disk()
        # A rebuilt library may have another model; until it is opened again, the old tables stay mapped.
        if searcher is None or (version != self.version and version[0] == self.version[0]):
            searcher = super().searcher()
            searcher = WarmSnapshot(searcher) if isinstance(searcher, Snapshot) else searcher
            self._searcher, self.version = searcher, version
        self._checked_s = now_s
        return searcher

    @property
    def is_rebuilt(self) -> bool:
        """Whether the tables were replaced since the searcher was opened."""
        return self._searcher is not None and self.version_on_disk()[0] != self.version[0]

    def expire(self) -> None:
        """Look for a new version at the next search."""
        self._checked_s = float("-inf")

    def version_on_disk(self) -> tuple[int, int | None]:
        """Return generation and version of the library's newest table."""
        if not self._location.exists():
            return 0, None
        generation = self._location.read().generation
        return generation, self._location.newest_version(generation)
