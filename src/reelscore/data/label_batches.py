"""Training batches with a given share of negatives of the anchor's label.

The share of ordered pairs of one label in a batch of B items, c_k of them of label k, is

    r = Σ_k c_k (c_k − 1) / (B (B − 1)),      Σ_k c_k = B.

The counts start with the fewest labels that share the batch evenly and keep r at or below the rate. Items then move
from the last label to the first until r passes the rate. Each batch uses the counts just below or just above, chosen at
random so that r is exact on average. At r = 0 all items of a batch differ in label.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from reelscore.errors import InputError

from .pairs import IntArray

Counts = tuple[int, ...]


def sample_label_batches(
    label: IntArray, *, batch_size: int, rate: float, rng: np.random.Generator
) -> Iterator[IntArray]:
    """Sample the batches of one epoch, with labels and items in turn.

    Parameters
    ----------
    label : ndarray of int64, shape (N,)
    batch_size : int
        B, at most N; there are N // B batches.
    rate : float
        r, in [0, 1].
    rng : numpy Generator

    Yields
    ------
    ndarray of int64, shape (B,)
        Indices without repetition, in random order.

    Raises
    ------
    InputError
        When a label has too few items, or there are too few labels.
    """
    labels, number = np.unique(label, return_inverse=True)
    members = [np.flatnonzero(number == k) for k in range(len(labels))]
    low, high, share = label_counts(batch_size, rate)
    for counts in (low, high):
        _check(members, counts, rate)
    decks = [rng.permutation(rows) for rows in members]
    used = np.zeros(len(members))
    for _ in range(len(label) // batch_size):
        counts = high if rng.random() < share else low
        items = []
        unused = np.ones(len(members), dtype=bool)
        for count in counts:
            # The label whose items were sampled least often, with ties broken at random.
            fits = unused & (np.array([len(rows) for rows in members]) >= count)
            turn = np.where(fits, used / [len(rows) for rows in members], np.inf)
            k = int(rng.choice(np.flatnonzero(turn == turn.min())))
            if len(decks[k]) < count:
                decks[k] = rng.permutation(members[k])
            items.append(decks[k][:count])
            decks[k] = decks[k][count:]
            used[k] += count
            unused[k] = False
        yield rng.permutation(np.concatenate(items)).astype(np.int64)


def label_counts(size: int, rate: float) -> tuple[Counts, Counts, float]:
    """Return the label counts at or below the rate, those above it, and the probability of the latter.

    Examples
    --------
    >>> label_counts(4, 0.0)
    ((1, 1, 1, 1), (2, 1, 1), 0.0)
    >>> label_counts(8, 0.5)
    ((5, 3), (6, 2), 0.3333333333333333)
    """
    if not 0 <= rate <= 1:
        raise InputError(f"label_rate must be in [0, 1], got {rate}")
    if size < 2:
        raise InputError(f"batch_size must be at least 2 with label_rate, got {size}")
    num_labels = next(n for n in range(1, size + 1) if same_label_rate(_even(size, n)) <= rate + 1e-12)
    low = _even(size, num_labels)
    while True:
        if len(low) == 1:
            return low, low, 0.0
        high = _concentrated(low)
        if same_label_rate(high) > rate + 1e-12:
            break
        low = high
    return low, high, max(0.0, (rate - same_label_rate(low)) / (same_label_rate(high) - same_label_rate(low)))


def same_label_rate(counts: Counts) -> float:
    """Return the share r of ordered pairs of one label in a batch with these label counts.

    Examples
    --------
    >>> same_label_rate((3, 1))
    0.5
    """
    size = sum(counts)
    return sum(c * (c - 1) for c in counts) / (size * (size - 1))


def _even(size: int, num_labels: int) -> Counts:
    return tuple(size // num_labels + (k < size % num_labels) for k in range(num_labels))


def _concentrated(counts: Counts) -> Counts:
    moved = (counts[0] + 1, *counts[1:-1], counts[-1] - 1)
    return moved if moved[-1] else moved[:-1]


def _check(members: list[IntArray], counts: Counts, rate: float) -> None:
    sizes = sorted((len(rows) for rows in members), reverse=True)
    if len(sizes) < len(counts) or any(size < count for size, count in zip(sizes, counts, strict=False)):
        raise InputError(
            f"label_rate {rate} needs {len(counts)} labels, the largest with {counts[0]} items or more, but there are "
            f"{len(sizes)} labels and the largest has {sizes[0]} items; lower batch_size or choose another label_rate"
        )
