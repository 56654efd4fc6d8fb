"""Train, val and test splits, and cross-validation folds, by hash of the group."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from reelscore.errors import InputError

from .pairs import SPLITS, IntArray, Split

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
    shares = np.array([fractions.get(part, 0.0) for part in SPLITS], dtype=np.float64)
    if not np.isfinite(shares).all() or (shares < 0).any() or shares.sum() <= 0:
        raise InputError(
            f"split fractions must be finite and not negative, with a positive sum, got {dict(fractions)}"
        )
    edges = np.concatenate([[0.0], np.cumsum(shares / shares.sum())])
    names = sorted({str(group) for group in groups})
    position = {name: _position(name, seed) for name in names}
    part_of = {name: int(np.searchsorted(edges[1:-1], position[name], side="right")) for name in names}
    wanted = [i for i, share in enumerate(shares) if share > 0]
    if len(names) >= len(wanted):
        for i in wanted:
            assigned = list(part_of.values())
            if i not in assigned:
                middle = (edges[i] + edges[i + 1]) / 2
                spare = [name for name in names if assigned.count(part_of[name]) > 1]
                part_of[min(spare, key=lambda name: abs(position[name] - middle))] = i
    return tuple(SPLITS[part_of[str(group)]] for group in groups)


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
    names = sorted({str(group) for group in groups}, key=lambda name: (_position(name, seed), name))
    if not 2 <= num_folds <= len(names):
        raise InputError(f"folds need 2 to {len(names)}, the number of groups, got {num_folds}")
    fold = {name: i % num_folds for i, name in enumerate(names)}
    return np.array([fold[str(group)] for group in groups], dtype=np.int64)


def _position(name: str, seed: int) -> float:
    """Hash name and seed to a number in [0, 1)."""
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
    parent = list(range(len(labels[0])))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for column in labels:
        first: dict[Hashable, int] = {}
        for i, label in enumerate(column):
            if label is not None:
                one, other = sorted((root(first.setdefault(label, i)), root(i)))
                parent[other] = one
    return np.array([root(i) for i in range(len(parent))], dtype=np.int64)
