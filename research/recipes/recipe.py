"""A recipe and a folder enter, the pairs that a run learns from and is scored on leave: here is their form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from reelscore.data.pairs import PairSet
from reelscore.errors import ConfigError
from reelscore.evaluation.ranks import BoolArray, IntArray

Recipe: TypeAlias = Mapping[str, Any]
"""What data a run wants, as plain JSON values; its ``kind`` names the maker, the rest is the maker's business."""


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """The data of a run.

    Attributes
    ----------
    pairs : PairSet
        All splits. The groups are what training knows, and the hits of the instance figures; queries of one
        `source` (else group) are resampled together.
    suits : callable, optional
        ``suits(videos, music) -> bool (Q, N)`` for indices into `pairs`: which music truly suits which video,
        where more is known than training is told. Each item must suit its own counterpart.
    """

    pairs: PairSet
    suits: Callable[[IntArray, IntArray], BoolArray] | None = None


@dataclass(frozen=True, slots=True)
class Maker:
    """How one kind of data is made.

    Attributes
    ----------
    make : callable
        ``make(recipe, data) -> Material``; importable by name, since worker processes call it. `data` is the
        folder of the public sets, None where there is none.
    files : callable
        ``files(recipe, data)``: the files that are read, whose bytes become a part of the run's identity.
    """

    make: Callable[[Recipe, Path | None], Material]
    files: Callable[[Recipe, Path | None], tuple[Path, ...]]


def same_number(truth: IntArray) -> Callable[[IntArray, IntArray], BoolArray]:
    """Return the `Material.suits` by which items of one number suit each other."""

    def suits(videos: IntArray, music: IntArray) -> BoolArray:
        answer: BoolArray = truth[videos][:, None] == truth[music][None, :]
        return answer

    return suits


def no_files(recipe: Recipe, data: Path | None) -> tuple[Path, ...]:
    """Return nothing: for data that is made from its recipe alone."""
    del recipe, data
    return ()


def known(recipe: Recipe, *keys: str) -> dict[str, Any]:
    """Return the recipe's values without its kind, or raise `ConfigError` when a key is not among `keys`."""
    values = {key: value for key, value in recipe.items() if key != "kind"}
    unknown = sorted(set(values) - set(keys))
    if unknown:
        raise ConfigError(
            f"a recipe of kind {recipe.get('kind')!r} knows {', '.join(keys)}, got {unknown[0]!r}; mend the plan"
        )
    return values
