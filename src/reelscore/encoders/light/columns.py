"""Named feature columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a `FeatureSequence`.

    Attributes
    ----------
    name : str
        Name for ``sequence.column(name)``.
    unit : str
        Unit or range; ``"1"`` for a plain number.
    meaning : str
        Definition in one line, with its source.
    """

    name: str
    unit: str
    meaning: str


def column_names(columns: Sequence[Column]) -> tuple[str, ...]:
    """Return the names of the columns, in order."""
    return tuple(column.name for column in columns)
