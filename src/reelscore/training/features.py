"""Features of whole pairs: pooled for the kernel model, standardised for the intra-modal term."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from reelscore.data.batching import inference_rows
from reelscore.data.clips import CLIP_S, with_clips
from reelscore.data.pairs import IntArray, PairItems, PairSet
from reelscore.data.splits import hash_folds
from reelscore.features.pooling import pool
from reelscore.features.scaling import CLIP, Scales, mean_and_scale
from reelscore.losses.config import Structure
from reelscore.models.kernel.coordinates import KERNELS, Kernel
from reelscore.models.kernel.model import KernelModel
from reelscore.types import FloatArray

Sides = tuple[FloatArray, FloatArray]

NUM_FOLDS = 4


def has_time(pairs: PairSet) -> bool:
    """Return whether the features are sequences, which are pooled to means and deviations."""
    return any(len(samples[0]) > 1 for side in (pairs.video, pairs.music) for samples in side)


def training_pairs(pairs: PairSet) -> PairSet:
    """Return the training and validation pairs, and a further pair for each clip of their videos."""
    expanded = pairs if pairs.clips is None else with_clips(pairs, ("train", "val"))
    return expanded.take([i for i, part in enumerate(expanded.split) if part != "test"])


def pooled_features(pairs: PairSet, *, with_text: bool = False) -> Sides:
    """Pool the rows of every pair that search samples, as a kernel model reads them.

    Parameters
    ----------
    pairs : PairSet
    with_text : bool
        Append the mean of each video's text chunks; NaN for a video without text.

    Returns
    -------
    video, music : ndarray of float32, shapes (N, P) and (N, P')
        The means, and for sequences the deviations, of the columns.
    """
    row_s = np.ones((len(pairs), 2)) if pairs.row_s is None else pairs.row_s
    items = PairItems(pairs.video, pairs.music, pairs.text or (), row_s)
    columns = pairs.text_columns if with_text else 0
    return pooled_items(
        items, num_segments=pairs.num_segments, deviation=has_time(pairs), text_columns=columns
    )


def pooled_items(items: PairItems, *, num_segments: int, deviation: bool, text_columns: int = 0) -> Sides:
    """Pool items as `pooled_features` does, with the text if it has columns."""
    assert items.row_s is not None
    sides = []
    for side, row_s in zip((items.video, items.music), items.row_s.T, strict=True):
        rows = [inference_rows(samples, num_segments) for samples in side]
        kept = np.array([len(one) / len(samples[0]) for one, samples in zip(rows, side, strict=True)])
        sides.append(_pooled(rows, row_s / kept, deviation=deviation))
    video, music = sides
    if not text_columns:
        return video, music
    nothing = np.full(text_columns, np.nan, np.float32)
    texts = [nothing if chunks is None else chunks.mean(axis=0) for chunks in items.text]
    return np.concatenate([video, np.stack(texts)], axis=1), music


def pooled_clips(clips: Sequence[FloatArray], *, deviation: bool) -> FloatArray:
    """Pool 30 s clips (T, D) as `pooled_features` does."""
    return _pooled(clips, [CLIP_S / len(rows) for rows in clips], deviation=deviation)


def _pooled(
    sequences: Sequence[FloatArray], row_s: Sequence[float] | npt.NDArray[np.float64], *, deviation: bool
) -> FloatArray:
    pooled = np.empty((len(sequences), (1 + deviation) * sequences[0].shape[1]), np.float32)
    for out, rows, seconds in zip(pooled, sequences, row_s, strict=True):
        out[:] = pool(rows, row_s=float(seconds)) if deviation else rows[0]
    return pooled


def frozen_features(pairs: PairSet, structure: Structure, *, with_text: bool) -> Sides:
    """Return the frozen features whose similarities the intra-modal term preserves, (N, P) and (N, P').

    ``"features"``: the pooled features, standardised by column, as in the paper. ``"correlated"``, ours: their
    projection on the canonical directions of the linear CCA of the pairs, weighted by the correlations. Columns that
    say nothing about the other modality then count for little.
    """
    sides = pooled_features(pairs, with_text=with_text)
    if structure == "correlated":
        model = fit_kernel(pairs, kernels=("linear",), with_text=with_text)
        (to_scores, (video,)), (music_scores, (music,)) = model.video, model.music
        projected = video.project(to_scores(sides[0])), music.project(music_scores(sides[1]))
        return projected[0].astype(np.float32), projected[1].astype(np.float32)
    return _standardised(sides[0]), _standardised(sides[1])


def _standardised(rows: FloatArray) -> FloatArray:
    # A missing value counts as the mean of its column.
    filled = np.where(np.isnan(rows), np.nanmean(rows, axis=0), rows)
    return scaled(filled, mean_and_scale([filled]))


def scaled(rows: FloatArray, scales: Scales) -> FloatArray:
    """Standardise the columns of rows (n, P) and clip outliers."""
    center, scale = (values.astype(np.float32) for values in scales)
    clipped: FloatArray = np.clip((rows - center) / scale, -CLIP, CLIP)
    return clipped


def folds(pairs: PairSet, *, num_folds: int = NUM_FOLDS) -> IntArray:
    """Return the cross-validation fold of each pair; the pairs of one source share a fold, unless there is only one.

    The folds depend on the keys of the pairs alone, not on their order.
    """
    units = pairs.source
    if units is None or (units == units[0]).all():
        units = pairs.group
    names: dict[int, str] = {}
    for unit, key in zip(units.tolist(), pairs.keys, strict=True):
        names[unit] = min(names.get(unit, key), key)
    return hash_folds([names[unit] for unit in units.tolist()], num_folds=min(num_folds, len(names)))


def fit_kernel(
    pairs: PairSet, *, kernels: Sequence[Kernel] = KERNELS, with_text: bool = False, seed: int = 0
) -> KernelModel:
    """Fit a kernel model on all pairs of a set, with settings chosen by cross-validation.

    Raises
    ------
    InputError
        If the pairs are of one group, or a modality does not vary.
    """
    video, music = pooled_features(pairs, with_text=with_text)
    one_group = bool((pairs.group == pairs.group[0]).all())
    fold = np.zeros(len(pairs), np.int64) if one_group else folds(pairs)
    model = KernelModel.fit(video, music, group=pairs.group, fold=fold, kernels=kernels, seed=seed)
    # Search reads the stored, single-precision arrays; so does everything that is computed in training.
    return replace(KernelModel.from_arrays(model.to_arrays()), validation=model.validation)
