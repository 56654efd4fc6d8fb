"""Retrieval report: metrics, intervals, chance and a baseline, for whole videos and clips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from reelscore.errors import InputError

from .intervals import bootstrap_intervals
from .metrics import METRICS, chance_summary, summary
from .ranks import FloatArray, IntArray, Scores, rank_embeddings

MIN_PAIRS = 30
"""Fewest pairs for percentages; one hit among 30 queries is 3 points."""

Side = Literal["video", "clip", "music"]


class Baseline(NamedTuple):
    """Embeddings of a baseline: its name, and arrays as in `evaluate_embeddings`."""

    name: str
    video: Scores
    music: Scores
    clips: Scores | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Direction:
    """Retrieval metrics of one direction.

    Attributes
    ----------
    query, gallery : {"video", "clip", "music"}
    gallery_size : int
    num_groups : int
        Number of groups among the queries. Pairs of one group have the same relevant items and count once.
    metrics : mapping
        Name (`METRICS`) -> value; recalls and mAP are fractions.
    intervals : mapping
        Name -> (low, high), 95% bootstrap; empty with a single cluster.
    chance : mapping
        Name -> value of a random ranking.
    ranks : ndarray of int64, shape (Q,)
        Rank of each query's first hit, for paired comparisons of two models.
    precisions : ndarray of float64, shape (Q,)
        Average precision of each query.
    """

    query: Side
    gallery: Side
    gallery_size: int
    num_groups: int
    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    chance: Mapping[str, float]
    ranks: IntArray
    precisions: FloatArray

    @property
    def enough_pairs(self) -> bool:
        """Whether the queries are of at least `MIN_PAIRS` groups."""
        return self.num_groups >= MIN_PAIRS

    @property
    def shown(self) -> tuple[str, ...]:
        """The metrics that are shown: the median rank alone without enough pairs."""
        return METRICS if self.enough_pairs else ("median_rank",)

    def to_json(self) -> dict[str, Any]:
        """Return the metrics as JSON values, null where they are not shown; without ranks and precisions."""
        metrics, chance = (
            {name: values[name] if name in self.shown else None for name in METRICS}
            for values in (self.metrics, self.chance)
        )
        return {
            "query": self.query,
            "gallery": self.gallery,
            "gallery_size": self.gallery_size,
            "enough_pairs": self.enough_pairs,
            **metrics,
            "intervals": {name: list(self.intervals[name]) for name in self.shown if name in self.intervals},
            "chance": chance,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """Retrieval metrics of a method.

    Attributes
    ----------
    directions : tuple of Direction
        Video to music, then music to video, over all pairs.
    clips : tuple of Direction
        Clip to music, with all tracks as the gallery, then music to clip, over the pairs with a clip. Empty without
        clips.
    name : str
        Name of the method.
    baseline : Report, optional
        The metrics of a baseline.
    """

    directions: tuple[Direction, ...]
    clips: tuple[Direction, ...] = ()
    name: str = "model"
    baseline: Report | None = None

    @property
    def gallery_size(self) -> int:
        """Number of tracks."""
        return self.directions[0].gallery_size

    @property
    def remarks(self) -> tuple[str, ...]:
        """How many pairs there are and how many are needed, where percentages are not shown."""
        out = []
        for what, section in (("pairs", self.directions), ("clips", self.clips)):
            if section and not section[0].enough_pairs:
                count = section[0].num_groups
                unit = what if count == len(section[0].ranks) else f"groups of {what}"
                out.append(f"too few {unit} for percentages: {count}; {MIN_PAIRS} are needed")
        return tuple(out)

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""

        def sections(report: Report) -> dict[str, Any]:
            both = {"directions": report.directions, "clips": report.clips}
            return {name: [one.to_json() for one in directions] for name, directions in both.items()}

        return {
            "gallery_size": self.gallery_size,
            "enough_pairs": self.directions[0].enough_pairs,
            **sections(self),
            "baseline": self.baseline and {"name": self.baseline.name, **sections(self.baseline)},
        }

    def tables(self) -> list[list[list[str]]]:
        """Return a table for each direction: a header, and a line for each metric that is shown, in percent.

        Examples
        --------
        >>> eye = np.eye(30)
        >>> table, _ = evaluate_embeddings(eye, eye, np.arange(30), num_bootstrap=10).tables()
        >>> table[:2]
        [['video → music', 'model', 'chance'], ['R@1 %', '100.0 (100.0–100.0)', '3.3']]
        """
        methods = [self] if self.baseline is None else [self, self.baseline]
        out = []
        for section in ("directions", "clips"):
            columns = [(one.name, getattr(one, section)) for one in methods if getattr(one, section)]
            for row in zip(*(directions for _, directions in columns), strict=True):
                lines = [[f"{row[0].query} → {row[0].gallery}", *(name for name, _ in columns), "chance"]]
                for name in row[0].shown:
                    cells = [_cell(name, one.metrics[name], one.intervals.get(name)) for one in row]
                    lines.append([_title(name), *cells, _cell(name, row[0].chance[name])])
                out.append(lines)
        return out


class _Items(NamedTuple):
    """Queries or a gallery: embeddings (N, D), groups (N,) and clusters (N,)."""

    side: Side
    embeddings: Scores
    group: IntArray
    cluster: IntArray

    def take(self, index: IntArray) -> _Items:
        """Return the items at `index`."""
        return _Items(self.side, self.embeddings[index], self.group[index], self.cluster[index])


def evaluate_embeddings(
    video: Scores,
    music: Scores,
    group: IntArray,
    *,
    clips: tuple[Scores, IntArray] | None = None,
    baseline: Baseline | None = None,
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
    clips : (ndarray of float, shape (M, D), ndarray of int64, shape (M,)), optional
        Embeddings of parts of the videos, as further queries, and the index of the pair of each.
    baseline : Baseline, optional
        Embeddings of a baseline for the same pairs and clips.
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
    clip_pair = None if clips is None else clips[1]

    def report(name: str, video: Scores, music: Scores, clip: Scores | None) -> Report:
        _check(video, music, group, cluster)
        videos, tracks = _Items("video", video, group, cluster), _Items("music", music, group, cluster)
        directions = [(videos, tracks), (tracks, videos)]
        if clip is not None and clip_pair is not None:
            _check_clips(clip, clip_pair, video)
            queries = videos.take(clip_pair)._replace(side="clip", embeddings=clip)
            directions += [(queries, tracks), (tracks.take(np.unique(clip_pair)), queries)]
        measured = tuple(_measure(*sides, seed=seed, num_bootstrap=num_bootstrap) for sides in directions)
        return Report(measured[:2], measured[2:], name)

    rival = None if baseline is None else report(*baseline)
    return replace(report("model", video, music, None if clips is None else clips[0]), baseline=rival)


def _check(video: Scores, music: Scores, group: IntArray, cluster: IntArray) -> None:
    if video.ndim != 2 or video.shape != music.shape or 0 in video.shape:
        raise InputError(
            f"video and music embeddings must have the same shape (N, D), got {video.shape} and {music.shape}"
        )
    if group.shape != (len(video),) or cluster.shape != group.shape:
        raise InputError(
            f"groups and clusters must have shape ({len(video)},), one for each pair, got {group.shape} "
            f"and {cluster.shape}"
        )
    for side, values in (("video", video), ("music", music)):
        _check_finite(values, side, np.arange(len(video)))


def _check_clips(clip: Scores, pair: IntArray, video: Scores) -> None:
    size, dim = video.shape
    if clip.shape != (len(pair), dim) or len(pair) == 0 or not (0 <= pair.min() <= pair.max() < size):
        raise InputError(
            f"clip embeddings must have shape (M, {dim}), M >= 1, and the index of the pair of each, 0 to {size - 1}, "
            f"got {clip.shape} and {pair}"
        )
    _check_finite(clip, "clip", pair)


def _check_finite(values: Scores, side: str, pair: IntArray) -> None:
    if not np.isfinite(values).all():
        place = pair[np.argwhere(~np.isfinite(values))[0][0]]
        raise InputError(
            f"the {side} embedding of pair {place} is not finite; check its features and the model"
        )


def _measure(queries: _Items, gallery: _Items, *, seed: int, num_bootstrap: int) -> Direction:
    ranks, precisions = rank_embeddings(queries.embeddings, gallery.embeddings, queries.group, gallery.group)
    intervals: dict[str, tuple[float, float]] = {}
    if (queries.cluster != queries.cluster[0]).any():  # resampling a single cluster always gives the same
        bounds = bootstrap_intervals(
            lambda rows: summary(ranks[rows], precisions[rows]),
            queries.cluster,
            num_bootstrap=num_bootstrap,
            seed=seed,
        )
        intervals = {name: (low, high) for name, (low, high) in zip(METRICS, bounds.tolist(), strict=True)}
    groups, sizes = np.unique(gallery.group, return_counts=True)
    chance = chance_summary(sizes[np.searchsorted(groups, queries.group)], len(gallery.group))
    return Direction(
        query=queries.side,
        gallery=gallery.side,
        gallery_size=len(gallery.group),
        num_groups=len(np.unique(queries.group)),
        metrics=dict(zip(METRICS, summary(ranks, precisions).tolist(), strict=True)),
        intervals=intervals,
        chance=dict(zip(METRICS, chance.tolist(), strict=True)),
        ranks=ranks,
        precisions=precisions,
    )


def _title(name: str) -> str:
    return {"median_rank": "median rank", "map": "mAP %"}.get(name, name.replace("recall", "R") + " %")


def _cell(name: str, value: float, ends: tuple[float, float] | None = None) -> str:
    scale = 1.0 if name == "median_rank" else 100.0
    text = f"{value * scale:.1f}"
    return text if ends is None else f"{text} ({ends[0] * scale:.1f}–{ends[1] * scale:.1f})"
