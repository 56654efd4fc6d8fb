"""Values of the columns that filters may use, with the number of tracks of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from reelscore.library.storage.facts import TRACK_KINDS, Kind, TrackFacts
from reelscore.library.storage.open import Searcher
from reelscore.matching.filters import Condition, join

_RANGES = {"bpm": (90, 120), "energy": (0.4, 0.7), "length_s": (60, 180)}
"""Limits of the ranges in which the tracks are counted."""

_MOST_VALUES = 50
"""Number of values of a column that are counted."""

Passes = npt.NDArray[np.bool_]
Count = Callable[[Passes], dict[str, Any]]


class Facets:
    """The columns of one version of a library, read once.

    Parameters
    ----------
    searcher : Searcher
    """

    def __init__(self, searcher: Searcher) -> None:
        self.searcher = searcher
        rows = searcher.all_rows()
        found = searcher.facts(rows.text("key")).values()
        kinds = {name: kind for name, kind in searcher.columns().items() if name not in TRACK_KINDS}
        self._counts = {name: _counter(name, kind, list(found)) for name, kind in kinds.items()}
        self._counts["length_s"] = _number_counter("length_s", np.arange(len(rows)), rows.duration_s)

    def count(self, conditions: Sequence[Condition] = ()) -> dict[str, Any]:
        """Return the values of each column, with the number of tracks that meet the conditions on the other columns.

        Values have the order of their numbers in the whole library, so that it does not change with the conditions.
        """
        passing: dict[str | None, Passes] = {}

        def passes(name: str) -> Passes:
            sql = join([condition for condition in conditions if name not in condition.columns])
            if sql not in passing:
                rows = self.searcher.all_rows()
                passing[sql] = np.full(len(rows), sql is None)
                if sql is not None:
                    passing[sql][rows.rows_of(self.searcher.keys_where(sql))] = True
            return passing[sql]

        return {name: count(passes(name)) for name, count in self._counts.items()}


def _counter(name: str, kind: Kind, facts: Sequence[TrackFacts]) -> Count:
    """Return the function that counts the values of a column in the rows that pass."""
    known = [(row, one.values[name]) for row, one in enumerate(facts) if name in one.values]
    if kind == "number":
        numbers = [(row, value) for row, value in known if isinstance(value, (int, float))]
        return _number_counter(
            name, np.array([row for row, _ in numbers], int), np.array([value for _, value in numbers], float)
        )
    rows_by_item: dict[Any, list[int]] = {}
    for row, value in known:
        for item in dict.fromkeys(value) if isinstance(value, tuple) else (value,):
            rows_by_item.setdefault(str(item).lower() if isinstance(item, bool) else item, []).append(row)
    # A column with a value of its own for nearly every track, such as isrc, is no choice.
    most = sorted(rows_by_item.items(), key=lambda pair: (-len(pair[1]), str(pair[0])))[:_MOST_VALUES]
    rows = np.array([row for row, _ in known], int)
    items = [(item, np.array(of_item)) for item, of_item in most]

    def count(passes: Passes) -> dict[str, Any]:
        values = [
            {"value": item, "count": int(passes[of_item].sum()), "total": len(of_item)}
            for item, of_item in items
        ]
        return {"kind": kind, "count": int(passes[rows].sum()), "values": values}

    return count


def _number_counter(name: str, rows: npt.NDArray[np.int64], numbers: npt.NDArray[np.float64]) -> Count:
    edges = [None, *_RANGES[name], None] if name in _RANGES else []

    def ranges(values: npt.NDArray[np.float64]) -> list[int]:
        limits = [float("-inf"), *_RANGES[name], float("inf")] if name in _RANGES else []
        return [int(((low <= values) & (values < high)).sum()) for low, high in pairwise(limits)]

    totals = ranges(numbers)

    def count(passes: Passes) -> dict[str, Any]:
        values = numbers[passes[rows]]
        in_ranges = [
            {"low": low, "high": high, "count": number, "total": total}
            for (low, high), number, total in zip(pairwise(edges), ranges(values), totals, strict=True)
        ]
        lowest, highest = (float(values.min()), float(values.max())) if len(values) else (None, None)
        return {"kind": "number", "count": len(values), "min": lowest, "max": highest, "ranges": in_ranges}

    return count
