"""Results of the demo, and the page's texts and tables from them."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from reelscore.demo.scores import MEASURES, FloatArray, Measures, Truth, chance, measure
from reelscore.demo.world.plan import Plan

from .page import Cell, MatchedVideo, Page, Row
from .plots import Curve, loss_svg, map_svg, recall_svg

AFFECT, INFONCE, INTER_INTRA = "affect rules", "InfoNCE", "inter-intra"
_SCALES = (100.0, 1.0, 100.0, 100.0)
_HEADINGS = (
    "Suitable tracks in the top 10 (%)",
    "Compatibility of the top 10 (0 to 1)",
    "R@10 video to music (%)",
    "R@10 music to video (%)",
)


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """Measurements of the demo.

    Attributes
    ----------
    plan : Plan
    truth : Truth
        Ground truth of the held-out videos and tracks.
    measures : mapping of str to Measures
        Measures of the methods `AFFECT`, `INFONCE` and `INTER_INTRA`.
    curves : mapping of str to sequence of Curve
        Learning curves of the two trained methods.
    val_chance : float
        Recall@10 of a random ranking of the validation pairs.
    intra_weight : float
        Lambda of the inter-intra loss.
    video, music : ndarray, shapes (Q, D) and (N, D)
        Held-out embeddings of the inter-intra model that matched the unseen videos.
    video_points, music_points : ndarray, shapes (Q, 3) and (N, 3)
        Hidden points of the same items.
    """

    plan: Plan
    truth: Truth
    measures: Mapping[str, Measures]
    curves: Mapping[str, Sequence[Curve]]
    val_chance: float
    intra_weight: float
    video: npt.NDArray[np.float32]
    music: npt.NDArray[np.float32]
    video_points: FloatArray
    music_points: FloatArray

    def figures(self) -> dict[str, Any]:
        """Return all measures as fractions with their 95% intervals, ready for JSON."""
        methods: dict[str, Any] = {"chance": _exact(chance(self.truth))}
        for name, one in self.measures.items():
            methods[name] = _with_ends(one.values, one.intervals())
        difference = self.measures[INTER_INTRA].difference_from(self.measures[INFONCE])
        return {
            "seed": self.plan.seed,
            "num_videos": self.truth.paired.shape[0],
            "num_tracks": self.truth.paired.shape[1],
            "methods": methods,
            "inter-intra minus InfoNCE": _with_ends(*difference),
        }


def build_page(results: Results, videos: Sequence[MatchedVideo], seconds: Mapping[str, float]) -> Page:
    """Build the page from the results, the matched videos and the durations of the stages."""
    plan = results.plan
    total = sum(seconds.values())
    num_videos, num_tracks = len(plan.videos) + len(plan.unseen), len(plan.tracks)
    num_trainings = len(results.curves[INTER_INTRA])
    return Page(
        lead=(
            "reelscore ranks a music library for a video and finds where to start each track. This page was created "
            f"on this machine in {_duration(total)}. The {num_videos} videos and {num_tracks} tracks are synthetic, so "
            "that their mood and tempo are known and every result can be checked."
        ),
        tiles=_tiles(results),
        videos=videos,
        columns=_HEADINGS,
        rows=_rows(results),
        caption=(
            f"{results.truth.paired.shape[0]} videos against {results.truth.paired.shape[1]} tracks, none of them used "
            "in training. Small print: 95% bootstrap intervals over the queries. A track is suitable if its hidden "
            "mood and tempo are close to the video's. R@10 counts only the track that was paired with the video, "
            "although others match it too."
            + (f" Trained methods: means of {num_trainings} trainings." if num_trainings > 1 else "")
        ),
        discussion=discussion(results),
        curves=(loss_svg(results.curves), recall_svg(results.curves, chance=results.val_chance)),
        curves_caption=(
            f"Training with (lambda = {results.intra_weight:g}) and without the intra-modal term, from random weights. "
            "Epoch 0 is before training. Training stops when the validation recall no longer improves, and the best "
            "epoch is kept." + (f" One curve for each of {num_trainings} seeds." if num_trainings > 1 else "")
        ),
        maps=tuple(
            map_svg(
                results.video,
                results.music,
                video_values=results.video_points[:, axis],
                music_values=results.music_points[:, axis],
                name=name,
                ends=ends,
            )
            for axis, name, ends in ((0, "valence", ("sad", "happy")), (2, "pace", ("slow", "quick")))
        ),
        maps_caption=(
            "First two principal components of the held-out embeddings, coloured by the hidden valence (left) and pace "
            "(right). Videos and tracks of one colour are close together: the model has learned the shared mood and "
            "tempo."
        ),
        commands=COMMANDS,
        about=(
            f"reelscore {version('reelscore')}, seed {plan.seed}, Python {platform.python_version()}. "
            + "; ".join(f"{name} {value:.0f} s" for name, value in seconds.items())
            + ". The inter-intra loss is a reconstruction from the abstract of Chen et al. 2024 (arXiv 2407.19415)."
        ),
    )


COMMANDS = """\
# index your music, then match a video
reelscore add ~/Music
reelscore match holiday.mp4

# train on videos with music (the frames and the sound of each are a pair), then use the model
reelscore train my-videos/ --model my-model
reelscore evaluate my-model my-videos/
reelscore rebuild --model my-model
reelscore match holiday.mp4

# show what is in a file, and check the installation
reelscore probe holiday.mp4
reelscore doctor"""


def _tiles(results: Results) -> list[tuple[str, str, str]]:
    values = 100 * results.measures[INTER_INTRA].values
    guess = 100 * chance(results.truth)
    best = 100 * measure(results.truth.compatibility, results.truth).values[0]
    return [
        (
            f"{values[0]:.0f}%",
            "suitable tracks in the top 10",
            f"chance {guess[0]:.0f}%, best possible {best:.0f}%",
        ),
        (f"{values[2]:.0f}%", "R@10 video to music", f"chance {guess[2]:.0f}%"),
        (f"{values[3]:.0f}%", "R@10 music to video", f"chance {guess[3]:.0f}%"),
    ]


def _rows(results: Results) -> list[Row]:
    notes = {
        AFFECT: "rules on arousal, valence and pace; no training",
        INFONCE: "trained, without the intra-modal term",
        INTER_INTRA: "trained, with the intra-modal term",
    }
    best = measure(results.truth.compatibility, results.truth).values[:2]
    return [
        Row("chance", "random ranking, exact", _cells(chance(results.truth))),
        *(
            Row(name, notes[name], _cells(one.values, one.intervals()))
            for name, one in results.measures.items()
        ),
        Row("best possible", "ranked by the ground truth", (*_cells(best), None, None)),
    ]


def _cells(values: FloatArray, ends: FloatArray | None = None) -> tuple[Cell, ...]:
    return tuple(
        Cell(float(value), None if ends is None else (float(ends[i, 0]), float(ends[i, 1])), _SCALES[i])
        for i, value in enumerate(values)
    )


def discussion(results: Results) -> list[str]:
    """Return what the intervals show about training and about the intra-modal term."""
    guess = chance(results.truth)[0]
    trained, baseline = results.measures[INTER_INTRA], results.measures[INFONCE]
    best = measure(results.truth.compatibility, results.truth).values[0]
    low = float(trained.intervals()[0, 0])
    first = (
        f"Of the ten best tracks of the inter-intra model, {10 * trained.values[0]:.1f} match the video. A random "
        f"ranking gives {10 * guess:.1f}, the ground truth {10 * best:.1f}. "
    )
    first += (
        "The model is better than chance."
        if low > guess
        else "The model is not better than chance on this data set."
    )
    lead, ends = trained.difference_from(baseline)
    by_rules, rule_ends = trained.difference_from(results.measures[AFFECT])
    against_rules = (
        "Compared with the untrained rules, training changes the share of suitable tracks by "
        f"{_points(by_rules[0], rule_ends[0])}: {_direction(rule_ends[0])}."
    )
    against_plain = (
        "The intra-modal term changes the share of suitable tracks by "
        f"{_points(lead[0], ends[0])}, R@10 video to music by {_points(lead[2], ends[2])} and music to video by "
        f"{_points(lead[3], ends[3])}. The first is {_direction(ends[0])}. The intervals cover the choice of queries, "
        "not of training seeds or data sets, so one small synthetic data set does not show how much the term is worth."
    )
    return [first, against_rules, against_plain]


def _points(value: float, ends: FloatArray) -> str:
    text = f"{100 * value:+.1f} points ({100 * ends[0]:+.1f} to {100 * ends[1]:+.1f})"
    return text.replace("-", "\N{MINUS SIGN}")


def _direction(ends: FloatArray) -> str:
    if ends[0] > 0:
        return "a significant gain"
    if ends[1] < 0:
        return "a significant loss"
    return "no significant difference"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 90 else f"{seconds / 60:.1f} minutes"


def _exact(values: FloatArray) -> dict[str, Any]:
    return {name: {"value": float(value)} for name, value in zip(MEASURES, values, strict=True)}


def _with_ends(values: FloatArray, ends: FloatArray) -> dict[str, Any]:
    return {
        name: {"value": float(value), "interval": [float(low), float(high)]}
        for name, value, (low, high) in zip(MEASURES, values, ends, strict=True)
    }
