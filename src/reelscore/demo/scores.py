"""Measures on the synthetic data set, with intervals and differences.

All measures rank held-out tracks for held-out videos. Recall counts only the track that was paired with the video, as
on real data. suitable@10 and compatibility@10 count every track that is close to the video's hidden point, which is
known for synthetic data only.
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
    """Ground truth of the held-out videos and tracks.

    Attributes
    ----------
    compatibility : ndarray of float, shape (Q, N)
        Compatibility of each video with each track.
    paired : ndarray of bool, shape (Q, N)
        True for the track that is paired with the video.
    """

    compatibility: FloatArray
    paired: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Measures:
    """Measures of a method for each query.

    Attributes
    ----------
    by_video : ndarray of float, shape (Q, 3)
        The first three of `MEASURES`, for each video.
    by_track : ndarray of float, shape (N', 1)
        The last of `MEASURES`, for each track that is paired with at least one video.
    """

    by_video: FloatArray
    by_track: FloatArray

    @property
    def values(self) -> FloatArray:
        """Means over the queries, shape (4,)."""
        return np.concatenate([self.by_video.mean(axis=0), self.by_track.mean(axis=0)])

    def intervals(self, *, seed: int = 0) -> FloatArray:
        """Return the 95% bootstrap interval of each measure over the queries, shape (4, 2)."""
        return np.concatenate(
            [
                bootstrap_intervals(_mean_of(queries), np.arange(len(queries)), seed=seed)
                for queries in (self.by_video, self.by_track)
            ]
        )

    def difference_from(self, other: Measures, *, seed: int = 0) -> tuple[FloatArray, FloatArray]:
        """Return the difference from another method, shape (4,), and its paired 95% intervals, shape (4, 2)."""
        ends = [
            difference_intervals(_mean_of(a), _mean_of(b), np.arange(len(a)), seed=seed)
            for a, b in ((self.by_video, other.by_video), (self.by_track, other.by_track))
        ]
        return self.values - other.values, np.concatenate(ends)


def measure(scores: FloatArray, truth: Truth) -> Measures:
    """Measure a method by its scores of every held-out video with every held-out track, shape (Q, N)."""
    suitable = truth.compatibility >= SUITABLE
    by_video = np.stack(
        [
            mean_of_top(scores, suitable.astype(np.float64), TOP),
            mean_of_top(scores, truth.compatibility, TOP),
            first_hit_ranks(scores, truth.paired) <= TOP,
        ],
        axis=1,
    )
    used = truth.paired.any(axis=0)
    by_track = first_hit_ranks(scores.T[used], truth.paired.T[used]) <= TOP
    return Measures(by_video.astype(np.float64), by_track[:, None].astype(np.float64))


def mean_over_seeds(runs: Sequence[Measures]) -> Measures:
    """Return the mean over trainings with different seeds, for each query."""
    return Measures(
        np.mean([run.by_video for run in runs], axis=0), np.mean([run.by_track for run in runs], axis=0)
    )


def chance(truth: Truth) -> FloatArray:
    """Return the expected measures of a random ranking, exact, shape (4,)."""
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


def mean_of_top(scores: FloatArray, relevance: FloatArray, k: int) -> FloatArray:
    """Return the mean relevance of the `k` best candidates of each query, shape (Q,).

    Ties are broken by ascending relevance, so that they count against the method.
    """
    order = np.lexsort((relevance, -scores), axis=1)[:, :k]
    best: FloatArray = np.take_along_axis(relevance, order, axis=1).mean(axis=1)
    return best


def _mean_of(queries: FloatArray) -> Statistic:
    def mean(indices: npt.NDArray[np.int64]) -> FloatArray:
        means: FloatArray = queries[indices].mean(axis=0)
        return means

    return mean
