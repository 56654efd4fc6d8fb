"""Labels and a rate enter, training batches in which just so many negatives share their anchor's label leave.

Drawn at random, a batch holds as many items of one label as chance will have it. Here the share

    r = Σ_k c_k (c_k − 1) / (B (B − 1)),      c_k items of label k,   Σ_k c_k = B,

of ordered pairs of one label is set instead: as few labels as r allows share the batch evenly, then one after
another an item of the last makes room for one of the first until r is passed; of the two compositions round r
each batch draws one, so that r holds exactly on average. At r = 0 all items of a batch differ in label.
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
    """Draw the batches of one epoch: as many as random drawing would give, labels and items in turn.

    Parameters
    ----------
    label : ndarray of int64, shape (N,)
    batch_size : int
        B, at most N.
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
    names, number = np.unique(label, return_inverse=True)
    members = [np.flatnonzero(number == k) for k in range(len(names))]
    low, high, share = label_counts(batch_size, rate)
    for counts in (low, high):
        _check(members, counts, rate)
    decks = [rng.permutation(rows) for rows in members]
    used = np.zeros(len(members))
    for _ in range(len(label) // batch_size):
        counts = high if rng.random() < share else low
        drawn = []
        open_ = np.ones(len(members), dtype=bool)
        for count in counts:
            # The label whose items have come least often, chance deciding between equals.
            fits = open_ & (np.array([len(rows) for rows in members]) >= count)
            turn = np.where(fits, used / [len(rows) for rows in members], np.inf)
            k = int(rng.choice(np.flatnonzero(turn == turn.min())))
            if len(decks[k]) < count:
                decks[k] = rng.permutation(members[k])
            drawn.append(decks[k][:count])
            decks[k] = decks[k][count:]
            used[k] += count
            open_[k] = False
        yield rng.permutation(np.concatenate(drawn)).astype(np.int64)


def label_counts(size: int, rate: float) -> tuple[Counts, Counts, float]:
    """Return the composition at or below the rate, the one above it, and how often the latter must be drawn.

    Examples
    --------
    >>> label_counts(4, 0.0)
    ((1, 1, 1, 1), (2, 1, 1), 0.0)
    >>> label_counts(8, 0.5)
    ((5, 3), (6, 2), 0.3333333333333333)
    """
    if not 0 <= rate <= 1:
        raise InputError(f"the rate must lie in [0, 1], got {rate}")
    if size < 2:
        raise InputError(f"a batch needs at least two items to hold a pair, got {size}")
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
    """Return the share r of ordered pairs of one label in a batch of these counts.

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
    more = (counts[0] + 1, *counts[1:-1], counts[-1] - 1)
    return more if more[-1] else more[:-1]


def _check(members: list[IntArray], counts: Counts, rate: float) -> None:
    sizes = sorted((len(rows) for rows in members), reverse=True)
    if len(sizes) < len(counts) or any(size < count for size, count in zip(sizes, counts, strict=False)):
        raise InputError(
            f"batches in which a share of {rate} has its anchor's label need labels of {counts[0]} and "
            f"{len(counts)} labels in all; the largest of the {len(sizes)} here has {sizes[0]} items: "
            "lower batch_size, or choose another rate"
        )
