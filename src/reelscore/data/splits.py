"""Train, val and test splits, and cross-validation folds, by hash of the group."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from reelscore.errors import InputError

from .pairs import SPLITS, IntArray, Split, SplitCodes

DEFAULT_FRACTIONS: Mapping[Split, float] = {"train": 0.7, "val": 0.1, "test": 0.2}
IGNORE_SPLITS = "use every pair without its split: evaluate --split all, train --use-all"
"""What a message about a stored split tells the user to do."""


def hash_splits(
    groups: Sequence[Hashable],
    *,
    seed: int = 0,
    fractions: Mapping[Split, float] = DEFAULT_FRACTIONS,
) -> tuple[Split, ...]:
    """Assign each group to a split by the hash of its name.

    A group keeps its split when others are added or removed, so the fractions hold only on average. A split that
    would be empty gets the group with the nearest hash, if there are at least as many groups as splits.

    Parameters
    ----------
    groups : sequence of hashable, length N
        Equal entries stay together. ``str(entry)`` is hashed.
    seed : int
        Seed of the hash.
    fractions : mapping
        Share of the groups for each split, not negative; normalised to sum 1.

    Returns
    -------
    tuple of {"train", "val", "test"}, length N

    Examples
    --------
    >>> sorted(set(hash_splits(["a", "b", "c", "c"])))
    ['test', 'train', 'val']
    """
    names = sorted({str(group) for group in groups})
    codes = split_codes(np.array([hash_position(name, seed) for name in names]), fractions)
    split_of = {name: SPLITS[code] for name, code in zip(names, codes, strict=True)}
    return tuple(split_of[str(group)] for group in groups)


def split_codes(
    positions: npt.NDArray[np.float64], fractions: Mapping[Split, float] = DEFAULT_FRACTIONS
) -> SplitCodes:
    """Return the number in `SPLITS` of the split of each group, given their `hash_position`; see `hash_splits`."""
    shares = np.array([fractions.get(part, 0.0) for part in SPLITS], dtype=np.float64)
    if not np.isfinite(shares).all() or (shares < 0).any() or shares.sum() <= 0:
        raise InputError(
            f"split fractions must be finite and not negative, with a positive sum, got {dict(fractions)}"
        )
    edges = np.concatenate([[0.0], np.cumsum(shares / shares.sum())])
    codes = np.searchsorted(edges[1:-1], positions, side="right").astype(np.int8)
    wanted = np.flatnonzero(shares > 0)
    for i in wanted if len(codes) >= len(wanted) else ():
        if not (codes == i).any():
            has_spare = np.bincount(codes, minlength=len(SPLITS))[codes] > 1
            distance = np.abs(positions - (edges[i] + edges[i + 1]) / 2)
            codes[np.where(has_spare, distance, np.inf).argmin()] = i
    return codes


def all_train(num_pairs: int) -> tuple[Split, ...]:
    """Return the train split for each pair of a set without splits."""
    train: Split = "train"
    return (train,) * num_pairs


def hash_folds(groups: Sequence[Hashable], *, num_folds: int, seed: int = 0) -> IntArray:
    """Assign the groups, ordered by the hash of their names, to folds of equal size.

    Parameters
    ----------
    groups : sequence of hashable, length N
        Equal entries stay together. ``str(entry)`` is hashed.
    num_folds : int
    seed : int
        Seed of the hash.

    Returns
    -------
    ndarray of int64, shape (N,)
        From 0 to `num_folds` - 1.

    Examples
    --------
    >>> sorted(hash_folds(["a", "b", "c", "d"], num_folds=2).tolist())
    [0, 0, 1, 1]
    """
    names = sorted({str(group) for group in groups}, key=lambda name: (hash_position(name, seed), name))
    if not 2 <= num_folds <= len(names):
        raise InputError(f"folds need 2 to {len(names)}, the number of groups, got {num_folds}")
    fold = {name: i % num_folds for i, name in enumerate(names)}
    return np.array([fold[str(group)] for group in groups], dtype=np.int64)


def hash_position(name: str, seed: int) -> float:
    """Hash the name of a group and a seed to a number in [0, 1)."""
    digest = hashlib.blake2b(f"{seed}\0{name}".encode("utf-8", "surrogateescape"), digest_size=7).digest()
    return int.from_bytes(digest) / 2.0**56


def connected_components(*labels: Sequence[Hashable | None]) -> IntArray:
    """Return the connected components of items that share an entry in any list.

    Parameters
    ----------
    *labels : sequence of hashable or None, length N each
        None matches nothing.

    Returns
    -------
    ndarray of int64, shape (N,)
        The index of the first item of each component.

    Examples
    --------
    >>> connected_components(["a", "a", None, None], [1, 2, 2, None])
    array([0, 0, 0, 3])
    """
    columns = []
    for column in labels:
        first: dict[Hashable, int] = {}
        columns.append([i if label is None else first.setdefault(label, i) for i, label in enumerate(column)])
    return merge_components(*(np.array(column, np.int64) for column in columns))


def merge_components(*first: IntArray) -> IntArray:
    """Return the connected components, given for each list the index of the first item with the same entry.

    Examples
    --------
    >>> merge_components(np.array([0, 0, 2, 3]), np.array([0, 1, 1, 3]))
    array([0, 0, 0, 3])
    """
    # A forest whose trees have depth 1 and the smallest index as their root.
    root, *others = first
    for other in others:
        while True:
            reached = root[other]
            apart = np.flatnonzero(root != reached)
            if not len(apart):
                break
            one, two = root[apart], reached[apart]
            root = root.copy()
            np.minimum.at(root, np.maximum(one, two), np.minimum(one, two))
            while not np.array_equal(higher := root[root], root):
                root = higher
    return root
