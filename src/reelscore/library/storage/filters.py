"""SQL conditions of LanceDB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def quoted(text: str) -> str:
    """Return `text` as an SQL string literal, with its single quotes doubled."""
    return "'" + text.replace("'", "''") + "'"


def one_of(column: str, values: Sequence[str]) -> str:
    """Return ``column IN ('a', 'b')`` for at least one value."""
    return f"{column} IN ({', '.join(quoted(value) for value in values)})"


def all_of(**values: Sequence[str]) -> str | None:
    """Return the SQL condition that each column has one of some values; None without values."""
    if not all(values.values()):
        return None
    return " AND ".join(one_of(column, list(dict.fromkeys(chosen))) for column, chosen in values.items())


def is_other(column: str, revisions: Mapping[str, int] | set[int]) -> str:
    """Return the SQL condition that a row has none of the revisions that were read."""
    read = sorted(set(revisions.values()) if isinstance(revisions, Mapping) else revisions)
    return f"{column} NOT IN ({', '.join(map(str, read))})" if read else "true"
