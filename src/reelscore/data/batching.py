"""Padded batches of pairs, sampled at random in training and fixed at inference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reelscore.errors import InputError
from reelscore.features.sampling import global_sparse_rows
from reelscore.types import FloatArray

from .pairs import IntArray, PairSet, Samples


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
    """

    video: FloatArray
    video_mask: npt.NDArray[np.bool_]
    music: FloatArray
    music_mask: npt.NDArray[np.bool_]
    group: IntArray
    index: IntArray
    text: FloatArray | None = None
    text_mask: npt.NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.index)


def num_batches(num_pairs: int, *, batch_size: int, training: bool) -> int:
    """Return the number of batches of `iterate`, which drops the incomplete last one in training."""
    size = min(batch_size, num_pairs)
    return num_pairs // size if training else -(-num_pairs // size)


def iterate(
    pairs: PairSet,
    *,
    batch_size: int,
    num_segments: int | None = None,
    rng: np.random.Generator | None = None,
) -> Iterator[Batch]:
    """Iterate once over the pairs, in batches of ``min(batch_size, len(pairs))``.

    Parameters
    ----------
    pairs : PairSet
    batch_size : int
        Maximum batch size B.
    num_segments : int, optional
        N of Global Sparse sampling: a longer sequence gives one row from each of N equal segments, a shorter one keeps
        its rows. The set's own N by default.
    rng : numpy Generator, optional
        Training: the order, the row inside each segment and, row by row, the sample are random. The incomplete last
        batch is dropped, because the loss depends on the number of negatives. Without it: the given order, middle
        rows, sample 0 and every pair once.

    Yields
    ------
    Batch

    Raises
    ------
    InputError
        At the call, when `batch_size` is below 1, or a training batch has a single pair, which has no negative.
    """
    indices = _indices(pairs, batch_size=batch_size, rng=rng)
    return _batches(pairs, indices, pairs.num_segments if num_segments is None else num_segments, rng)


def _indices(pairs: PairSet, *, batch_size: int, rng: np.random.Generator | None) -> Iterator[IntArray]:
    """Iterate over the indices of the batches of `iterate`."""
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1, got {batch_size}")
    size = min(batch_size, len(pairs))
    if rng is not None and size < 2:
        cause = "add pairs" if len(pairs) < 2 else "raise batch_size"
        raise InputError(
            f"training needs at least 2 pairs in a batch, got {len(pairs)} pair(s) in {pairs.name} and "
            f"batch_size {batch_size}; {cause}"
        )
    if rng is None:
        return _in_order(len(pairs), size)
    return _shuffled(len(pairs), size, rng)


def _batches(
    pairs: PairSet, indices: Iterator[IntArray], num_segments: int, rng: np.random.Generator | None
) -> Iterator[Batch]:
    for index in indices:
        video, video_mask = pad([_choose_rows(pairs.video[i], num_segments, rng) for i in index])
        music, music_mask = pad([_choose_rows(pairs.music[i], num_segments, rng) for i in index])
        text, text_mask = text_batch(pairs, index)
        yield Batch(video, video_mask, music, music_mask, pairs.group[index], index, text, text_mask)


def text_batch(
    pairs: PairSet, index: IntArray
) -> tuple[FloatArray, npt.NDArray[np.bool_]] | tuple[None, None]:
    """Return the padded text of some items and its mask, as in `Batch`."""
    if pairs.text is None or (columns := pairs.text_columns) == 0:
        return None, None
    empty = np.zeros((0, columns), np.float32)
    chosen = [pairs.text[i] for i in index]
    if all(chunks is None for chunks in chosen):
        return None, None
    return pad([empty if chunks is None else chunks for chunks in chosen])


def _in_order(num_pairs: int, size: int) -> Iterator[IntArray]:
    for start in range(0, num_pairs, size):
        yield np.arange(start, min(start + size, num_pairs), dtype=np.int64)


def _shuffled(num_pairs: int, size: int, rng: np.random.Generator) -> Iterator[IntArray]:
    order = rng.permutation(num_pairs)
    for number in range(num_batches(num_pairs, batch_size=size, training=True)):
        yield order[number * size : (number + 1) * size].astype(np.int64)


def inference_rows(samples: Samples, num_segments: int | None) -> FloatArray:
    """Return at most N rows of an item's inference sample, by Global Sparse sampling; all rows without N."""
    rows = samples[0]
    if num_segments is None or len(rows) <= num_segments:
        return rows
    return rows[global_sparse_rows(len(rows), num_segments=num_segments)]


def _choose_rows(samples: Samples, num_segments: int, rng: np.random.Generator | None) -> FloatArray:
    if rng is None:
        return inference_rows(samples, num_segments)
    length = len(samples[0])
    rows = np.arange(length)
    if length > num_segments:
        rows = global_sparse_rows(length, num_segments=num_segments, rng=rng)
    if len(samples) == 1:
        return samples[0][rows]
    chosen = rng.integers(len(samples), size=len(rows))
    mixed: FloatArray = np.stack(samples)[chosen, rows]
    return mixed


def pad(sequences: Sequence[FloatArray]) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Pad sequences of shape (T_i, D) to values (B, T, D) and a mask (B, T)."""
    lengths = np.array([len(sequence) for sequence in sequences])
    mask = np.arange(lengths.max()) < lengths[:, None]
    values = np.zeros((*mask.shape, sequences[0].shape[1]), dtype=np.float32)
    for row, sequence in zip(values, sequences, strict=True):
        row[: len(sequence)] = sequence
    return values, mask
