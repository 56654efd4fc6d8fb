"""Evaluate SQL conditions on columns in memory, as LanceDB does."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlglot import exp

Mask = npt.NDArray[np.bool_]

_MOST_TEXTS = 1 << 16
"""Number of different texts of a column up to which comparing each of them once is fast."""

_MOST_COMPARED = 8  # codes that are compared one by one, which is faster than a table of codes


_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "EQ": operator.eq,
    "NEQ": operator.ne,
    "LT": operator.lt,
    "LTE": operator.le,
    "GT": operator.gt,
    "GTE": operator.ge,
}


class UnsupportedError(Exception):
    """A condition that only LanceDB evaluates."""


class Conditions:
    """Evaluates the conditions that `matching.filter_compiler` writes.

    Parameters
    ----------
    read : callable
        Returns a column by its name in the table, as an Arrow array with one value a row; raises KeyError where there
        is none. Each column is read once.
    """

    def __init__(self, read: Callable[[str], pa.Array]) -> None:
        self._read = read
        self._columns: dict[str, _Column | None] = {}

    def passing(self, sql: str) -> Mask:
        """Return where a condition is true, shape (N,); raise `UnsupportedError` for one that is not supported."""
        import sqlglot
        from sqlglot import exp
        from sqlglot.errors import SqlglotError

        try:
            return self._mask(sqlglot.parse_one(sql, into=exp.Condition), True)
        except (SqlglotError, RecursionError) as error:
            raise UnsupportedError from error

    def _mask(self, node: exp.Expr, wanted: bool) -> Mask:
        """Return where a condition is true, or where it is false. Where it is unknown, it is neither."""
        from sqlglot import exp

        if isinstance(node, exp.Paren):
            return self._mask(node.this, wanted)
        if isinstance(node, exp.Not):
            return self._mask(node.this, not wanted)
        if isinstance(node, (exp.And, exp.Or)):
            left, right = self._mask(node.left, wanted), self._mask(node.right, wanted)
            return left & right if isinstance(node, exp.And) == wanted else left | right
        if isinstance(node, exp.Column):
            return self._numbers(node, np.bool_).where(operator.eq, True, wanted)
        if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
            known = self._known(node.this)
            return ~known if wanted else known
        if isinstance(node, exp.RegexpLike):
            pattern = _text(node.expression)
            if not (pattern.startswith("^") and pattern.endswith("$")):
                raise UnsupportedError
            return self._texts_of(node.this).where(re.compile(pattern[1:-1]).fullmatch, wanted)
        if isinstance(node, exp.Anonymous) and node.name.lower() == "array_has_any":
            return self._has_any(*node.expressions, wanted=wanted)
        if compare := _OPERATORS.get(type(node).__name__):
            return self._compare(compare, node.this, node.expression, wanted)
        raise UnsupportedError

    def _compare(
        self, compare: Callable[[Any, Any], Any], left: exp.Expr, right: exp.Expr, wanted: bool
    ) -> Mask:
        from sqlglot import exp

        if isinstance(left, exp.Lower):
            text = _text(right)
            return self._texts_of(left).where(lambda other: compare(other, text), wanted)
        if isinstance(right, exp.Boolean):
            return self._numbers(left, np.bool_).where(compare, bool(right.this), wanted)
        sign = -1.0 if isinstance(right, exp.Neg) else 1.0
        right = right.this if isinstance(right, exp.Neg) else right
        if not isinstance(right, exp.Literal) or right.is_string:
            raise UnsupportedError
        return self._numbers(left, np.float64).where(compare, sign * float(right.this), wanted)

    def _known(self, node: exp.Expr) -> Mask:
        from sqlglot import exp

        if isinstance(node, exp.Nullif):
            return self._texts(node).codes >= 0
        column = self._column(node)
        if isinstance(column, _Texts):  # an empty text is not null without NULLIF
            raise UnsupportedError
        return column.known

    def _has_any(self, column: exp.Expr, items: exp.Expr, *, wanted: bool) -> Mask:
        from sqlglot import exp

        found = self._column(column)
        if (
            not isinstance(found, _Lists)
            or not isinstance(items, exp.Anonymous)
            or items.name.lower() != "make_array"
        ):
            raise UnsupportedError
        return found.has_any([_text(item) for item in items.expressions], wanted)

    def _texts_of(self, node: exp.Expr) -> _Texts:
        """Return the column of ``lower(nullif(column, ''))``."""
        from sqlglot import exp

        if not isinstance(node, exp.Lower):
            raise UnsupportedError
        return self._texts(node.this)

    def _texts(self, node: exp.Expr) -> _Texts:
        """Return the column of ``nullif(column, '')``."""
        from sqlglot import exp

        if not isinstance(node, exp.Nullif) or _text(node.expression):
            raise UnsupportedError
        column = self._column(node.this)
        if not isinstance(column, _Texts):
            raise UnsupportedError
        return column

    def _numbers(self, node: exp.Expr, dtype: type[np.generic]) -> _Numbers:
        column = self._column(node)
        if not isinstance(column, _Numbers) or column.values.dtype != dtype:
            raise UnsupportedError
        return column

    def _column(self, node: exp.Expr) -> _Column:
        from sqlglot import exp

        if not isinstance(node, exp.Column) or node.table:
            raise UnsupportedError
        name = node.name
        if name not in self._columns:
            try:
                self._columns[name] = _column_of(self._read(name))
            except (KeyError, UnsupportedError):  # LanceDB's error says what is wrong
                self._columns[name] = None
        column = self._columns[name]
        if column is None:
            raise UnsupportedError
        return column


class _Numbers(NamedTuple):
    """Numbers or flags, with any value where they are not known."""

    values: npt.NDArray[Any]
    known: Mask

    def where(self, compare: Callable[[Any, Any], Any], value: float | bool, wanted: bool) -> Mask:
        found: Mask = compare(self.values, value)
        if not wanted:
            np.logical_not(found, out=found)
        return np.logical_and(found, self.known, out=found)


class _Texts(NamedTuple):
    """Texts as codes (N,), -1 where unknown or empty, of different texts in lower case."""

    codes: npt.NDArray[np.int32]
    texts: list[str]

    def where(self, test: Callable[[str], object], wanted: bool) -> Mask:
        chosen = [code for code, text in enumerate(self.texts) if text and bool(test(text)) == wanted]
        if len(chosen) > _MOST_COMPARED:
            passes = np.zeros(len(self.texts) + 1, np.bool_)  # the last is that of code -1
            passes[chosen] = True
            return passes[self.codes]
        found = np.zeros(len(self.codes), np.bool_)
        for code in chosen:
            found |= self.codes == code
        return found


class _Lists(NamedTuple):
    """Lists of texts as the rows that have each item."""

    known: Mask
    rows_by_item: dict[str, npt.NDArray[np.int64]]

    def has_any(self, items: list[str], wanted: bool) -> Mask:
        found = np.zeros(len(self.known), np.bool_)
        for item in items:
            if item in self.rows_by_item:
                found[self.rows_by_item[item]] = True
        return found if wanted else self.known & ~found


_Column = _Numbers | _Texts | _Lists


def _column_of(array: pa.Array) -> _Column:
    import pyarrow as pa
    import pyarrow.compute as pc

    known = array.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_boolean(array.type):
        return _Numbers(array.fill_null(False).to_numpy(zero_copy_only=False), known)
    if pa.types.is_float64(array.type):
        values = array.fill_null(0.0).to_numpy()
        if np.isnan(values).any():  # which SQL orders above all numbers
            raise UnsupportedError
        return _Numbers(values, known)
    if pa.types.is_string(array.type):
        codes, texts = _codes(array)
        lower = [text.lower() for text in texts]
        if "" in texts:
            codes[codes == texts.index("")] = -1
        return _Texts(codes, lower)
    if pa.types.is_list(array.type):
        codes, items = _codes(array.flatten())
        parents = pc.list_parent_indices(array).to_numpy()
        order = np.argsort(codes, kind="stable")
        bounds = np.searchsorted(codes[order], np.arange(len(items) + 1))
        rows = {item: parents[order[bounds[i] : bounds[i + 1]]] for i, item in enumerate(items)}
        return _Lists(known, rows)
    raise UnsupportedError


def _codes(array: pa.Array) -> tuple[npt.NDArray[np.int32], list[str]]:
    """Return the code of each text, -1 where unknown, and the texts by code."""
    encoded = array.dictionary_encode()
    if len(encoded.dictionary) > _MOST_TEXTS:
        raise UnsupportedError
    return encoded.indices.fill_null(-1).to_numpy().copy(), encoded.dictionary.to_pylist()


def _text(node: exp.Expr) -> str:
    from sqlglot import exp

    if not isinstance(node, exp.Literal) or not node.is_string:
        raise UnsupportedError
    return str(node.this)
