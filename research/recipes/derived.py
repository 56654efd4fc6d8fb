"""Recipes of other views of the public sets enter, their pairs leave; an item never leaves its split.

Each may name a fold, as in `public`.

    {"kind": "halves", "name": "muvisync", "side": "music"}
    {"kind": "classmates", "name": "wikipedia", "side": "video", "knows": "truth"}
    {"kind": "excerpt", "name": "muvisync", "rows": 32, "where": "middle"}

`halves`: one modality against itself. The first half of each sequence stands on the video side, the second half on
the music side, so that both windows of an item are in the item's split. `classmates`: two items of one class and one
modality make a pair; each item is in one pair at most, both come from one split, and never from one source.
`excerpt`: all sequences cut to as many rows: a continuous piece, or rows spread evenly over the whole.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from reelscore.data.pairs import IntArray, PairSet, Samples
from reelscore.data.splits import connected_components
from reelscore.errors import ConfigError
from reelscore.features.sampling import global_sparse_rows

from . import oracle as told
from . import public
from .recipe import Maker, Material, Recipe, known

Side = Literal["video", "music"]
Where = Literal["middle", "anywhere", "spread"]


def halves(pairs: PairSet, *, side: Side) -> PairSet:
    """Pair the first half of each sequence of one modality with its second half.

    Parameters
    ----------
    pairs : PairSet
    side : {"video", "music"}

    Returns
    -------
    PairSet
        First halves on the video side. Items of a single row are left out; groups, sources and splits stay.
    """
    kept = pairs.take([i for i, draws in enumerate(_side(pairs, side)) if len(draws[0]) > 1])
    sequences = _side(kept, side)
    encoder = _encoder(pairs, side)
    return replace(
        kept,
        name=f"{pairs.name}-{side}-halves",
        video=tuple(tuple(d[: len(d) // 2] for d in draws) for draws in sequences),
        music=tuple(tuple(d[len(d) // 2 :] for d in draws) for draws in sequences),
        video_encoder=encoder,
        music_encoder=encoder,
        unpaired_music=(),
    )


def classmates(pairs: PairSet, *, side: Side, draw: int = 0) -> PairSet:
    """Pair items of one class and one modality with each other.

    Parameters
    ----------
    pairs : PairSet
        With labels.
    side : {"video", "music"}
    draw : int
        Another draw makes other pairs.

    Returns
    -------
    PairSet
        The label is the class of both. A pair is a group of its own, joined only to pairs that share a group with it,
        directly or by a chain, and likewise for sources where the set has them.
    """
    if pairs.label is None:
        raise ConfigError(f"{pairs.name} has no classes to make pairs of; use a set with labels")
    rng = np.random.default_rng([draw, 2])
    together = pairs.group if pairs.source is None else pairs.source
    split = np.array(pairs.split)
    first: list[int] = []
    second: list[int] = []
    for part in np.unique(split):
        for label in np.unique(pairs.label):
            members = rng.permutation(np.flatnonzero((split == part) & (pairs.label == label)))
            matched = _matched(members, together)
            first += [pair[0] for pair in matched]
            second += [pair[1] for pair in matched]
    one, other = pairs.take(first), pairs.take(second)
    encoder = _encoder(pairs, side)
    return PairSet(
        name=f"{pairs.name}-{side}-classmates",
        keys=tuple(f"{a} {b}" for a, b in zip(one.keys, other.keys, strict=True)),
        video=_side(one, side),
        music=_side(other, side),
        group=_linked(one.group, other.group),
        split=one.split,
        video_encoder=encoder,
        music_encoder=encoder,
        num_segments=pairs.num_segments,
        label=one.label,
        source=None if one.source is None or other.source is None else _linked(one.source, other.source),
    )


def excerpt(pairs: PairSet, *, rows: int, where: Where, draw: int = 0) -> PairSet:
    """Cut every sequence down to a number of rows; a shorter one stays whole.

    Parameters
    ----------
    pairs : PairSet
    rows : int
    where : {"middle", "anywhere", "spread"}
        A continuous piece from the middle, one from an instant drawn once for the item (the same on both sides), or the
        middle rows of as many equal segments: what Global Sparse sampling takes at inference.
    draw : int
        For ``anywhere``.
    """
    if rows < 1:
        raise ConfigError(f"an excerpt needs at least one row, got {rows}")
    if where not in ("middle", "anywhere", "spread"):
        raise ConfigError(f"an excerpt lies in the middle, anywhere or is spread, got {where!r}")
    place = (
        np.random.default_rng([draw, 3]).random(len(pairs))
        if where == "anywhere"
        else np.full(len(pairs), 0.5)
    )

    def cut(items: tuple[Samples, ...]) -> tuple[Samples, ...]:
        return tuple(
            tuple(d[_rows(len(d), rows, where, float(at))] for d in draws)
            for draws, at in zip(items, place, strict=True)
        )

    return replace(pairs, video=cut(pairs.video), music=cut(pairs.music))


def _rows(length: int, rows: int, where: Where, at: float) -> IntArray:
    if length <= rows:
        return np.arange(length)
    if where == "spread":
        return global_sparse_rows(length, num_segments=rows)
    start = int(at * (length - rows + 1))
    return np.arange(start, start + rows)


def _matched(members: IntArray, together: IntArray) -> list[tuple[int, int]]:
    """Go through the members and give each the first one left that is of another source."""
    left = members.tolist()
    found = []
    while left:
        one = left.pop(0)
        place = next((i for i, other in enumerate(left) if together[other] != together[one]), None)
        if place is not None:
            found.append((one, left.pop(place)))
    return found


def _linked(one: IntArray, other: IntArray) -> IntArray:
    """Number pairs by what their members belong to: pairs that share it, directly or by a chain, get one number."""
    # The same name may stand on both sides, so every pair is one node between its two names.
    pairs = [*range(len(one)), *range(len(other))]
    return connected_components([*one.tolist(), *other.tolist()], pairs)[: len(one)]


def _side(pairs: PairSet, side: Side) -> tuple[Samples, ...]:
    if side not in ("video", "music"):
        raise ConfigError(f"a side is 'video' or 'music', got {side!r}; mend the plan")
    return pairs.video if side == "video" else pairs.music


def _encoder(pairs: PairSet, side: Side) -> str:
    return pairs.video_encoder if side == "video" else pairs.music_encoder


def _make_halves(recipe: Recipe, data: Path | None) -> Material:
    values = known(recipe, "name", "side", *public.FOLD_KEYS)
    return Material(halves(public.loaded(values, data), side=values["side"]))


def _make_classmates(recipe: Recipe, data: Path | None) -> Material:
    values = known(recipe, "name", "side", "draw", "knows", *public.FOLD_KEYS)
    made = classmates(public.loaded(values, data), side=values["side"], draw=int(values.get("draw", 0)))
    return told.told(made, all_of_it=values.get("knows", "pairs") == "truth")


def _make_excerpt(recipe: Recipe, data: Path | None) -> Material:
    values = known(recipe, "name", "rows", "where", "draw", *public.FOLD_KEYS)
    pairs = public.loaded(values, data)
    return Material(
        excerpt(pairs, rows=int(values["rows"]), where=values["where"], draw=int(values.get("draw", 0)))
    )


def _files(recipe: Recipe, data: Path | None) -> tuple[Path, ...]:
    return (public.file_of(str(recipe.get("name")), data),)


HALVES = Maker(_make_halves, _files)
CLASSMATES = Maker(_make_classmates, _files)
EXCERPT = Maker(_make_excerpt, _files)
