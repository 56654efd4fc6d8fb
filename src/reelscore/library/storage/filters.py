"""Track filter of a search, as SQL for LanceDB and as a NumPy mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt


class Columns(Protocol):
    """Columns that `TrackFilter.mask` reads."""

    @property
    def duration_s(self) -> npt.NDArray[np.float64]:
        """Duration of each track in seconds, shape (N,)."""
        ...

    def text(self, column: str) -> Sequence[str]:
        """Return the named text column."""
        ...


@dataclass(frozen=True, slots=True)
class TrackFilter:
    """Conditions that must all hold; None does not filter. Case does not matter in tags.

    Attributes
    ----------
    artist, album : str, optional
        The complete tag.
    title_contains : str, optional
        Substring of the title.
    under : str, optional
        Prefix of the path, such as ``"/music/strings/"``; case matters.
    min_duration_s, max_duration_s : float, optional
        Inclusive.
    """

    artist: str | None = None
    album: str | None = None
    title_contains: str | None = None
    under: str | None = None
    min_duration_s: float | None = None
    max_duration_s: float | None = None

    def sql(self) -> str | None:
        """Return the condition in LanceDB's SQL, or None without any condition."""
        terms = []
        if self.artist is not None:
            terms.append(f"lower(artist) = {quoted(self.artist.lower())}")
        if self.album is not None:
            terms.append(f"lower(album) = {quoted(self.album.lower())}")
        if self.title_contains is not None:
            terms.append(f"strpos(lower(title), {quoted(self.title_contains.lower())}) > 0")
        if self.under is not None:
            terms.append(f"starts_with(path, {quoted(self.under)})")
        if self.min_duration_s is not None:
            terms.append(f"duration_s >= {float(self.min_duration_s)!r}")
        if self.max_duration_s is not None:
            terms.append(f"duration_s <= {float(self.max_duration_s)!r}")
        return " AND ".join(terms) or None

    def mask(self, columns: Columns) -> npt.NDArray[np.bool_]:
        """Return a mask of the rows that pass, shape (N,)."""
        keep = np.ones(len(columns.duration_s), dtype=np.bool_)
        if self.artist is not None:
            keep &= _where(
                columns.text("artist"), lambda text, want: text.lower() == want, self.artist.lower()
            )
        if self.album is not None:
            keep &= _where(columns.text("album"), lambda text, want: text.lower() == want, self.album.lower())
        if self.title_contains is not None:
            keep &= _where(
                columns.text("title"), lambda text, want: want in text.lower(), self.title_contains.lower()
            )
        if self.under is not None:
            keep &= _where(columns.text("path"), str.startswith, self.under)
        if self.min_duration_s is not None:
            keep &= columns.duration_s >= self.min_duration_s
        if self.max_duration_s is not None:
            keep &= columns.duration_s <= self.max_duration_s
        return keep


def quoted(text: str) -> str:
    """Return `text` as an SQL string literal, with its single quotes doubled."""
    return "'" + text.replace("'", "''") + "'"


def one_of(column: str, values: Sequence[str]) -> str:
    """Return ``column IN ('a', 'b')`` for at least one value."""
    return f"{column} IN ({', '.join(quoted(value) for value in values)})"


def _where(texts: Sequence[str], test: Callable[[str, str], bool], want: str) -> npt.NDArray[np.bool_]:
    return np.fromiter((test(text, want) for text in texts), dtype=np.bool_, count=len(texts))
