"""A plan and a folder of judged pairs enter, what the rules of `affect` are worth to people leaves.

For each of a few dozen videos a rule had proposed ten tracks, mostly of the video's own mood, and people said which of
them suit. The same ten are put in order by the rules here, as far as the measures at hand go, and by other things: by
nothing, by the rule that proposed them, by how often a track was found right for other videos. Nothing is trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from reelscore.errors import ConfigError
from reelscore.evaluation.intervals import resamples
from reelscore.features.sampling import global_sparse
from reelscore.models.affect.model import WEIGHTS
from reelscore.models.affect.rules import AXES, RULES, Axis, squash
from reelscore.types import FeatureSequence, FloatArray, Modality
from research.recipes.judgements import FOLDER, Candidate, Judged, read_judged
from research.report.format import percent, signed
from research.report.graded import ndcg, precision
from research.result import Result, Table
from research.runs.runner import Runner

RANDOM, PROPOSING, AFFECT, LIKED = (
    "any order",
    "the rule that proposed them",
    "affect",
    "liked beside other videos",
)
METRICS: Mapping[str, str] = {"precision@1": "P@1", "precision@3": "P@3", "ndcg": "nDCG"}
Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class RelevancePlan:
    """Plan of `relevance`.

    Attributes
    ----------
    folder : str
        Below the folder of the public sets.
    num_bootstrap : int
        Draws of videos behind each interval.
    seed : int
        Of these draws.
    """

    folder: str = FOLDER
    num_bootstrap: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_bootstrap < 1:
            raise ConfigError(f"num_bootstrap must be at least 1, got {self.num_bootstrap}")


def conduct(plan: RelevancePlan, runner: Runner) -> Result:
    """Put every video's candidates in every order, and state what people think of them."""
    assert runner.data is not None
    judged = read_judged(runner.data / plan.folder)
    return conclude(plan, judged, orders(judged))


def orders(judged: Judged) -> dict[str, Scores]:
    """Return the score of each candidate, shape (N,), by what it is put in order by."""
    shown, heard = _felt(judged, "video")[_videos(judged)], _felt(judged, "music")[_tracks(judged)]
    near = np.cos(np.pi / 2 * (shown - heard))
    found: dict[str, Scores] = {
        RANDOM: np.zeros(len(judged.candidates)),
        PROPOSING: -np.array([one.rank for one in judged.candidates], float),
        AFFECT: near @ WEIGHTS,
    }
    for i, axis in enumerate(AXES):
        found[f"affect: {axis} alone"] = near[:, i].astype(float)
    for column, title in (
        ("tempo_bpm", "the faster the better"),
        ("loudness_db", "the louder the better"),
        ("centroid_hz", "the brighter the better"),
    ):
        found[f"{title}, whatever the video"] = judged.music[column][_tracks(judged)].astype(float)
    found[LIKED] = np.array([_liked(one, judged.candidates) for one in judged.candidates])
    return found


def conclude(plan: RelevancePlan, judged: Judged, scores: Mapping[str, Scores]) -> Result:
    """Make the table and the answer."""
    measured = {row: _measured(each, judged.candidates) for row, each in scores.items()}
    rows, above, figures = [], [], []
    for row, values in measured.items():
        cells = []
        for m, metric in enumerate(METRICS):
            mean = float(values[:, m].mean())
            low, high = _interval(values[:, m] - measured[RANDOM][:, m], plan)
            gain = mean - float(measured[RANDOM][:, m].mean())
            cells.append(
                percent(mean)
                if row == RANDOM
                else f"{percent(mean)}, {signed(gain)} ({signed(low)} to {signed(high)})"
            )
            figures.append(
                {"row": row, "metric": metric, "mean": mean, "gain": gain, "interval": [low, high]}
            )
            if metric == "ndcg" and row != RANDOM and low > 0:
                above.append(row)
        rows.append((row, *cells))
    rules = [row for row in above if row.startswith(AFFECT)]
    num_videos = len({one.video for one in judged.candidates})
    return Result(
        name="relevance",
        title="What people say of the rules",
        question="Among tracks that were proposed for a video, do the rules of affect find those that people chose?",
        answer=(
            f"By nDCG over any order, with its 95% interval above zero: {'; '.join(above) or 'nothing'}. "
            + (
                f"Of the rules of affect: {'; '.join(rules)}."
                if rules
                else "On the three measures of either side that are at hand, neither affect nor one of its axes can be "
                "told from any order; these judgements are no ground to take a rule out, nor to keep it."
            )
        ),
        tables=(
            Table(
                "The same candidates in different orders, in percent; less any order, in points",
                ("in order of", *METRICS.values()),
                tuple(rows),
                "Ties count as the mean over all orders of the equal ones.",
            ),
        ),
        charts=(),
        settings=(),
        notes=(
            (
                f"{num_videos} videos, {len(judged.candidates)} candidates, of which "
                f"{sum(one.relevant for one in judged.candidates)} were judged relevant; {judged.left_out} more are "
                "left out, whose track was not measured. The intervals are a bootstrap over videos. The candidates "
                "were shown in the order of the rule that proposed them, so its figure may hold what comes of being "
                "shown first; and most share the video's mood, so what is asked here is the finer half of the "
                "question. At hand are brightness, saturation and flow of the pictures, and tempo, loudness and "
                f"centroid of the sound: {_told_rules('video', judged)} and {_told_rules('music', judged)} rules."
            ),
        ),
        figures={"rows": figures},
    )


def _videos(judged: Judged) -> npt.NDArray[np.int64]:
    return np.array([one.video for one in judged.candidates])


def _tracks(judged: Judged) -> npt.NDArray[np.int64]:
    return np.array([one.track for one in judged.candidates])


def _felt(judged: Judged, modality: Modality) -> FloatArray:
    """Return arousal, valence and pace in [0, 1], shape (N, 3), from the rules whose columns are at hand."""
    values = judged.video if modality == "video" else judged.music
    table = np.nan_to_num(np.stack([*values.values()], axis=1))
    rows = FeatureSequence(table, global_sparse(1.0, num_segments=len(table)), "judged", tuple(values))
    felt = []
    for axis in AXES:
        rules = [rule for rule in RULES[modality][axis] if rule.column in values]
        weights = np.array([rule.weight for rule in rules], np.float32)
        felt.append(weights @ np.stack([rule.read(rows) for rule in rules]) / weights.sum())
    return squash(np.stack(felt, axis=1))


def _told_rules(modality: Modality, judged: Judged) -> str:
    values = judged.video if modality == "video" else judged.music
    axes: Mapping[Axis, Sequence[Any]] = RULES[modality]
    known = sum(rule.column in values for rules in axes.values() for rule in rules)
    return f"{known} of {sum(map(len, axes.values()))} {modality}"


def _liked(one: Candidate, all_of_them: Sequence[Candidate]) -> float:
    """Return how often a track was found right for the other videos for which it was proposed."""
    others = [
        other.relevant for other in all_of_them if other.track == one.track and other.video != one.video
    ]
    return sum(others) / len(others) if others else 0.0


def _measured(scores: Scores, candidates: Sequence[Candidate]) -> Scores:
    """Return the metrics of each video that has a relevant candidate left, shape (videos, 3)."""
    found = []
    for _, group in groupby(range(len(candidates)), key=lambda i: candidates[i].video):
        at = list(group)
        relevant = np.array([candidates[i].relevant for i in at])
        if relevant.any():
            found.append(
                [
                    precision(scores[at], relevant, 1),
                    precision(scores[at], relevant, 3),
                    ndcg(scores[at], relevant),
                ]
            )
    return np.array(found)


def _interval(values: Scores, plan: RelevancePlan) -> tuple[float, float]:
    draws = resamples(np.arange(len(values)), num_bootstrap=plan.num_bootstrap, seed=plan.seed)
    low, high = np.percentile([values[drawn].mean() for drawn in draws], [2.5, 97.5])
    return float(low), float(high)
