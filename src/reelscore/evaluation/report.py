"""Retrieval report: metrics, intervals, chance and a CCA baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from reelscore.errors import InputError

from .intervals import bootstrap_intervals
from .metrics import METRICS, chance_summary, summary
from .ranks import FloatArray, IntArray, Scores, rank_embeddings

Side = Literal["video", "music"]


@dataclass(frozen=True, slots=True, eq=False)
class Direction:
    """Retrieval metrics of one direction.

    Attributes
    ----------
    query, gallery : {"video", "music"}
    metrics : mapping
        Name (`METRICS`) -> value; recalls and mAP are fractions.
    intervals : mapping
        Name -> (low, high), 95% bootstrap.
    ranks : ndarray of int64, shape (Q,)
        Rank of each query's first hit, for paired comparisons of two models.
    precisions : ndarray of float64, shape (Q,)
        Average precision of each query.
    """

    query: Side
    gallery: Side
    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    ranks: IntArray
    precisions: FloatArray

    def to_json(self) -> dict[str, Any]:
        """Return the metrics as JSON values, without ranks and precisions."""
        intervals = {name: list(ends) for name, ends in self.intervals.items()}
        return {"query": self.query, "gallery": self.gallery, **self.metrics, "intervals": intervals}


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """Retrieval metrics of both directions, with baselines.

    Attributes
    ----------
    gallery_size : int
    directions : tuple of Direction
        Video to music, then music to video.
    chance : mapping
        Name -> value of a random ranking.
    cca : tuple of Direction
        The same for a linear CCA of the features; empty without one.
    """

    gallery_size: int
    directions: tuple[Direction, ...]
    chance: Mapping[str, float]
    cca: tuple[Direction, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "gallery_size": self.gallery_size,
            "directions": [direction.to_json() for direction in self.directions],
            "chance": dict(self.chance),
            "cca": [direction.to_json() for direction in self.cca],
        }

    def table(self) -> list[list[str]]:
        """Return a header, one row for each model and direction, and one for chance, in percent.

        Examples
        --------
        >>> eye = np.eye(4)
        >>> report = evaluate_embeddings(eye, eye, np.arange(4), num_bootstrap=10)
        >>> report.table()[1][:3]
        ['model', 'video → music', '100.0 (100.0–100.0)']
        """
        rows = [["what", "direction", *(_title(name) for name in METRICS)]]
        for what, directions in (("model", self.directions), ("linear CCA", self.cca)):
            for one in directions:
                cells = [_cell(name, one.metrics[name], one.intervals[name]) for name in METRICS]
                rows.append([what, f"{one.query} → {one.gallery}", *cells])
        rows.append(["chance", "either", *(_cell(name, self.chance[name]) for name in METRICS)])
        return rows


def evaluate_embeddings(
    video: Scores,
    music: Scores,
    group: IntArray,
    *,
    cca: tuple[Scores, Scores] | None = None,
    cluster: IntArray | None = None,
    seed: int = 0,
    num_bootstrap: int = 1000,
) -> Report:
    """Evaluate retrieval from video to music and from music to video.

    Parameters
    ----------
    video, music : ndarray of float, shape (N, D)
        Row i of both is pair i. The score is the inner product.
    group : ndarray of int64, shape (N,)
        All candidates of the query's group are hits. The gallery holds every item.
    cca : pair of ndarray of float, shape (N, D'), optional
        Embeddings of a linear CCA.
    cluster : ndarray of int64, shape (N,), optional
        Clusters that the bootstrap resamples; the groups by default.
    seed, num_bootstrap : int
        Seed and number of resamples.

    Returns
    -------
    Report

    Raises
    ------
    InputError
        For embeddings that are empty, not finite or of different shapes.
    """
    group = np.asarray(group)
    cluster = group if cluster is None else np.asarray(cluster)
    model, *baseline = (
        _both_directions(*sides, group, cluster, seed, num_bootstrap)
        for sides in ((video, music), cca)
        if sides is not None
    )
    _, number, sizes = np.unique(group, return_inverse=True, return_counts=True)
    chance = chance_summary(sizes[number], len(group))
    return Report(
        gallery_size=len(group),
        directions=model,
        chance=dict(zip(METRICS, chance.tolist(), strict=True)),
        cca=baseline[0] if baseline else (),
    )


def _both_directions(
    video: Scores, music: Scores, group: IntArray, cluster: IntArray, seed: int, num_bootstrap: int
) -> tuple[Direction, ...]:
    if video.ndim != 2 or video.shape != music.shape or 0 in video.shape:
        raise InputError(
            f"video and music embeddings must have the same shape (N, D), got {video.shape} and {music.shape}"
        )
    if group.shape != (len(video),) or cluster.shape != group.shape:
        raise InputError(
            f"groups and clusters must have shape ({len(video)},), one for each pair, got {group.shape} "
            f"and {cluster.shape}"
        )
    for name, values in (("video", video), ("music", music)):
        if not np.isfinite(values).all():
            row = int(np.argwhere(~np.isfinite(values))[0][0])
            raise InputError(
                f"the {name} embedding of pair {row} is not finite; check its features and the model"
            )
    sides: Sequence[tuple[Side, Scores]] = (("video", video), ("music", music))
    out = []
    for (query, queries), (gallery, candidates) in (sides, sides[::-1]):
        ranks, precisions = rank_embeddings(queries, candidates, group, group)
        bounds = bootstrap_intervals(
            lambda rows, r=ranks, p=precisions: summary(r[rows], p[rows]),  # type: ignore[misc]
            cluster,
            num_bootstrap=num_bootstrap,
            seed=seed,
        )
        intervals = {
            name: (float(low), float(high)) for name, (low, high) in zip(METRICS, bounds, strict=True)
        }
        metrics = dict(zip(METRICS, summary(ranks, precisions).tolist(), strict=True))
        out.append(Direction(query, gallery, metrics, intervals, ranks, precisions))
    return tuple(out)


def _title(name: str) -> str:
    return {"median_rank": "median rank", "map": "mAP %"}.get(name, name.replace("recall", "R") + " %")


def _cell(name: str, value: float, ends: tuple[float, float] | None = None) -> str:
    scale = 1.0 if name == "median_rank" else 100.0
    text = f"{value * scale:.1f}"
    return text if ends is None else f"{text} ({ends[0] * scale:.1f}–{ends[1] * scale:.1f})"
