"""Compile filters over a library's columns to LanceDB's SQL."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from reelscore.errors import InputError
from reelscore.library.storage.facts import BUILT_IN, Kind, sql_name
from reelscore.library.storage.filters import quoted

if TYPE_CHECKING:
    from sqlglot import exp

_MAX_CHARS = 2000
_EXAMPLE = "bpm between 90 and 120 and vocals = 'no'"
_EXPECTED = "A filter compares columns with values: = != < <= > >=, between, in, like, is null, and, or, not"
_OPERATORS = {"EQ": "=", "NEQ": "<>", "LT": "<", "LTE": "<=", "GT": ">", "GTE": ">="}
_MIRRORED = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_FLAGS = {"true": True, "yes": True, "false": False, "no": False}
_WHAT: Mapping[Kind, str] = {
    "number": "a number, such as 120",
    "text": "a text in single quotes",
    "list": "a text in single quotes",
    "flag": "true or false",
}
_SEPARATOR = "\x1f"  # of the items of a list
_MOST_ITEMS = 100  # that are named in a condition


class Compiler:
    """Compiles one filter; the parameters are those of `parse_filter`."""

    def __init__(
        self, text: str, columns: Mapping[str, Kind], items: Callable[[str], Collection[str]] | None
    ) -> None:
        self._text = text
        self._columns = columns
        self._items = items
        self._read: list[str] = []

    def conditions(self) -> list[tuple[str, str, tuple[str, ...]]]:
        """Return the text, the SQL and the columns of each of the conditions that AND joins."""
        try:
            terms = self._terms(self._parse())
            conditions = []
            for term in terms:
                self._read = []
                sql = self._compile(term)
                conditions.append((_source(term), sql, tuple(dict.fromkeys(self._read))))
        except RecursionError:
            raise InputError(
                f"the filter {self._text[:60]!r}... is nested too deeply. Use fewer parentheses"
            ) from None
        return conditions

    def _parse(self) -> exp.Expr:
        import sqlglot
        from sqlglot import exp
        from sqlglot.errors import ParseError, TokenError

        if not self._text.strip():
            raise InputError(f"the filter is empty. {_EXPECTED}. Example: {_EXAMPLE}")
        if len(self._text) > _MAX_CHARS:
            raise InputError(
                f"the filter has {len(self._text)} characters; at most {_MAX_CHARS} are allowed. Shorten it, or import "
                "a column that holds the choice: reelscore tag import FILE.csv"
            )
        try:
            parsed = sqlglot.parse_one(self._text, into=exp.Condition)
        except TokenError:
            raise InputError(
                f"the filter {self._text!r} has a quote that does not end. Write texts as 'text', and an apostrophe in "
                "a text twice"
            ) from None
        except ParseError as error:
            found = error.errors[0] if error.errors else {}
            context, word = str(found.get("start_context") or ""), str(found.get("highlight") or "")
            where = f"at character {len(context) + 1}, {word!r}" if word else "at its end"
            raise InputError(
                f"the filter {self._text!r} cannot be read {where}. {_EXPECTED}. Example: {_EXAMPLE}"
            ) from None
        return parsed

    def _terms(self, node: exp.Expr) -> list[exp.Expr]:
        """Return the terms that AND joins at the top."""
        from sqlglot import exp

        inner = node.unnest()
        if isinstance(inner, exp.And):
            return [*self._terms(inner.left), *self._terms(inner.right)]
        return [inner]

    def _compile(self, node: exp.Expr) -> str:
        """Return the SQL of a condition."""
        from sqlglot import exp

        if isinstance(node, exp.Paren):
            return self._compile(node.this)
        if isinstance(node, (exp.And, exp.Or)):
            word = "AND" if isinstance(node, exp.And) else "OR"
            return f"({self._compile(node.left)} {word} {self._compile(node.right)})"
        if isinstance(node, exp.Not):
            return f"NOT ({self._compile(node.this)})"
        if node.args.get("negate"):
            positive = node.copy()
            positive.set("negate", False)
            return f"NOT ({self._compile(positive)})"
        if isinstance(node, exp.Column):
            name = self._column(node)
            if self._columns[name] == "flag":
                return sql_name(name)
            raise self._error(node, f"column {name!r} alone is no condition; compare it with a value")
        if isinstance(node, exp.Is):
            return self._compile_is(node)
        if isinstance(node, exp.Between) and not node.args.get("symmetric"):
            name = self._column(node.this)
            low, high = node.args["low"], node.args["high"]
            return f"({self._compare(name, '>=', low)} AND {self._compare(name, '<=', high)})"
        if isinstance(node, exp.In) and node.expressions:
            name = self._column(node.this)
            return f"({' OR '.join(self._compare(name, '=', value) for value in node.expressions)})"
        if isinstance(node, (exp.Like, exp.ILike)):
            return self._like(self._column(node.this), node.expression)
        if sign := _OPERATORS.get(type(node).__name__):
            left, right = node.this, node.expression
            if not isinstance(left, exp.Column) and isinstance(right, exp.Column):
                left, right, sign = right, left, _MIRRORED[sign]
            return self._compare(self._column(left), sign, right)
        raise self._error(node, f"{_source(node)!r} is not allowed here")

    def _compile_is(self, node: exp.Is) -> str:
        from sqlglot import exp

        name, value = self._column(node.this), node.expression
        if isinstance(value, exp.Null):
            self._read.remove(name)
            column = sql_name(name)
            return f"nullif({column}, '') IS NULL" if self._columns[name] == "text" else f"{column} IS NULL"
        return self._compare(name, "=", value)

    def _compare(self, name: str, sign: str, value: exp.Expr) -> str:
        """Return the SQL of a comparison of a column with a value."""
        kind = self._columns[name]
        literal = self._value(name, kind, value)
        if kind == "list":
            if sign not in ("=", "<>"):
                raise self._error(value, f"column {name!r} is a list; use = or != or like")
            has = self._has(name, lambda item: item == literal) or (
                f"strpos({self._sql(name)}, {quoted(f'{_SEPARATOR}{literal}{_SEPARATOR}')}) > 0"
            )
            return has if sign == "=" else f"NOT ({has})"
        if kind == "flag" and sign not in ("=", "<>"):
            raise self._error(value, f"column {name!r} is true or false; use = or !=")
        sql = quoted(literal) if isinstance(literal, str) else repr(literal)
        return f"{self._sql(name)} {sign} {sql.lower() if kind == 'flag' else sql}"

    def _like(self, name: str, value: exp.Expr) -> str:
        kind = self._columns[name]
        if kind not in ("text", "list"):
            raise self._error(value, f"column {name!r} is no text; like does not apply")
        pattern = self._value(name, kind, value)
        assert isinstance(pattern, str)
        any_char = f"[^{_SEPARATOR}]"
        parts = {"%": f"{any_char}*", "_": any_char}
        regex = "".join(
            parts[part] if part in parts else re.escape(part.removeprefix("\\"))
            for part in re.findall(r"\\.|.", pattern, flags=re.DOTALL)
        )
        ends = (_SEPARATOR, _SEPARATOR) if kind == "list" else ("^", "$")
        has = self._has(name, re.compile(regex).fullmatch) if kind == "list" else ""
        return has or f"regexp_like({self._sql(name)}, {quoted(regex.join(ends))})"

    def _has(self, name: str, is_wanted: Callable[[str], object]) -> str:
        """Return the SQL for a list with a wanted item, given in lower case; empty if too many items are wanted."""
        if self._items is None:
            return ""
        wanted = [item for item in self._items(name) if is_wanted(item.lower())]
        if len(wanted) > _MOST_ITEMS:
            return ""
        # No list has the separator as an item, and an unknown list is unknown here too.
        named = ", ".join(quoted(item) for item in sorted(wanted) or [_SEPARATOR])
        return f"array_has_any({sql_name(name)}, make_array({named}))"

    def _value(self, name: str, kind: Kind, node: exp.Expr) -> str | float | bool:
        """Return a value in the type of the column; texts in lower case."""
        from sqlglot import exp

        node = node.unnest()
        value: str | float | bool | None = None
        if isinstance(node, exp.Neg):
            value = self._value(name, kind, node.this)
            value = -value if isinstance(value, float) else None
        elif kind == "number" and isinstance(node, exp.Literal) and not node.is_string:
            value = float(node.this)
            value = value if math.isfinite(value) else None
        elif kind == "flag" and isinstance(node, exp.Boolean):
            value = bool(node.this)
        elif isinstance(node, exp.Literal) and node.is_string:
            value = str(node.this)
        elif isinstance(node, exp.Column) and node.this.quoted and not node.table:
            value = str(node.name)  # "text" as most shells and languages write it
        if isinstance(value, str) and kind == "flag":
            value = _FLAGS.get(value.lower())
        elif isinstance(value, str):
            value = None if kind == "number" else value.lower()
        if value is None:
            raise self._error(node, f"column {name!r} needs {_WHAT[kind]}, got {_source(node)}")
        return value

    def _column(self, node: exp.Expr) -> str:
        """Return the name of a column that the library has."""
        from sqlglot import exp

        node = node.unnest()
        if not isinstance(node, exp.Column):
            raise self._error(node, f"{_source(node)!r} is no column; a column must be compared with a value")
        name = node.sql().strip('"').lower()
        if name not in self._columns:
            if name in BUILT_IN:
                raise self._error(
                    node,
                    f"this library has no column {name!r} yet",
                    "Add it: reelscore rebuild (with --library)",
                )
            hint = "".join(f", but {near!r}" for near in difflib.get_close_matches(name, self._columns, n=1))
            raise self._error(
                node, f"there is no column {node.sql()!r}{hint}", f"Columns: {', '.join(self._columns)}"
            )
        self._read.append(name)
        return name

    def _sql(self, name: str) -> str:
        """Return a column in the form in which it is compared."""
        column, kind = sql_name(name), self._columns[name]
        if kind == "text":
            return f"lower(nullif({column}, ''))"
        if kind == "list":
            ends = quoted(_SEPARATOR)
            return f"lower({ends} || array_to_string({column}, {ends}) || {ends})"
        return column

    def _error(
        self, node: exp.Expr, what: str, expected: str = f"{_EXPECTED}. Example: {_EXAMPLE}"
    ) -> InputError:
        from sqlglot import exp

        starts = [found.meta["start"] for found in node.find_all(exp.Identifier) if "start" in found.meta]
        where = f" at character {min(starts) + 1}" if starts else ""
        return InputError(f"the filter {self._text!r}{where}: {what}. {expected}")


def _source(node: exp.Expr) -> str:
    """Return an expression as a user may write it."""
    return re.sub(
        r"'(?:[^']|'')*'|\b(?:AND|OR|NOT|BETWEEN|IN|I?LIKE|IS|NULL|TRUE|FALSE)\b",
        lambda found: found[0] if found[0].startswith("'") else found[0].lower(),
        node.sql(comments=False),
    )
