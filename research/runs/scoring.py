"""Ranks and precisions of every test query, in both directions.

Values of single queries are kept, because bootstrap intervals and paired differences need them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from reelscore.data.pairs import IntArray
from reelscore.evaluation.metrics import METRICS, chance_summary
from reelscore.evaluation.ranks import FloatArray, Scores, average_precisions, rank_embeddings
from research.recipes.recipe import RunData

DIRECTIONS = ("video_to_music", "music_to_video")
METRIC = "recall@10"
"""The metric of the studies on public sets."""
TRUTH = "truth_map"
"""mAP over all candidates that are relevant by the ground truth."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Results of the queries of one direction.

    Attributes
    ----------
    ranks : ndarray of int64, shape (Q,)
        Rank of each query's first hit. A hit is a candidate of the query's group.
    precisions : ndarray of float64, shape (Q,)
        Average precision over those hits.
    truth : ndarray of float64, shape (Q,), optional
        Average precision over the candidates that `RunData.relevant` names.
    """

    ranks: IntArray
    precisions: FloatArray
    truth: FloatArray | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain lists."""
        values = {"ranks": self.ranks.tolist(), "precisions": self.precisions.tolist()}
        return values if self.truth is None else {**values, "truth": self.truth.tolist()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Ranking:
        """Rebuild the result of `to_json`."""
        truth = values.get("truth")
        return cls(
            np.asarray(values["ranks"], np.int64),
            np.asarray(values["precisions"], np.float64),
            None if truth is None else np.asarray(truth, np.float64),
        )


def rank_both_ways(video: Scores, music: Scores, run_data: RunData, index: IntArray) -> dict[str, Ranking]:
    """Rank all music for each video and all videos for each track.

    Parameters
    ----------
    video, music : ndarray of float, shape (N, D)
        Row i of both is pair ``index[i]``; the score is the inner product.
    run_data : RunData
    index : ndarray of int64, shape (N,)

    Returns
    -------
    dict
        Direction (`DIRECTIONS`) -> Ranking.
    """
    group = run_data.pairs.group[index]
    relevant = None if run_data.relevant is None else run_data.relevant(index, index)
    rankings = {}
    for direction, queries, candidates, hits in (
        (DIRECTIONS[0], video, music, relevant),
        (DIRECTIONS[1], music, video, None if relevant is None else relevant.T),
    ):
        ranks, precisions = rank_embeddings(queries, candidates, group, group)
        truth = None
        if hits is not None:
            scores = (queries.astype(np.float64) @ candidates.T.astype(np.float64)).astype(np.float32)
            truth = average_precisions(scores, hits)
        rankings[direction] = Ranking(ranks, precisions, truth)
    return rankings


def chance(run_data: RunData, index: IntArray) -> dict[str, float]:
    """Return the expected metrics of a random order."""
    _, number, sizes = np.unique(run_data.pairs.group[index], return_inverse=True, return_counts=True)
    values = dict(zip(METRICS, chance_summary(sizes[number], len(index)).tolist(), strict=True))
    if run_data.relevant is not None:
        hits = run_data.relevant(index, index).sum(axis=1)
        values[TRUTH] = float(chance_summary(hits, len(index))[METRICS.index("map")])
    return values
