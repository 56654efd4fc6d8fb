"""The language of filters over a library's columns, compiled to LanceDB's SQL.

A filter is the part of SQL that compares columns with values: ``= != < <= > >=``, BETWEEN, IN, LIKE, IS NULL, AND, OR,
NOT and parentheses. A list column "=" a value if it contains the value. Case does not matter in texts. A comparison
with an unknown value is unknown, and a track passes only where the filter is true.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from reelscore.library.storage.facts import Kind

from .filter_compiler import Compiler


@dataclass(frozen=True, slots=True)
class Condition:
    """One of the conditions that must all hold.

    Attributes
    ----------
    text : str
        The condition as the user may write it.
    sql : str
        For LanceDB.
    columns : tuple of str
        Columns that it reads, without those that it asks to be null.
    """

    text: str
    sql: str
    columns: tuple[str, ...]


def parse_filter(
    where: Sequence[str],
    columns: Mapping[str, Kind],
    *,
    items: Callable[[str], Collection[str]] | None = None,
) -> tuple[Condition, ...]:
    """Parse filters that must all hold.

    Parameters
    ----------
    where : sequence of str
        Such as ``"bpm between 90 and 120 and vocals = 'no'"``.
    columns : Mapping of str to {"number", "text", "flag", "list"}
        The library's columns.
    items : callable, optional
        Returns the different items of a list column; see `Searcher.items`. The conditions then name those that match,
        so that a search need not compare the letters of every track's.

    Returns
    -------
    tuple of Condition
        Terms that are joined by AND are conditions of their own.

    Raises
    ------
    InputError
        When a filter is no such comparison; the message has the position.

    Examples
    --------
    >>> kinds = {"bpm": "number", "vocals": "text"}
    >>> [c.sql for c in parse_filter(["bpm >= 90 and vocals = 'No'"], kinds)]
    ['bpm >= 90.0', "lower(nullif(vocals, '')) = 'no'"]
    """
    return tuple(Condition(*found) for text in where for found in Compiler(text, columns, items).conditions())


def join(conditions: Sequence[Condition]) -> str | None:
    """Return the SQL of conditions that must all hold; None without any."""
    return " AND ".join(f"({condition.sql})" for condition in conditions) or None
