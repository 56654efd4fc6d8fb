"""One score of two: how well a whole track and its best moment fit enter, one ranked list leaves."""

from __future__ import annotations

from collections.abc import Iterable

from reelscore.errors import InputError
from reelscore.types import Track

DEFAULT_MOMENT_WEIGHT = 0.3
"""The whole track leads, the moment decides among near equals; not tuned on any set."""


def rerank(
    scored: Iterable[tuple[Track, float, float]], *, moment_weight: float = DEFAULT_MOMENT_WEIGHT
) -> list[tuple[Track, float]]:
    """Combine the two scores of each track and sort by the result.

    Equation: ``score = (1 - w) * track_score + w * moment_score`` with w = `moment_weight`.

    Parameters
    ----------
    scored : iterable of (Track, track_score, moment_score)
        Cosines both.
    moment_weight : float
        From 0 (only the whole track) to 1 (only its best moment).

    Returns
    -------
    list of (Track, score)
        Descending; ties by key.

    Raises
    ------
    InputError
        When the weight lies outside [0, 1].
    """
    if not 0 <= moment_weight <= 1:
        raise InputError(f"moment_weight must lie in [0, 1], got {moment_weight!r}")
    w = moment_weight
    combined = [(track, (1 - w) * whole + w * moment) for track, whole, moment in scored]
    return sorted(combined, key=lambda pair: (-pair[1], pair[0].key))
