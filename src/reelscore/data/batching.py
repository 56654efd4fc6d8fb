"""Padded batches of pairs, sampled at random in training and fixed at inference."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from reelscore.errors import InputError
from reelscore.features.sampling import global_sparse_rows
from reelscore.types import FloatArray

from .digests import index_dtype
from .pairs import IntArray, PairSet, Samples

if TYPE_CHECKING:
    from .streaming import StreamedPairs

Part = tuple[int, int]
"""Number of a part of each batch, from 0, and number of parts: those of a process."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """B pairs, padded with zeros where the mask is False.

    Attributes
    ----------
    video, music : ndarray of float32, shape (B, T, D)
        T is the longest sequence of the batch on that side; D differs between the sides.
    video_mask, music_mask : ndarray of bool, shape (B, T)
        True for the rows of the sequence; at least one per item.
    group : ndarray of int64, shape (B,)
        Several items may be of one group; the loss decides what that means.
    index : ndarray of int64, shape (B,)
        Index of each item in the `PairSet`.
    text : ndarray of float32, shape (B, W, D), and text_mask : ndarray of bool, shape (B, W), optional
        Encoded text chunks, all masked for an item without text; None if no item has text.
    video_frozen, music_frozen : ndarray of float32, shape (B, P), optional
        Frozen features, where the set describes its items.
    """

    video: FloatArray
    video_mask: npt.NDArray[np.bool_]
    music: FloatArray
    music_mask: npt.NDArray[np.bool_]
    group: IntArray
    index: IntArray
    text: FloatArray | None = None
    text_mask: npt.NDArray[np.bool_] | None = None
    video_frozen: FloatArray | None = None
    music_frozen: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.index)

    def take(self, rows: slice) -> Batch:
        """Return some items, with the same padding."""
        taken: dict[str, Any] = {}
        for field in fields(self):
            array = getattr(self, field.name)
            taken[field.name] = None if array is None else array[rows]
        return Batch(**taken)

    def padded(self, video: int, music: int, text: int, *, text_columns: int) -> Batch:
        """Return the batch padded to longer sequences; a text length of 0 means no text."""
        array, mask = self.text, self.text_mask
        if text and (array is None or mask is None):
            array, mask = (
                np.zeros((len(self), text, text_columns), np.float32),
                np.zeros((len(self), text), bool),
            )
        return replace(
            self,
            video=_lengthened(self.video, video),
            video_mask=_lengthened(self.video_mask, video),
            music=_lengthened(self.music, music),
            music_mask=_lengthened(self.music_mask, music),
            text=None if array is None else _lengthened(array, text),
            text_mask=None if mask is None else _lengthened(mask, text),
        )


def part_sizes(num_items: int, num_parts: int) -> list[int]:
    """Return the sizes of the parts of a batch, which differ by at most 1.

    Examples
    --------
    >>> part_sizes(8, 3)
    [3, 3, 2]
    """
    size, rest = divmod(num_items, num_parts)
    return [size + (number < rest) for number in range(num_parts)]


def part_rows(num_items: int, part: Part) -> slice:
    """Return the items of a part of a batch."""
    number, num_parts = part
    sizes = part_sizes(num_items, num_parts)
    start = sum(sizes[:number])
    return slice(start, start + sizes[number])


def num_batches(num_pairs: int, *, batch_size: int, training: bool) -> int:
    """Return the number of batches of `iterate`, which drops the incomplete last one in training."""
    size = min(batch_size, num_pairs)
    return num_pairs // size if training else -(-num_pairs // size)


def iterate(
    pairs: PairSet | StreamedPairs,
    *,
    batch_size: int,
    num_segments: int | None = None,
    rng: np.random.Generator | None = None,
    part: Part = (0, 1),
    first: int = 0,
) -> Iterator[Batch]:
    """Iterate once over the pairs, in batches of ``min(batch_size, len(pairs))``.

    Parameters
    ----------
    pairs : PairSet or StreamedPairs
    batch_size : int
        Maximum batch size B.
    num_segments : int, optional
        N of Global Sparse sampling: a longer sequence gives one row from each of N equal segments, a shorter one keeps
        its rows. The set's own N by default.
    rng : numpy Generator, optional
        Training: the order, the row inside each segment and, row by row, the sample are random. The incomplete last
        batch is dropped, because the loss depends on the number of negatives. Without it: the given order, middle
        rows, sample 0 and every pair once.
    part : (int, int)
        Yield only the items of one of K parts of each batch. The random choices are those of the whole batch for any
        K, so all processes must have the same random state.
    first : int
        Number of batches to skip. Their random rows are not drawn: set the state that `rng` had after them.

    Yields
    ------
    Batch

    Raises
    ------
    InputError
        At the call, when `batch_size` is below 1, or a training batch has a single pair, which has no negative.
    """
    indices = _indices(pairs, batch_size=batch_size, rng=rng, first=first)
    return _batches(pairs, indices, pairs.num_segments if num_segments is None else num_segments, rng, part)


def _indices(
    pairs: PairSet | StreamedPairs, *, batch_size: int, rng: np.random.Generator | None, first: int
) -> Iterator[IntArray]:
    """Return the indices of the batches of `iterate`."""
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1, got {batch_size}")
    size = min(batch_size, len(pairs))
    if rng is not None and size < 2:
        cause = "add pairs" if len(pairs) < 2 else "raise batch_size"
        raise InputError(
            f"training needs at least 2 pairs in a batch, got {len(pairs)} pair(s) in {pairs.name} and "
            f"batch_size {batch_size}; {cause}"
        )
    order = np.arange(len(pairs), dtype=index_dtype(len(pairs)))
    if rng is not None:
        rng.shuffle(order)
    number = num_batches(len(pairs), batch_size=size, training=rng is not None)
    starts = range(first * size, number * size, size)
    return (order[start : start + size].astype(np.int64) for start in starts)


def _batches(
    pairs: PairSet | StreamedPairs,
    indices: Iterator[IntArray],
    num_segments: int,
    rng: np.random.Generator | None,
    part: Part,
) -> Iterator[Batch]:
    indices, ahead = itertools.tee(indices)  # some batches are read ahead
    own = (whole[part_rows(len(whole), part)] for whole in ahead)
    columns = pairs.text_columns
    for whole, items in zip(indices, pairs.read(own), strict=True):
        some = part_rows(len(whole), part)
        index = whole[some]
        # The random rows of all items are drawn, those of the part are read.
        shapes = [pairs.shape(i) for i in whole]
        sides = []
        for side, samples in enumerate((items.video, items.music)):
            chosen = [_random_rows(*shape[side], num_segments, rng) for shape in shapes][some]
            sides.append(pad([_sequence(one, *at) for one, at in zip(samples, chosen, strict=True)]))
        (video, video_mask), (music, music_mask) = sides
        text, text_mask = _padded_text(items.text, columns)
        frozen = items.frozen or (None, None)
        group = pairs.group[index].astype(np.int64)
        yield Batch(video, video_mask, music, music_mask, group, index, text, text_mask, *frozen)


def _padded_text(
    texts: Sequence[FloatArray | None], columns: int
) -> tuple[FloatArray, npt.NDArray[np.bool_]] | tuple[None, None]:
    """Return the padded text of some items and its mask, as in `Batch`."""
    if all(chunks is None for chunks in texts):
        return None, None
    empty = np.zeros((0, columns), np.float32)
    return pad([empty if chunks is None else chunks for chunks in texts])


def inference_rows(samples: Samples, num_segments: int | None) -> FloatArray:
    """Return at most N rows of an item's inference sample, by Global Sparse sampling; all rows without N."""
    rows = samples[0]
    if num_segments is None or len(rows) <= num_segments:
        return rows
    return rows[global_sparse_rows(len(rows), num_segments=num_segments)]


def _random_rows(
    length: int, num_samples: int, num_segments: int, rng: np.random.Generator | None
) -> tuple[IntArray, IntArray | None]:
    """Return the rows of an item that a batch reads, and the sample of each row; None for the inference sample."""
    rows = np.arange(length)
    if length > num_segments:
        rows = global_sparse_rows(length, num_segments=num_segments, rng=rng)
    if rng is None or num_samples == 1:
        return rows, None
    return rows, rng.integers(num_samples, size=len(rows))


def _sequence(samples: Samples, rows: IntArray, numbers: IntArray | None) -> FloatArray:
    if numbers is None:
        return samples[0][rows]
    mixed: FloatArray = np.stack(samples)[numbers, rows]
    return mixed


def pad(sequences: Sequence[FloatArray]) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Pad sequences of shape (T_i, D) to values (B, T, D) and a mask (B, T)."""
    lengths = np.array([len(sequence) for sequence in sequences])
    mask = np.arange(lengths.max()) < lengths[:, None]
    values = np.zeros((*mask.shape, sequences[0].shape[1]), dtype=np.float32)
    for row, sequence in zip(values, sequences, strict=True):
        row[: len(sequence)] = sequence
    return values, mask


def _lengthened(values: npt.NDArray[Any], length: int) -> npt.NDArray[Any]:
    """Pad sequences (B, T, ...) to a length with zeros."""
    return np.pad(values, [(0, 0), (0, length - values.shape[1]), *[(0, 0)] * (values.ndim - 2)])
