"""Recipes of the public sets: rotating folds, fewer pairs, duplicates and clips.

    {"kind": "set", "name": "emomv", "fold": 1, "folds": 5}
    {"kind": "set", "name": "emomv", "fold": 1, "folds": 5, "share": 0.25}

Further keys, which change the training and validation pairs alone: ``share`` or ``pairs`` keeps a share or a number of
them, ``duplicates`` repeats a share of them under new ids, ``clips`` adds so many 30 s windows of each video as pairs.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from reelscore.data.clips import cut_clips, with_clips
from reelscore.data.datasets import LOADERS, load_set
from reelscore.data.datasets.archive import find_archive
from reelscore.data.pairs import PairSet
from reelscore.data.splits import hash_folds
from reelscore.errors import ConfigError, InputError

from .recipe import Builder, Recipe, RunData

FOLD_KEYS = ("fold", "folds")


def build(recipe: Recipe, data: Path | None) -> RunData:
    """Load the set and change its training and validation pairs as the recipe says."""
    pairs = load(recipe, data)
    draw = int(recipe.get("fold", 0))
    if "share" in recipe:
        pairs = subset(pairs, share=float(recipe["share"]), draw=draw)
    if "pairs" in recipe:
        pairs = sample(pairs, int(recipe["pairs"]), draw=draw)
    if "duplicates" in recipe:
        pairs = duplicated(pairs, share=float(recipe["duplicates"]), draw=draw)
    if "clips" in recipe:
        pairs = with_clips(cut_clips(pairs, int(recipe["clips"]), seed=draw), ("train", "val"))
    return RunData(pairs)


def load(recipe: Recipe, data: Path | None) -> PairSet:
    """Load the set that a recipe names, with the recipe's fold as the test part."""
    pairs = load_set(recipe["name"], data_folder(data, recipe["name"]))
    if "folds" not in recipe:
        return pairs
    return rotate(pairs, fold=int(recipe["fold"]), num_folds=int(recipe["folds"]))


def files(recipe: Recipe, data: Path | None) -> tuple[Path, ...]:
    """Return the file of the recipe's set; a missing file raises `NotFoundError`."""
    name = str(recipe.get("name"))
    if name not in LOADERS:
        raise InputError(f"no set is named {name!r}. The sets are {', '.join(LOADERS)}.")
    return (find_archive(LOADERS[name][0], data_folder(data, name)),)


def data_folder(data: Path | None, name: str) -> Path:
    """Return the folder of the public sets; None raises `ConfigError`."""
    if data is None:
        file = LOADERS[name][0] if name in LOADERS else f"{name}.npz"
        raise ConfigError(f"the set {name} is read from {file}. Name the folder that holds it: --data FOLDER")
    return data


def rotate(pairs: PairSet, *, fold: int, num_folds: int) -> PairSet:
    """Make fold `fold` of the training and test pairs the test part.

    The validation pairs stay, so no fold scores the pairs on which settings were chosen. A source (else group) lies
    in one fold. The folds depend on the keys of the pairs alone, not on their order.
    """
    if not 0 <= fold < num_folds:
        raise ConfigError(f"fold must lie in [0, {num_folds}), got {fold}")
    names = _source_names(pairs)
    rotating = [i for i, part in enumerate(pairs.split) if part != "val"]
    split = list(pairs.split)
    for i, number in zip(
        rotating, hash_folds([names[i] for i in rotating], num_folds=num_folds), strict=True
    ):
        split[i] = "test" if number == fold else "train"
    return replace(pairs, split=tuple(split))


def subset(pairs: PairSet, *, share: float, draw: int) -> PairSet:
    """Keep a share of the training pairs and of the validation pairs, and all test pairs.

    A source (else group) is kept or dropped as a whole. Shares are nested: a larger share of the same draw contains
    every pair of a smaller one.

    Parameters
    ----------
    pairs : PairSet
    share : float
        In (0, 1], of either split; rounded up to whole sources.
    draw : int
        Seed of the choice.
    """
    if not 0 < share <= 1:
        raise ConfigError(f"share must lie in (0, 1], got {share}")
    kept = set(_indices(pairs, "test"))
    for split in ("train", "val"):
        indices = _indices(pairs, split)
        kept |= set(_whole_sources(pairs, indices, math.ceil(share * len(indices)), draw))
    return pairs.take(sorted(kept))


def sample(pairs: PairSet, number: int, *, draw: int) -> PairSet:
    """Keep a number of the training and validation pairs, and all test pairs; samples are nested.

    Raises
    ------
    ConfigError
        If there are fewer pairs.
    """
    indices = _indices(pairs, "train", "val")
    if not 2 <= number <= len(indices):
        raise ConfigError(f"pairs must lie in [2, {len(indices)}] for {pairs.name}, got {number}")
    kept = _whole_sources(pairs, indices, number, draw)[:number]
    return pairs.take(sorted({*kept, *_indices(pairs, "test")}))


def duplicated(pairs: PairSet, *, share: float, draw: int) -> PairSet:
    """Repeat a share of the training and validation pairs as pairs of their own, which are false negatives.

    A duplicate has a new key and a new group, and the source (else group) of its original, so that both stay in one
    fold. Larger shares of one draw contain the smaller ones.
    """
    indices = _indices(pairs, "train", "val")
    number = round(share * len(indices))
    if not 1 <= number <= len(indices):
        raise ConfigError(f"duplicates must lie in (0, 1] and give at least one pair, got {share}")
    chosen = sorted(indices, key=lambda i: _draw_hash(pairs.keys[i], draw))[:number]
    copies = pairs.take(chosen)
    source = pairs.group if pairs.source is None else pairs.source
    return replace(
        pairs,
        keys=(*pairs.keys, *(f"{key} [duplicate]" for key in copies.keys)),
        video=(*pairs.video, *copies.video),
        music=(*pairs.music, *copies.music),
        group=np.concatenate([pairs.group, pairs.group.max() + 1 + np.arange(len(chosen))]),
        split=(*pairs.split, *copies.split),
        label=None if pairs.label is None else np.concatenate([pairs.label, pairs.label[chosen]]),
        source=np.concatenate([source, source[chosen]]),
        row_s=None if pairs.row_s is None else np.concatenate([pairs.row_s, pairs.row_s[chosen]]),
        text=None if pairs.text is None else (*pairs.text, *(copies.text or ())),
    )


def _indices(pairs: PairSet, *splits: str) -> list[int]:
    return [i for i, part in enumerate(pairs.split) if part in splits]


def _whole_sources(pairs: PairSet, indices: Sequence[int], number: int, draw: int) -> list[int]:
    """Return at least `number` of the indices, whole sources in the order of a hash."""
    names = _source_names(pairs)
    members: dict[str, list[int]] = {}
    for i in indices:
        members.setdefault(names[i], []).append(i)
    chosen: list[int] = []
    for name in sorted(members, key=lambda name: _draw_hash(name, draw)):
        if len(chosen) >= number:
            break
        chosen += members[name]
    return chosen


def _source_names(pairs: PairSet) -> list[str]:
    """Name each pair's source (else group) by its smallest key, which does not depend on the numbering."""
    numbers = (pairs.group if pairs.source is None else pairs.source).tolist()
    name: dict[int, str] = {}
    for number, key in zip(numbers, pairs.keys, strict=True):
        name[number] = min(name.get(number, key), key)
    return [name[number] for number in numbers]


def _draw_hash(name: str, draw: int) -> bytes:
    return hashlib.blake2b(f"{draw}\0{name}".encode("utf-8", "surrogateescape"), digest_size=16).digest()


SET = Builder(build, files, ("name", "share", "pairs", "duplicates", "clips", *FOLD_KEYS))
