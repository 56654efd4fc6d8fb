"""Scores and the known truth enter, measures with intervals and their differences leave.

Two kinds of measure, for videos that no model was trained on against tracks that none was trained on:
by instance, as on real data, only the one track that lies under the video counts as a hit; by truth,
every track near the video's hidden point counts, which only a made world can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reelscore.demo.world.plan import SUITABLE
from reelscore.evaluation.intervals import Statistic, bootstrap_intervals, difference_intervals
from reelscore.evaluation.metrics import RECALL_AT, chance_summary
from reelscore.evaluation.ranks import first_hit_ranks

FloatArray = npt.NDArray[np.float64]

TOP = 10
MEASURES = ("suitable@10", "compatibility@10", "recall@10 video to music", "recall@10 music to video")


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What is known about the held-out videos and tracks.

    Attributes
    ----------
    compatibility : ndarray of float, shape (Q, N)
        Of each video with each track.
    paired : ndarray of bool, shape (Q, N)
        True for the track that lies under the video.
    """

    compatibility: FloatArray
    paired: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What a method reached for each query; a measure of a method is the mean over the queries.

    Attributes
    ----------
    by_video : ndarray of float, shape (Q, 3)
        The first three of `MEASURES`.
    by_track : ndarray of float, shape (N', 1)
        The last one, of the tracks that lie under at least one video.
    """

    by_video: FloatArray
    by_track: FloatArray

    @property
    def values(self) -> FloatArray:
        """The measures, shape (4,)."""
        return np.concatenate([self.by_video.mean(axis=0), self.by_track.mean(axis=0)])

    def intervals(self, *, seed: int = 0) -> FloatArray:
        """Return the 95% bootstrap interval of each measure over the queries, shape (4, 2)."""
        return np.concatenate(
            [
                bootstrap_intervals(_mean_of(queries), np.arange(len(queries)), seed=seed)
                for queries in (self.by_video, self.by_track)
            ]
        )

    def lead_over(self, other: Judgement, *, seed: int = 0) -> tuple[FloatArray, FloatArray]:
        """Return how far this method is ahead of another, shape (4,), and the paired 95% interval, shape (4, 2)."""
        ends = [
            difference_intervals(_mean_of(mine), _mean_of(theirs), np.arange(len(mine)), seed=seed)
            for mine, theirs in ((self.by_video, other.by_video), (self.by_track, other.by_track))
        ]
        return self.values - other.values, np.concatenate(ends)


def judge(scores: FloatArray, truth: Truth) -> Judgement:
    """Judge a method by its scores of every held-out video with every held-out track, shape (Q, N)."""
    suitable = truth.compatibility >= SUITABLE
    found = np.stack(
        [
            mean_of_top(scores, suitable.astype(np.float64), TOP),
            mean_of_top(scores, truth.compatibility, TOP),
            first_hit_ranks(scores, truth.paired) <= TOP,
        ],
        axis=1,
    )
    used = truth.paired.any(axis=0)
    back = first_hit_ranks(scores.T[used], truth.paired.T[used]) <= TOP
    return Judgement(found.astype(np.float64), back[:, None].astype(np.float64))


def average(judgements: Sequence[Judgement]) -> Judgement:
    """Return the mean over trainings from different seeds, query by query."""
    return Judgement(
        np.mean([j.by_video for j in judgements], axis=0), np.mean([j.by_track for j in judgements], axis=0)
    )


def chance(truth: Truth) -> FloatArray:
    """Return what a random order would reach, exactly, shape (4,)."""
    num_videos, num_tracks = truth.paired.shape
    at = RECALL_AT.index(TOP)
    used = truth.paired.any(axis=0)
    return np.array(
        [
            (truth.compatibility >= SUITABLE).mean(),
            truth.compatibility.mean(),
            chance_summary(truth.paired.sum(axis=1), num_tracks)[at],
            chance_summary(truth.paired.sum(axis=0)[used], num_videos)[at],
        ]
    )


def mean_of_top(scores: FloatArray, worth: FloatArray, k: int) -> FloatArray:
    """Return the mean worth of the `k` candidates of highest score for each query, shape (Q,).

    Of candidates with one score the less worthy ones come first, so that ties count against the method.
    """
    order = np.lexsort((worth, -scores), axis=1)[:, :k]
    best: FloatArray = np.take_along_axis(worth, order, axis=1).mean(axis=1)
    return best


def _mean_of(queries: FloatArray) -> Statistic:
    def mean(indices: npt.NDArray[np.int64]) -> FloatArray:
        chosen: FloatArray = queries[indices].mean(axis=0)
        return chosen

    return mean
