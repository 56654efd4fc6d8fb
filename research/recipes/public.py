"""Recipes of the public sets, with shares of the pairs and rotating folds.

{"kind": "set", "name": "emomv"}
{"kind": "set", "name": "emomv", "share": 0.25, "draw": 3}
{"kind": "set", "name": "emomv", "fold": 1, "folds": 5}
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from pathlib import Path

from reelscore.data.datasets import LOADERS, load_set
from reelscore.data.datasets.archive import find_archive
from reelscore.data.pairs import PairSet
from reelscore.data.splits import hash_folds
from reelscore.errors import ConfigError, InputError

from .recipe import Builder, Recipe, RunData

FOLD_KEYS = ("fold", "folds")


def build(recipe: Recipe, data: Path | None) -> RunData:
    """Load the set and keep the recipe's share of its training and validation pairs."""
    pairs, share = load(recipe, data), float(recipe.get("share", 1.0))
    return RunData(pairs if share == 1.0 else subset(pairs, share=share, draw=int(recipe.get("draw", 0))))


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
    names = _source_names(pairs)
    kept = {i for i, part in enumerate(pairs.split) if part == "test"}
    for split in ("train", "val"):
        members: dict[str, list[int]] = {}
        for i in (i for i, part in enumerate(pairs.split) if part == split):
            members.setdefault(names[i], []).append(i)
        wanted, chosen = math.ceil(share * pairs.split.count(split)), set[int]()
        for name in sorted(members, key=lambda name: _draw_hash(name, draw)):
            if len(chosen) >= wanted:
                break
            chosen.update(members[name])
        kept |= chosen
    return pairs.take(sorted(kept))


def _source_names(pairs: PairSet) -> list[str]:
    """Name each pair's source (else group) by its smallest key, which does not depend on the numbering."""
    numbers = (pairs.group if pairs.source is None else pairs.source).tolist()
    name: dict[int, str] = {}
    for number, key in zip(numbers, pairs.keys, strict=True):
        name[number] = min(name.get(number, key), key)
    return [name[number] for number in numbers]


def _draw_hash(name: str, draw: int) -> bytes:
    return hashlib.blake2b(f"{draw}\0{name}".encode("utf-8", "surrogateescape"), digest_size=16).digest()


SET = Builder(build, files, ("name", "share", "draw", *FOLD_KEYS))
