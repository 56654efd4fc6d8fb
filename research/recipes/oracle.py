"""The recipe of a public set of which more is known than its pairs enters, pairs with that truth leave.

    {"kind": "told", "name": "tiktok", "knows": "pairs"}
    {"kind": "told", "name": "wikipedia", "knows": "truth"}

The truth is partial: items of one class suit each other where the set has classes (emomv: emotion; wikipedia: topic),
items with one soundtrack where it has none (tiktok). It is scored by `Material.suits`. Training is told nothing of it,
each pair being alone, or all of it, by the groups of the training pairs. Validation knows the pairs alone either
way, so that no loss is tuned by the truth; the settings of a CCA are cross-validated with what training is told. The
splits are the set's own, or rotate as in `public`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from reelscore.data.pairs import IntArray, PairSet
from reelscore.errors import ConfigError

from . import public
from .recipe import Maker, Material, Recipe, known, same_number

KEYS = ("name", "knows", *public.FOLD_KEYS)


def make(recipe: Recipe, data: Path | None) -> Material:
    """Load the set and tell training what the recipe says."""
    values = known(recipe, *KEYS)
    knows = values.get("knows", "pairs")
    if knows not in ("pairs", "truth"):
        raise ConfigError(f"a recipe's knows must be 'pairs' or 'truth', got {knows!r}; mend the plan")
    pairs = public.loaded(values, data)
    return told(pairs, all_of_it=knows == "truth")


def told(pairs: PairSet, *, all_of_it: bool) -> Material:
    """Give the pairs the groups that training may know, and the truth beside them.

    Parameters
    ----------
    pairs : PairSet
    all_of_it : bool
        Whether the groups of the training pairs are the truth. Otherwise, without labels, each pair is alone:
        the groups of such a set are the truth; with labels its groups stay.

    Returns
    -------
    Material
        Test pairs keep their groups, so that instance figures count the same hits either way.
    """
    truth = pairs.group if pairs.label is None else pairs.label
    split = np.array(pairs.split)
    alone = np.arange(len(pairs)) if pairs.label is None else pairs.group
    group = np.where(split == "test", pairs.group, alone)
    if all_of_it:
        learn = np.flatnonzero(split == "train")
        group[learn] = first_places(truth[learn], learn)
    cluster = pairs.group if pairs.source is None else pairs.source
    return Material(replace(pairs, group=group, source=cluster), same_number(truth))


def first_places(names: IntArray, places: IntArray) -> IntArray:
    """Number equal names by the first of their places, so that numbers of two splits never meet.

    Examples
    --------
    >>> first_places(np.array([7, 5, 7]), np.array([10, 11, 12])).tolist()
    [10, 11, 10]
    """
    _, first, number = np.unique(names, return_index=True, return_inverse=True)
    found: IntArray = places[first[number]].astype(np.int64)
    return found


def files(recipe: Recipe, data: Path | None) -> tuple[Path, ...]:
    """Return the set's file."""
    return (public.file_of(known(recipe, *KEYS)["name"], data),)


TOLD = Maker(make, files)
