"""Embeddings of held-out pairs enter, what became of every query in both directions leaves.

Single queries are kept, not means: intervals and paired differences need them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from reelscore.data.pairs import IntArray
from reelscore.evaluation.metrics import METRICS, chance_summary
from reelscore.evaluation.ranks import FloatArray, Scores, average_precisions, rank_embeddings
from research.recipes.recipe import Material

DIRECTIONS = ("video_to_music", "music_to_video")
METRIC = "recall@10"
"""What experiments on public sets go by."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """One direction.

    Attributes
    ----------
    ranks : ndarray of int64, shape (Q,)
        Of each query's first hit, a hit being of the query's group.
    precisions : ndarray of float64, shape (Q,)
        Average precision over those hits.
    suiting : ndarray of float64, shape (Q,), optional
        Average precision over all that truly suits (`Material.suits`).
    """

    ranks: IntArray
    precisions: FloatArray
    suiting: FloatArray | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain lists."""
        told = {"ranks": self.ranks.tolist(), "precisions": self.precisions.tolist()}
        return told if self.suiting is None else {**told, "suiting": self.suiting.tolist()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Ranking:
        """Rebuild what `to_json` gave."""
        suiting = values.get("suiting")
        return cls(
            np.asarray(values["ranks"], np.int64),
            np.asarray(values["precisions"], np.float64),
            None if suiting is None else np.asarray(suiting, np.float64),
        )


def rank_both_ways(video: Scores, music: Scores, material: Material, index: IntArray) -> dict[str, Ranking]:
    """Let every item of one side search the other side.

    Parameters
    ----------
    video, music : ndarray of float, shape (N, D)
        Row i of both is pair ``index[i]`` of the material; the score is the inner product.
    material : Material
    index : ndarray of int64, shape (N,)

    Returns
    -------
    dict
        Direction (`DIRECTIONS`) -> Ranking.
    """
    group = material.pairs.group[index]
    suits = None if material.suits is None else material.suits(index, index)
    found = {}
    for direction, queries, candidates, truth in (
        (DIRECTIONS[0], video, music, suits),
        (DIRECTIONS[1], music, video, None if suits is None else suits.T),
    ):
        ranks, precisions = rank_embeddings(queries, candidates, group, group)
        suiting = None
        if truth is not None:
            scores = (queries.astype(np.float64) @ candidates.T.astype(np.float64)).astype(np.float32)
            suiting = average_precisions(scores, truth)
        found[direction] = Ranking(ranks, precisions, suiting)
    return found


def chance(material: Material, index: IntArray) -> dict[str, float]:
    """Return the metrics of a gallery in random order; ``suiting`` beside them where the truth is known."""
    _, number, sizes = np.unique(material.pairs.group[index], return_inverse=True, return_counts=True)
    told = dict(zip(METRICS, chance_summary(sizes[number], len(index)).tolist(), strict=True))
    if material.suits is not None:
        hits = material.suits(index, index).sum(axis=1)
        told["suiting"] = float(chance_summary(hits, len(index))[METRICS.index("map")])
    return told
