"""Groups and splits of the rows of manifests and data sets.

A data set may have 10^8 rows, so `groups_and_splits` holds no Python object for each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reelscore.errors import InputError

from .digests import DIGEST, Digests, digests, first_equal
from .feature_table import FeatureTable
from .manifest import SPLIT_NAMES, ManifestRow
from .pairs import SPLITS, IntArray, Split, SplitCodes
from .splits import (
    DEFAULT_FRACTIONS,
    connected_components,
    hash_position,
    hash_splits,
    merge_components,
    split_codes,
)

_GROUP = ("group", "music_content")


def assign_splits(
    rows: Sequence[ManifestRow],
    *,
    seed: int = 0,
    fractions: Mapping[Split, float] = DEFAULT_FRACTIONS,
) -> tuple[Split, ...]:
    """Return the split of each row: the one given in the manifest, or else by hash.

    Rows that share a group, a video or a music file, directly or through other rows, get the same split.

    Returns
    -------
    tuple of {"train", "val", "test"}, length of `rows`

    Raises
    ------
    InputError
        When connected rows give different splits.
    """
    if not rows:
        return ()
    component = connected_components(
        [row.group for row in rows],
        [str(row.video) for row in rows],
        [None if row.music is None else str(row.music) for row in rows],
    ).tolist()
    with_split: dict[int, ManifestRow] = {}
    # The smallest name of a component does not depend on the order of the rows.
    name: dict[int, str] = {}
    for number, row in zip(component, rows, strict=True):
        own = row.group or row.key or str(row.video)
        name[number] = min(own, name.get(number, own))
        if row.split is not None:
            first = with_split.setdefault(number, row)
            if first.split != row.split:
                raise _split_conflict((first.line, first.split), (row.line, row.split))
    free = [number for number in component if number not in with_split]
    hashed = dict(
        zip(free, hash_splits([name[n] for n in free], seed=seed, fractions=fractions), strict=True)
    )
    return tuple(with_split[n].split or "train" if n in with_split else hashed[n] for n in component)


def _row_digests(table: FeatureTable, texts: Callable[[pa.RecordBatch], pa.Array], *columns: str) -> Digests:
    """Return the digest of a text of each row, which is computed from some columns."""
    found = np.empty(len(table), DIGEST)
    for rows, batch in table.batches(*columns):
        found[rows] = digests(texts(batch))
    return found


def groups_and_splits(table: FeatureTable, *, seed: int, use_splits: bool) -> tuple[IntArray, SplitCodes]:
    """Return the group and the split of each row, as `extraction.groups_and_splits`.

    Raises
    ------
    InputError
        When rows that share a group, a video or a track give different splits.
    """
    first = first_equal(_row_digests(table, _group_names, *_GROUP))
    numbers = np.arange(len(first), dtype=first.dtype)
    group = (np.cumsum(first == numbers, dtype=first.dtype) - 1)[first]
    if not use_splits:
        return group, np.zeros(len(first), np.int8)
    same_video = first_equal(_row_digests(table, lambda batch: batch["video_content"], "video_content"))
    component = merge_components(first, same_video)
    del same_video
    split = _given_splits(table, component)
    is_free = split < 0
    if is_free.any():
        roots = np.flatnonzero(is_free & (component == numbers))
        split[roots] = split_codes(_positions(table, component, first, is_free, seed)[roots])
        split = split[component]
    return group, split


def _group_names(batch: pa.RecordBatch) -> pa.Array:
    """Return the group of each row: the given one, else the content of its music."""
    group, music = (batch[name] for name in _GROUP)
    return pc.if_else(pc.fill_null(pc.not_equal(group, ""), False), group, music)


def _given_splits(table: FeatureTable, component: IntArray) -> SplitCodes:
    """Return the split that a row of each row's component gives, −1 where none does."""
    given = np.empty(len(component), np.int8)
    for rows, batch in table.batches("split"):
        encoded = batch["split"].dictionary_encode()
        codes = [SPLITS.index(SPLIT_NAMES[name]) if name else -1 for name in encoded.dictionary.to_pylist()]
        given[rows] = np.array([*codes, -1], np.int8)[pc.fill_null(encoded.indices, -1).to_numpy()]
    with_split = np.flatnonzero(given >= 0)
    of_root = np.full(len(component), -1, np.int8)
    of_root[component[with_split[::-1]]] = given[with_split[::-1]]  # the first row of a component comes last
    split = of_root[component]
    differs = with_split[given[with_split] != split[with_split]]
    if len(differs):
        other = int(differs[0])
        one = next(int(row) for row in with_split if component[row] == component[other])
        lines = table.take([one, other], ["line"])["line"].to_pylist()
        raise _split_conflict(
            *((line, SPLITS[given[row]]) for line, row in zip(lines, (one, other), strict=True))
        )
    return split


def _positions(
    table: FeatureTable, component: IntArray, first: IntArray, is_free: npt.NDArray[np.bool_], seed: int
) -> npt.NDArray[np.float64]:
    """Return the hash position of each component without a split at the index of its first row.

    It is that of its smallest group name, which does not depend on the order of the rows.
    """
    has_several = np.zeros(len(component), bool)
    has_several[component[first != component]] = True
    position = np.empty(len(component))
    smallest: dict[int, str] = {}
    for rows, batch in table.batches(*_GROUP):
        names, roots = _group_names(batch), component[rows]
        alone = is_free[rows] & (roots == rows) & ~has_several[roots]
        position[rows[alone]] = [
            hash_position(name, seed) for name in names.filter(pa.array(alone)).to_pylist()
        ]
        shared = is_free[rows] & has_several[roots]
        for root, name in zip(
            roots[shared].tolist(), names.filter(pa.array(shared)).to_pylist(), strict=True
        ):
            smallest[root] = min(name, smallest.get(root, name))
    for root, name in smallest.items():
        position[root] = hash_position(name, seed)
    return position


def _split_conflict(one: tuple[int, str | None], other: tuple[int, str | None]) -> InputError:
    """Return the error of two connected rows, given as line and split, of different splits."""
    return InputError(
        f"lines {one[0]} ({one[1]}) and {other[0]} ({other[1]}) of the manifest share "
        "a group, a video or a music file but differ in split; give both the same one"
    )
