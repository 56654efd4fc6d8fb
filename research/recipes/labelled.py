"""Recipes of public sets with labels as a second ground truth.

    {"kind": "labelled", "name": "tiktok"}
    {"kind": "labelled", "name": "wikipedia", "oracle": true}

The ground truth is partial: items of one class are relevant to each other where the set has classes (emomv:
emotion; wikipedia: topic), and items of one soundtrack where it has none (tiktok).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from reelscore.data.pairs import IntArray, PairSet

from . import public
from .recipe import Builder, Recipe, RunData, same_number


def build(recipe: Recipe, data: Path | None) -> RunData:
    """Load the set, with the labels as training groups if the recipe asks for the oracle."""
    return with_labels(public.load(recipe, data), oracle=bool(recipe.get("oracle", False)))


def with_labels(pairs: PairSet, *, oracle: bool) -> RunData:
    """Add the ground truth of the labels, and set the groups that training sees.

    Parameters
    ----------
    pairs : PairSet
        Without labels its groups are the ground truth.
    oracle : bool
        Whether the training groups are the ground truth. Otherwise a set with labels keeps its groups, and without
        labels every pair is its own group.

    Returns
    -------
    RunData
        The groups of validation pairs never come from the ground truth, so settings are not tuned on it. The groups
        of test pairs stay, so instance metrics count the same hits either way.
    """
    truth = pairs.group if pairs.label is None else pairs.label
    split = np.array(pairs.split)
    own = np.arange(len(pairs)) if pairs.label is None else pairs.group
    group = np.where(split == "test", pairs.group, own)
    if oracle:
        train = np.flatnonzero(split == "train")
        group[train] = first_indices(truth[train], train)
    source = pairs.group if pairs.source is None else pairs.source
    return RunData(replace(pairs, group=group, source=source), same_number(truth))


def first_indices(labels: IntArray, indices: IntArray) -> IntArray:
    """Number equal labels by the first of their indices, so groups of two splits never collide.

    Examples
    --------
    >>> first_indices(np.array([7, 5, 7]), np.array([10, 11, 12])).tolist()
    [10, 11, 10]
    """
    _, first, number = np.unique(labels, return_index=True, return_inverse=True)
    groups: IntArray = indices[first[number]].astype(np.int64)
    return groups


LABELLED = Builder(build, public.files, ("name", "oracle", *public.FOLD_KEYS))
