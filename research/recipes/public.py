"""The recipe of a public set enters (its name, a fold, a share of its pairs), its pairs leave.

    {"kind": "set", "name": "emomv"}
    {"kind": "set", "name": "emomv", "share": 0.25, "draw": 3}
    {"kind": "set", "name": "emomv", "fold": 1, "folds": 5}

With folds the test part rotates: whole sources (else groups) of the training and test pairs are dealt to as many
folds, and the named one is the test part. The validation pairs stay what they are, so that what they choose is
never scored on them in any fold.

A share keeps whole sources (else groups) of the training and of the validation split, those whose hash under `draw`
is smallest: a larger share of the same draw holds every pair of a smaller one. The test part stays whole.
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

from .recipe import Maker, Material, Recipe, known

FOLD_KEYS = ("fold", "folds")
KEYS = ("name", "share", "draw", *FOLD_KEYS)


def make(recipe: Recipe, data: Path | None) -> Material:
    """Load the set and thin its training split where a share is asked for."""
    values = known(recipe, *KEYS)
    pairs = loaded(values, data)
    share = float(values.get("share", 1.0))
    return Material(pairs if share == 1.0 else thinned(pairs, share=share, draw=int(values.get("draw", 0))))


def loaded(recipe: Recipe, data: Path | None) -> PairSet:
    """Load the set that a recipe names, its test part rotated where a fold is named."""
    pairs = load_set(recipe["name"], needed(data, recipe["name"]))
    if "folds" not in recipe:
        return pairs
    return rotated(pairs, fold=int(recipe["fold"]), num_folds=int(recipe["folds"]))


def files(recipe: Recipe, data: Path | None) -> tuple[Path, ...]:
    """Return the set's file, or raise the error that says what is missing."""
    return (file_of(known(recipe, *KEYS)["name"], data),)


def file_of(name: str, data: Path | None) -> Path:
    """Return the file of a set, or raise the error that says what is missing."""
    if name not in LOADERS:
        raise InputError(f"no set is named {name!r}; the sets are {', '.join(LOADERS)}")
    return find_archive(LOADERS[name][0], needed(data, name))


def needed(data: Path | None, name: str) -> Path:
    """Return the folder of the public sets, or raise `ConfigError` when none was named."""
    if data is None:
        file = LOADERS[name][0] if name in LOADERS else f"{name}.npz"
        raise ConfigError(
            f"the set {name} is read from {file}; name the folder that holds it with --data FOLDER"
        )
    return data


def rotated(pairs: PairSet, *, fold: int, num_folds: int) -> PairSet:
    """Let the test part be fold `fold` of `num_folds` of the training and test pairs; validation stays.

    Sources (else groups) stay whole, and the folds depend on the names of the pairs alone.
    """
    if not 0 <= fold < num_folds:
        raise ConfigError(f"fold must lie in [0, {num_folds}), got {fold}")
    names = _names(pairs)
    moving = [i for i, part in enumerate(pairs.split) if part != "val"]
    split = list(pairs.split)
    for i, at in zip(moving, hash_folds([names[i] for i in moving], num_folds=num_folds), strict=True):
        split[i] = "test" if at == fold else "train"
    return replace(pairs, split=tuple(split))


def _names(pairs: PairSet) -> list[str]:
    """Name each pair's source (else group) by its smallest key, so that it does not depend on how they are numbered."""
    together = (pairs.group if pairs.source is None else pairs.source).tolist()
    name: dict[int, str] = {}
    for one, key in zip(together, pairs.keys, strict=True):
        name[one] = min(name.get(one, key), key)
    return [name[one] for one in together]


def thinned(pairs: PairSet, *, share: float, draw: int) -> PairSet:
    """Keep a share of the training pairs and of the validation pairs, sources (else groups) whole, nested over shares.

    Parameters
    ----------
    pairs : PairSet
    share : float
        Above 0, up to 1, of either part; rounded up to whole sources.
    draw : int
        Another draw takes other sources.

    Returns
    -------
    PairSet
        In the given order; the test pairs stay.
    """
    if not 0 < share <= 1:
        raise ConfigError(f"share must lie in (0, 1], got {share}")
    names = _names(pairs)
    kept = {i for i, part in enumerate(pairs.split) if part == "test"}
    for split in ("train", "val"):
        members: dict[str, list[int]] = {}
        for i in (i for i, part in enumerate(pairs.split) if part == split):
            members.setdefault(names[i], []).append(i)
        due, taken = math.ceil(share * pairs.split.count(split)), set[int]()
        for name in sorted(members, key=lambda name: _place(name, draw)):
            if len(taken) >= due:
                break
            taken.update(members[name])
        kept |= taken
    return pairs.take(sorted(kept))


def _place(name: str, draw: int) -> bytes:
    return hashlib.blake2b(f"{draw}\0{name}".encode("utf-8", "surrogateescape"), digest_size=16).digest()


SET = Maker(make, files)
