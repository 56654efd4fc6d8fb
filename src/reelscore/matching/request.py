"""What to match and which of the matches to return."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reelscore.errors import InputError

from .diversity import DIVERSITY

TEXT_WEIGHT = 0.5
"""Default weight of the text next to a video."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchRequest:
    """A video, a text, tracks or some of these, and the part of the ranking to return.

    Attributes
    ----------
    video : path, optional
    text : str, optional
        Description of the music, such as ``"calm, hopeful, no drums"``.
    like, unlike : str or sequence of str
        Tracks of the library that the results should be similar or dissimilar to, by names as for `Library.show`. They
        are no results themselves.
    where : str or sequence of str
        Filters that must all hold, such as ``"bpm between 90 and 120 and vocals = 'no'"``.
    k : int
        Number of matches.
    offset : int
        Number of matches to skip, for the next page. A page does not depend on the size of the others.
    text_weight : float
        Weight of the text next to a video: 0 ranks by the video alone, 1 by the text alone.
    hubness : float, optional
        Strength of the hubness correction, 0 (off) to 1. Lowers tracks that rank high for every query. By default
        that of the model: 0.9 for the zero-shot model, 0 for a trained one. It does not apply to tag scores.
    diversity : float
        Strength of maximal marginal relevance, 0 (off: by score alone) to 1. Lowers tracks that are similar to one
        above them.
    all_recordings : bool
        Whether several tracks of the same recording may be results.

    Raises
    ------
    InputError
        When a value is out of range.
    """

    video: Path | str | None = None
    text: str | None = None
    like: str | Sequence[str] = ()
    unlike: str | Sequence[str] = ()
    where: str | Sequence[str] = ()
    k: int = 10
    offset: int = 0
    text_weight: float = TEXT_WEIGHT
    hubness: float | None = None
    diversity: float = DIVERSITY
    all_recordings: bool = False

    def __post_init__(self) -> None:
        for name in ("like", "unlike", "where"):
            value = getattr(self, name)
            object.__setattr__(self, name, (value,) if isinstance(value, str) else tuple(value))
        if self.k < 1:
            raise InputError(f"k, the number of matches, must be at least 1, got {self.k}")
        if self.offset < 0:
            raise InputError(f"offset, the number of matches to skip, must be at least 0, got {self.offset}")
        for name in ("text_weight", "hubness", "diversity"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise InputError(f"{name} must lie in [0, 1], got {value}")
