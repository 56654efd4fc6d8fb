"""Types of a run's data: the recipe, its builder and what the builder returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from reelscore.data.pairs import PairSet
from reelscore.evaluation.ranks import BoolArray, IntArray

Recipe: TypeAlias = Mapping[str, Any]
"""Description of a data set in JSON values: ``kind`` names the builder, the other keys are its options."""


@dataclass(frozen=True, slots=True, eq=False)
class RunData:
    """The data of a run.

    Attributes
    ----------
    pairs : PairSet
        All splits. Training sees the groups, and instance metrics count a query's group as hits. The bootstrap
        resamples the queries of one `source` (else group) together.
    relevant : callable, optional
        ``relevant(videos, music) -> bool (Q, N)`` for indices into `pairs`: the ground truth, where it is known
        beyond the pairs. Every item must be relevant to its own counterpart.
    """

    pairs: PairSet
    relevant: Callable[[IntArray, IntArray], BoolArray] | None = None


@dataclass(frozen=True, slots=True)
class Builder:
    """Functions for one kind of recipe.

    Attributes
    ----------
    build : callable
        ``build(recipe, data) -> RunData``. `data` is the folder of the public sets or None. Worker processes call
        it, so it must be importable by name.
    files : callable
        ``files(recipe, data)``: the files that the recipe reads. Their content is part of the run's identity.
    keys : tuple of str
        The keys that the recipe may have besides ``kind``.
    """

    build: Callable[[Recipe, Path | None], RunData]
    files: Callable[[Recipe, Path | None], tuple[Path, ...]]
    keys: tuple[str, ...]


def same_number(numbers: IntArray) -> Callable[[IntArray, IntArray], BoolArray]:
    """Return the `RunData.relevant` under which items of equal number are relevant to each other."""

    def relevant(videos: IntArray, music: IntArray) -> BoolArray:
        answer: BoolArray = numbers[videos][:, None] == numbers[music][None, :]
        return answer

    return relevant
