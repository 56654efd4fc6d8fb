"""Columns of a library's table, and their order and form in a snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .exact_search import TEXT_COLUMNS, Texts

if TYPE_CHECKING:
    import pyarrow as pa

    from .reader import View


class OrderedColumns:
    """Reads columns with LanceDB, each as one Arrow array in the order of given keys.

    Parameters
    ----------
    texts : Texts
        With the keys.
    view : View
    """

    def __init__(self, texts: Texts, view: View) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        self._view = view
        # The order of a scan may change, the identifiers of rows do not.
        stored = self._by_row_id("key").cast(pa.large_string())
        self._places = pc.index_in(arrow_texts(texts, "key"), value_set=stored)

    def read(self, name: str) -> pa.Array:
        """Return a column, null in the rows of keys that the table lacks; raise KeyError if there is none."""
        return self._by_row_id(name).take(self._places)

    def _by_row_id(self, name: str) -> pa.Array:
        import pyarrow as pa

        ids, column = self._view.column(name)
        values = one_chunk(column)
        return values if (np.diff(ids) > 0).all() else values.take(pa.array(np.argsort(ids)))


def arrow_texts(texts: Texts, column: str) -> pa.Array:
    """Return a text column as an Arrow array over the same buffer."""
    import pyarrow as pa

    bounds = np.ascontiguousarray(texts.offsets[TEXT_COLUMNS.index(column)])
    return pa.LargeStringArray.from_buffers(len(bounds) - 1, pa.py_buffer(bounds), pa.py_buffer(texts.utf8))


def texts_of(columns: Sequence[pa.Array]) -> Texts:
    """Return the columns `TEXT_COLUMNS` in one buffer."""
    import pyarrow as pa

    offsets = np.zeros((len(columns), len(columns[0]) + 1), dtype=np.int64)
    contents: list[npt.NDArray[np.uint8]] = []
    start = 0
    for c, column in enumerate(columns):
        column = column.cast(pa.large_string())
        _, bounds, content = column.buffers()
        if len(column):
            own = np.frombuffer(bounds, np.int64)[column.offset : column.offset + len(column) + 1]
            offsets[c] = start + own - own[0]
            if content is not None:
                contents.append(np.frombuffer(content, np.uint8)[own[0] : own[-1]])
        else:
            offsets[c] = start
        start = int(offsets[c, -1])
    return Texts(offsets, np.concatenate([np.empty(0, np.uint8), *contents]))


def one_chunk(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array."""
    import pyarrow as pa

    combined = column.combine_chunks()
    return combined.combine_chunks() if isinstance(combined, pa.ChunkedArray) else combined
