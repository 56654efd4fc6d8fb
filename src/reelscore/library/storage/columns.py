"""Columns of a library's table in the order of a snapshot's rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

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
        self._names = set(view.names())
        # The order of a scan may change, the identifiers of rows do not.
        stored = self._by_row_id("key").cast(pa.large_string())
        self._places = pc.index_in(arrow_texts(texts, "key"), value_set=stored)

    def read(self, name: str) -> pa.Array:
        """Return a column, null in the rows of keys that the table lacks; raise KeyError if there is none."""
        if name not in self._names:
            raise KeyError(name)
        return self._by_row_id(name).take(self._places)

    def _by_row_id(self, name: str) -> pa.Array:
        import pyarrow as pa

        ids, column = self._view.column(name)
        values = column.combine_chunks()
        values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
        return values if (np.diff(ids) > 0).all() else values.take(pa.array(np.argsort(ids)))


def arrow_texts(texts: Texts, column: str) -> pa.Array:
    """Return a text column as an Arrow array over the same buffer."""
    import pyarrow as pa

    bounds = np.ascontiguousarray(texts.offsets[TEXT_COLUMNS.index(column)])
    return pa.LargeStringArray.from_buffers(len(bounds) - 1, pa.py_buffer(bounds), pa.py_buffer(texts.utf8))
