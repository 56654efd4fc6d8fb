"""Checks of the arrays of a `PairSet`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from reelscore.errors import InputError
from reelscore.types import FloatArray

if TYPE_CHECKING:
    from .pairs import IntArray, Samples


def checked_samples(
    items: Iterable[Sequence[FloatArray]], keys: Sequence[str], what: str
) -> tuple[Samples, ...]:
    """Return the samples as read-only float32 after checking that they are finite and of equal dimension."""
    checked: list[Samples] = []
    dim = -1
    for key, samples in zip(keys, items, strict=True):
        if len(samples) == 0:
            raise InputError(f"{what}: {key!r} has no sample; each item needs at least the inference sample")
        arrays = tuple(_checked_sequence(sample, f"{what} of {key!r}") for sample in samples)
        dim = arrays[0].shape[1] if dim < 0 else dim
        for array in arrays:
            if array.shape[1] != dim:
                raise InputError(
                    f"{what}: {key!r} has {array.shape[1]} columns but {keys[0]!r} has {dim}; "
                    "extract all items again with the same encoder"
                )
            if array.shape != arrays[0].shape:
                raise InputError(
                    f"{what}: the samples of {key!r} differ in shape: {arrays[0].shape} and {array.shape}"
                )
        checked.append(arrays)
    return tuple(checked)


def checked_text(
    items: Iterable[FloatArray | None], keys: Sequence[str], what: str
) -> tuple[FloatArray | None, ...]:
    """Return the text as read-only float32 after checking that it is finite and of equal dimension."""
    texts = {i: chunks for i, chunks in enumerate(items) if chunks is not None}
    checked = checked_samples([(chunks,) for chunks in texts.values()], [keys[i] for i in texts], what)
    samples = dict(zip(texts, checked, strict=True))
    return tuple(samples[i][0] if i in samples else None for i in range(len(keys)))


def _checked_sequence(values: FloatArray, what: str) -> FloatArray:
    array = np.asarray(values)
    if array.ndim != 2 or 0 in array.shape or array.dtype.kind not in "fiu":
        raise InputError(
            f"{what} must be numbers of shape (T, D) with T, D >= 1, got {array.dtype} {array.shape}"
        )
    if array.dtype == np.float32:
        array = array.view()
    else:
        with np.errstate(over="ignore"):  # an overflow becomes infinite and raises below
            array = array.astype(np.float32)
    if not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        raise InputError(
            f"{what} must be finite; row {row}, column {column} is {array[row, column]}: "
            "drop the item or extract it again"
        )
    array.flags.writeable = False
    return array


def checked_ids(values: IntArray, what: str) -> IntArray:
    """Return whole numbers as read-only int64."""
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InputError(f"{what} must be whole numbers of shape (N,), got {array.dtype} {array.shape}")
    array = array.astype(np.int64)
    array.flags.writeable = False
    return array
