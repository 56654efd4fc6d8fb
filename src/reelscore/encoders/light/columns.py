"""Named feature columns: a table of name, unit and meaning enters, names and a table for people leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a `FeatureSequence`.

    Attributes
    ----------
    name : str
        How code asks for it: ``sequence.column(name)``.
    unit : str
        Unit or range; ``"1"`` for a plain number.
    meaning : str
        What it measures, in one line, with its source where it has one.
    """

    name: str
    unit: str
    meaning: str


def names(columns: Sequence[Column]) -> tuple[str, ...]:
    """Return the names of the columns, in order."""
    return tuple(column.name for column in columns)


def as_markdown(columns: Sequence[Column]) -> str:
    """Return the columns as a Markdown table: name, unit, meaning.

    Examples
    --------
    >>> print(as_markdown([Column("brightness", "0..1", "mean luma")]))
    | column | unit | meaning |
    |---|---|---|
    | `brightness` | 0..1 | mean luma |
    """
    rows = [f"| `{c.name}` | {c.unit} | {c.meaning} |" for c in columns]
    return "\n".join(["| column | unit | meaning |", "|---|---|---|", *rows])
