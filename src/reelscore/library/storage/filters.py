"""SQL conditions of LanceDB."""

from __future__ import annotations

from collections.abc import Sequence


def quoted(text: str) -> str:
    """Return `text` as an SQL string literal, with its single quotes doubled."""
    return "'" + text.replace("'", "''") + "'"


def one_of(column: str, values: Sequence[str]) -> str:
    """Return ``column IN ('a', 'b')`` for at least one value."""
    return f"{column} IN ({', '.join(quoted(value) for value in values)})"
