"""Recipes of pairs of one class and one modality, from the public sets, split by split.

    {"kind": "same-class", "name": "emomv", "side": "music", "oracle": true}

They also take a fold, as in `public`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from reelscore.data.pairs import IntArray, PairSet, Samples
from reelscore.data.splits import connected_components
from reelscore.errors import ConfigError

from . import public
from .labelled import with_labels
from .recipe import Builder, Recipe, RunData

Side = Literal["video", "music"]


def same_class(pairs: PairSet, *, side: Side, draw: int = 0) -> PairSet:
    """Pair items of one class and one modality; each item is in one pair at most.

    Parameters
    ----------
    pairs : PairSet
        With labels.
    side : {"video", "music"}
    draw : int
        Seed of the pairing.

    Returns
    -------
    PairSet
        The items of a pair come from one split and two sources. Pairs that share a group or source, directly or
        through other pairs, get one group or source.
    """
    if pairs.label is None:
        raise ConfigError(f"the set {pairs.name} has no labels to form pairs from. Use emomv or wikipedia.")
    rng = np.random.default_rng([draw, 2])
    source = pairs.group if pairs.source is None else pairs.source
    split = np.array(pairs.split)
    first: list[int] = []
    second: list[int] = []
    for part in np.unique(split):
        for label in np.unique(pairs.label):
            members = rng.permutation(np.flatnonzero((split == part) & (pairs.label == label)))
            matched = _match(members, source)
            first += [pair[0] for pair in matched]
            second += [pair[1] for pair in matched]
    one, other = pairs.take(first), pairs.take(second)
    encoder = _encoder(pairs, side)
    return PairSet(
        name=f"{pairs.name}-{side}-classmates",
        keys=tuple(f"{a} {b}" for a, b in zip(one.keys, other.keys, strict=True)),
        video=_side(one, side),
        music=_side(other, side),
        group=_components(one.group, other.group),
        split=one.split,
        video_encoder=encoder,
        music_encoder=encoder,
        num_segments=pairs.num_segments,
        label=one.label,
        source=None if one.source is None or other.source is None else _components(one.source, other.source),
    )


def _match(members: IntArray, source: IntArray) -> list[tuple[int, int]]:
    """Pair each member with the first remaining one of another source."""
    remaining = members.tolist()
    matched = []
    while remaining:
        one = remaining.pop(0)
        index = next((i for i, other in enumerate(remaining) if source[other] != source[one]), None)
        if index is not None:
            matched.append((one, remaining.pop(index)))
    return matched


def _components(one: IntArray, other: IntArray) -> IntArray:
    """Number pairs by the connected component of their two items' numbers."""
    # The same number can occur on both sides, so every pair is one node that links its two numbers.
    pairs = [*range(len(one)), *range(len(other))]
    return connected_components([*one.tolist(), *other.tolist()], pairs)[: len(one)]


def _side(pairs: PairSet, side: Side) -> tuple[Samples, ...]:
    if side not in ("video", "music"):
        raise ConfigError(f"a recipe's side must be 'video' or 'music', got {side!r}")
    return pairs.video if side == "video" else pairs.music


def _encoder(pairs: PairSet, side: Side) -> str:
    return pairs.video_encoder if side == "video" else pairs.music_encoder


def _build_same_class(recipe: Recipe, data: Path | None) -> RunData:
    pairs = same_class(public.load(recipe, data), side=recipe["side"], draw=int(recipe.get("draw", 0)))
    return with_labels(pairs, oracle=bool(recipe.get("oracle", False)))


SAME_CLASS = Builder(_build_same_class, public.files, ("name", "side", "draw", "oracle", *public.FOLD_KEYS))
