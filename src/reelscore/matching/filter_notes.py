"""Messages on the conditions of a filter: which one no track passes, which column is unknown."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from reelscore.library.storage.facts import BUILT_IN, Kind
from reelscore.library.storage.open import Searcher
from reelscore.objects import Folder

from .filters import Condition, join, parse_filter


def none_left(conditions: Sequence[Condition], index: Searcher, library: Folder) -> str:
    """Return how many tracks pass each condition, and which one to relax, where none passes all."""
    num_passed = [index.count_where(condition.sql) for condition in conditions]
    counts = ", ".join(
        f"{condition.text} ({num})" for condition, num in zip(conditions, num_passed, strict=True)
    )
    message = f"no track of {len(index)} passes the filter. Tracks that pass each condition alone: {counts}. "
    without = [
        index.count_where(others) if (others := join([*conditions[:i], *conditions[i + 1 :]])) else len(index)
        for i in range(len(conditions))
    ]
    most = max(without)
    if len(conditions) == 1:
        message += "Relax it"
    elif most:
        message += f"Relax {conditions[without.index(most)].text}: without it {most} pass"
    else:
        message += "Relax more than one of them"
    return ". ".join([message, *unknown_values(conditions, index, library)])


def unknown_values(conditions: Sequence[Condition], index: Searcher, library: Folder) -> list[str]:
    """Return a message for each column of a filter that is unknown for most tracks."""
    messages = []
    kinds = index.columns()
    for name in dict.fromkeys(name for condition in conditions for name in condition.columns):
        num = index.count_where(_is_known(name, kinds[name]))
        if 2 * num >= len(index):
            continue
        way = f"give them: reelscore tag import FILE.csv --library {library}"
        if name in BUILT_IN:
            way = f"find them: reelscore rebuild --library {library}; or {way}"
        messages.append(
            f"{name} is known for {num} of {len(index)} tracks, and unknown values never pass; {way}"
        )
    return messages


@lru_cache(256)
def _is_known(name: str, kind: Kind) -> str:
    """Return the SQL of the condition that a column is known."""
    (condition,) = parse_filter([f'"{name}" is not null'], {name: kind})
    return condition.sql
