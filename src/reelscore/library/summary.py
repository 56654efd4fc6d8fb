"""Outcome of adding the files of folders to a library, or of a rebuild."""

from __future__ import annotations

from dataclasses import dataclass, field

from reelscore.media.folders import Failure


@dataclass(frozen=True, slots=True)
class AddSummary:
    """Paths by outcome of `add` or `rebuild`, each tuple in order of path, and notes for the user.

    Attributes
    ----------
    added, unchanged, moved : tuple of str
    duplicates : tuple of str
        Second copies of the content of a track.
    failed : tuple of Failure
    removed : tuple of str
        Tracks that were removed because their files are gone.
    notes : tuple of str
    """

    added: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    duplicates: tuple[str, ...] = ()
    failed: tuple[Failure, ...] = ()
    removed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was done."""
        return not (self.added or self.moved or self.failed or self.removed)


@dataclass(slots=True)
class AddCounts:
    """Paths by outcome, collected while an `add` runs."""

    added: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def summary(self) -> AddSummary:
        """Return the summary."""
        return AddSummary(
            tuple(sorted(self.added)),
            tuple(sorted(self.unchanged)),
            tuple(sorted(self.moved)),
            tuple(sorted(self.duplicates)),
            tuple(sorted(self.failed, key=lambda f: f.path)),
            tuple(sorted(self.removed)),
            tuple(sorted(self.notes)),
        )
