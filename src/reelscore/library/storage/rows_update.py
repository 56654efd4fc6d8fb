"""Rows of a table from its last snapshot and the rows that were written since."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .columns import arrow_texts
from .exact_search import TEXT_COLUMNS, Rows, Texts
from .filters import one_of
from .schema import texts_of
from .vectors import Vectors

if TYPE_CHECKING:
    from .reader import View
    from .snapshot import Snapshot

_MOST_NEW = 20_000
"""Number of changed rows above which reading all rows is simpler and not much slower."""

_KEYS_A_QUERY = 2000


class RowsUpdate(NamedTuple):
    """The rows of a table, of which most are those of an older snapshot.

    Attributes
    ----------
    last : Snapshot
    rows : Rows
        Their vectors have the blocks of `last` and one of the new rows.
    origin : ndarray of int64, shape (N,)
        Row of `last` that each row is, -1 for new and changed ones.
    """

    last: Snapshot
    rows: Rows
    origin: npt.NDArray[np.int64]


def update_rows(view: View, last: Snapshot, *, is_shared: bool) -> RowsUpdate | None:
    """Return the rows at the version of a view, or None where the snapshot helps little or does not match."""
    stored = view.keys_and_revisions()
    found = pc.index_in(
        stored["key"].cast(pa.large_string()), value_set=arrow_texts(last.rows.texts, "key")
    ).combine_chunks()
    rows = found.fill_null(-1).to_numpy().astype(np.int64)
    revisions = stored["revision"].to_numpy()
    stays = rows >= 0
    stays[stays] = last.rows.revision[rows[stays]] == revisions[stays]
    is_new = np.flatnonzero(~stays)
    if len(is_new) > _MOST_NEW:
        return None
    if not is_shared and (revisions[is_new] <= last.version).any():
        return None  # no write since: the files of the table or the snapshot differ from what was written
    kept = np.sort(rows[stays])
    keys = stored["key"].take(pa.array(is_new)).to_pylist()
    new = _read(view, sorted(keys))
    if new is None:
        return RowsUpdate(last, _chosen(last.rows, kept), kept)
    if last.rows.tag_scores is not None:
        new = _with_width(new, last.rows.tag_scores.shape[1])
        if new is None:
            return None
    if len(new) != len(keys):
        return None
    below = np.array([last.rows.num_below(key) for key in new.text("key")], dtype=np.int64)
    order = np.insert(kept, np.searchsorted(kept, below), len(last.rows) + np.arange(len(new)))
    return RowsUpdate(last, _merged(last.rows, new, order), np.where(order < len(last.rows), order, -1))


def _read(view: View, keys: list[str]) -> Rows | None:
    if not keys:
        return None
    parts = range(0, len(keys), _KEYS_A_QUERY)
    return view.rows_where([one_of("key", keys[i : i + _KEYS_A_QUERY]) for i in parts])


def _with_width(rows: Rows, num_terms: int) -> Rows | None:
    """Return rows with tag scores of a length, NaN if no row has any; None if they have another length."""
    if rows.tag_scores is None or rows.tag_scores.shape[1] == num_terms:
        return rows
    if rows.tag_scores.shape[1]:
        return None
    return replace(rows, tag_scores=Vectors.of(np.full((len(rows), num_terms), np.nan, np.float32)))


def _chosen(rows: Rows, order: npt.NDArray[np.int64]) -> Rows:
    if len(order) == len(rows):
        return rows
    chosen = [arrow_texts(rows.texts, name).take(pa.array(order)) for name in TEXT_COLUMNS]

    def vectors(of: Vectors) -> Vectors:
        return Vectors(of.blocks, of.places[order])

    return Rows(
        texts_of(chosen),
        rows.duration_s[order],
        rows.revision[order],
        vectors(rows.embeddings),
        None if rows.tag_scores is None else vectors(rows.tag_scores),
    )


def _merged(old: Rows, new: Rows, order: npt.NDArray[np.int64]) -> Rows:
    """Return rows of both, where `order` numbers those of `new` after those of `old`."""

    def texts() -> Texts:
        both = ([arrow_texts(rows.texts, name) for rows in (old, new)] for name in TEXT_COLUMNS)
        return texts_of([pa.concat_arrays(pair).take(pa.array(order)) for pair in both])

    def vectors(first: Vectors, second: Vectors) -> Vectors:
        size = sum(len(block) for block in first.blocks)
        places = np.concatenate([first.places, size + second.places])[order]
        return Vectors((*first.blocks, *second.blocks), places)

    tag_scores = None
    if old.tag_scores is not None and new.tag_scores is not None:
        tag_scores = vectors(old.tag_scores, new.tag_scores)
    return Rows(
        texts(),
        np.concatenate([old.duration_s, new.duration_s])[order],
        np.concatenate([old.revision, new.revision])[order],
        vectors(old.embeddings, new.embeddings),
        tag_scores,
    )
