"""Embeddings of pairs enter, a report in both directions leaves: metrics, intervals, chance and the CCA row."""

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
    """How well queries of one side find their hits among the other.

    Attributes
    ----------
    query, gallery : {"video", "music"}
    metrics : mapping
        Name (`METRICS`) -> value; recalls and mAP are fractions.
    intervals : mapping
        Name -> (low, high), 95% bootstrap.
    ranks : ndarray of int64, shape (Q,)
        Of each query's first hit, for paired comparisons of two models.
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
        """Return the direction as plain values, without the single queries."""
        intervals = {name: list(ends) for name, ends in self.intervals.items()}
        return {"query": self.query, "gallery": self.gallery, **self.metrics, "intervals": intervals}


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """What an evaluation found.

    Attributes
    ----------
    gallery_size : int
    directions : tuple of Direction
        Video to music, then music to video.
    chance : mapping
        Name -> what a random order of the gallery would give.
    cca : tuple of Direction
        The same for a linear CCA of the features; empty where none was given.
    """

    gallery_size: int
    directions: tuple[Direction, ...]
    chance: Mapping[str, float]
    cca: tuple[Direction, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain values, ready for ``json.dumps``."""
        return {
            "gallery_size": self.gallery_size,
            "directions": [direction.to_json() for direction in self.directions],
            "chance": dict(self.chance),
            "cca": [direction.to_json() for direction in self.cca],
        }

    def table(self) -> list[list[str]]:
        """Return a header and one row for each direction, the CCA and chance, fractions in percent.

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
    """Let every video search the whole gallery of music, and every piece of music that of videos.

    Parameters
    ----------
    video, music : ndarray of float, shape (N, D)
        Row i of both is pair i; the score is the inner product.
    group : ndarray of int64, shape (N,)
        All candidates of the query's group are hits; the gallery keeps every item.
    cca : pair of ndarray of float, shape (N, D'), optional
        Video and music placed by a linear CCA (`LinearCCA.transform`).
    cluster : ndarray of int64, shape (N,), optional
        What the bootstrap resamples as one; the groups without it.
    seed : int
        Of the bootstrap.
    num_bootstrap : int

    Returns
    -------
    Report

    Raises
    ------
    InputError
        For embeddings that are empty, not finite or of unequal shape.
    """
    group = np.asarray(group)
    cluster = group if cluster is None else np.asarray(cluster)
    placed = {"model": (video, music)}
    if cca is not None:
        placed["cca"] = cca
    found = {
        what: _both_directions(v, m, group, cluster, seed, num_bootstrap) for what, (v, m) in placed.items()
    }
    _, number, sizes = np.unique(group, return_inverse=True, return_counts=True)
    chance = chance_summary(sizes[number], len(group))
    return Report(
        gallery_size=len(group),
        directions=found["model"],
        chance=dict(zip(METRICS, chance.tolist(), strict=True)),
        cca=found.get("cca", ()),
    )


def _both_directions(
    video: Scores, music: Scores, group: IntArray, cluster: IntArray, seed: int, num_bootstrap: int
) -> tuple[Direction, ...]:
    if video.ndim != 2 or video.shape != music.shape or 0 in video.shape:
        raise InputError(
            f"video and music embeddings must both be of one shape (N, D), got {video.shape} and {music.shape}"
        )
    if group.shape != (len(video),) or cluster.shape != group.shape:
        raise InputError(
            f"{len(video)} pairs need as many groups and clusters, got shapes {group.shape} and {cluster.shape}"
        )
    for name, values in (("video", video), ("music", music)):
        if not np.isfinite(values).all():
            row = int(np.argwhere(~np.isfinite(values))[0][0])
            raise InputError(
                f"the {name} embedding of pair {row} is not finite; look at its features or the model"
            )
    sides: Sequence[tuple[Side, Scores]] = (("video", video), ("music", music))
    out = []
    for (query, queries), (gallery, candidates) in (sides, sides[::-1]):
        ranks, precisions = rank_embeddings(queries, candidates, group, group)
        ends = bootstrap_intervals(
            lambda rows, r=ranks, p=precisions: summary(r[rows], p[rows]),  # type: ignore[misc]
            cluster,
            num_bootstrap=num_bootstrap,
            seed=seed,
        )
        intervals = {name: (float(low), float(high)) for name, (low, high) in zip(METRICS, ends, strict=True)}
        metrics = dict(zip(METRICS, summary(ranks, precisions).tolist(), strict=True))
        out.append(Direction(query, gallery, metrics, intervals, ranks, precisions))
    return tuple(out)


def _title(name: str) -> str:
    return {"median_rank": "median rank", "map": "mAP %"}.get(name, name.replace("recall", "R") + " %")


def _cell(name: str, value: float, ends: tuple[float, float] | None = None) -> str:
    scale = 1.0 if name == "median_rank" else 100.0
    told = f"{value * scale:.1f}"
    return told if ends is None else f"{told} ({ends[0] * scale:.1f}–{ends[1] * scale:.1f})"
